// SPDX-License-Identifier: MIT
//
// A folder of photos a word: how many are named right, which are taken for which, the mistakes.

import { type Answered, count, matrix, mistakes, truthOf } from "./confusion";
import { card, complaints, h, say } from "./dom";
import { chosen, dropped, type Photo } from "./files";
import { drawable, grab, readPhoto } from "./frames";
import type { Frame, Look, Summary } from "./protocol";
import { percent, S } from "./strings";

const MOST = 24; // mistakes

export interface TestsCard {
    element: HTMLElement;
    update(summary: Summary): void;
}

export function testsCard(ask: (frame: Frame) => Promise<Look>): TestsCard {
    let labels: readonly string[] = [];
    let photos: Photo[] = [];
    let made = ""; // what the vocabulary was when it was tested
    let now = "";
    let stopped = false;
    let urls: string[] = [];

    const input = h("input", {
        type: "file",
        webkitdirectory: true,
        multiple: true,
        hidden: true,
        "data-test": "tests",
        onchange: () => take(chosen(input)),
    });
    const choose = h("button", { type: "button", onclick: () => input.click() }, S.tests.choose);
    const again = h("button", { type: "button", hidden: true, onclick: () => void run() }, S.tests.again);
    const stop = h("button", { type: "button", hidden: true, onclick: () => (stopped = true) }, S.tests.stop);
    const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": S.tests.heading });
    const status = h("p", { role: "status" });
    const { trouble, complain } = complaints();
    const results = h("div", { class: "results" });

    async function run(): Promise<void> {
        stopped = false;
        made = now;
        results.replaceChildren();
        complain("");
        choose.disabled = true;
        again.hidden = true;
        stop.hidden = bar.hidden = false;
        const answers: Answered[] = [];
        let unread = 0;
        for (const [i, photo] of photos.entries()) {
            if (stopped) {
                break;
            }
            bar.value = i / photos.length;
            say(status, S.tests.running(i, photos.length));
            try {
                const bitmap = await readPhoto(photo.file);
                const frame = grab(drawable(bitmap));
                bitmap.close();
                const { said, scores } = await ask(frame);
                answers.push({ photo, truth: truthOf(photo.folder, labels), said, score: scores[0]?.score ?? 0 });
            } catch {
                unread++;
            }
        }
        say(status, "");
        choose.disabled = false;
        again.hidden = false;
        stop.hidden = bar.hidden = true;
        results.replaceChildren(...report(answers, unread));
    }

    function report(answers: Answered[], unread: number): (Node | string)[] {
        urls.forEach((url) => URL.revokeObjectURL(url));
        urls = [];
        const { shown, right, unknown, wrong, none, named } = count(answers);
        const others = new Set(answers.filter(({ truth }) => !truth).map(({ photo }) => photo.folder));
        others.delete("other");
        const lines = [
            shown && S.tests.rates(shown, right, unknown, wrong),
            none && S.tests.none(none, named),
            others.size && S.tests.others([...others].join(", ")),
            unread && S.tests.unread(unread),
        ];
        return [
            ...lines.filter((line) => typeof line === "string").map((line) => h("p", { class: "verdict" }, line)),
            ...(answers.length ? [table(answers)] : []),
            ...gallery(answers),
        ];
    }

    function table(answers: Answered[]): HTMLElement {
        const { rows, columns, cells } = matrix(answers, labels);
        const most = Math.max(1, ...cells.flat());
        const cell = (value: number, row: string, column: string) => {
            const kind = row === column ? "right" : column ? "wrong" : "missed";
            const share = Math.round((70 * value) / most);
            return h("td", { class: value ? kind : "zero", style: value ? `--share:${share}%` : null }, String(value));
        };
        const head = columns.map((column) => h("th", { scope: "col" }, h("span", {}, column || S.answers.unknown)));
        return h(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": S.tests.caption },
            h(
                "table",
                { class: "matrix" },
                h("caption", {}, S.tests.caption),
                h("thead", {}, h("tr", {}, h("th", { scope: "col" }, S.tests.corner), ...head)),
                h(
                    "tbody",
                    {},
                    ...rows.map((row, i) =>
                        h(
                            "tr",
                            {},
                            h("th", { scope: "row" }, row || "other"),
                            ...columns.map((column, j) => cell(cells[i][j], row, column)),
                        ),
                    ),
                ),
            ),
        );
    }

    function gallery(answers: Answered[]): HTMLElement[] {
        const all = mistakes(answers);
        if (!all.length) {
            return answers.length ? [h("p", {}, S.tests.noMistakes)] : [];
        }
        const figure = ({ photo, truth, said, score }: Answered) => {
            const url = URL.createObjectURL(photo.file);
            urls.push(url);
            const name = (label: string) => label || S.answers.unknown;
            const alt = S.tests.mistake(photo.file.name, truth || photo.folder, name(said), score);
            return h(
                "li",
                {},
                h(
                    "figure",
                    {},
                    h("img", { src: url, alt, width: 120, height: 90, loading: "lazy" }),
                    h("figcaption", {}, h("b", {}, name(said)), ` ${percent(score)}`, h("br"), truth || photo.folder),
                ),
            );
        };
        return [
            h("h3", {}, S.tests.mistakes),
            h("ul", { class: "gallery" }, ...all.slice(0, MOST).map(figure)),
            ...(all.length > MOST ? [h("p", { class: "hint" }, S.tests.more(all.length - MOST))] : []),
        ];
    }

    function take(given: Photo[]): void {
        const folders = new Set(given.map(({ folder }) => folder).filter(Boolean));
        if (!given.length) {
            complain(S.picture.noPhotos);
        } else if (!folders.size) {
            complain(S.tests.noFolders);
        } else if (!labels.length) {
            complain(S.answers.none);
        } else {
            photos = given;
            void run();
        }
    }

    const ondrop = (event: DragEvent) => {
        event.preventDefault();
        event.stopPropagation();
        void dropped(event.dataTransfer!).then(take);
    };
    return {
        element: card(
            "tests",
            S.tests.heading,
            { class: "card wide", ondrop },
            h("p", { class: "hint" }, S.tests.lead),
            h("div", { class: "row" }, choose, h("span", { class: "hint" }, S.tests.drop), again, stop, input),
            trouble,
            bar,
            status,
            results,
        ),
        update(summary) {
            labels = summary.labels;
            now = JSON.stringify([summary.labels, summary.threshold, summary.bytes, summary.shown.length]);
            again.disabled = !labels.length;
            if (made && made !== now && results.childElementCount) {
                complain(S.tests.stale);
            }
        },
    };
}
