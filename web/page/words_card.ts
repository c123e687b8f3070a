// SPDX-License-Identifier: MIT
//
// The box in which words are typed, and what is to be said of each line.

import { card, complaints, h, say } from "./dom";
import type { Problem, Summary } from "./protocol";
import { S } from "./strings";

const PAUSE = 150; // ms after a key until the words are read
const MOST = 6; // problems

export interface WordsCard {
    element: HTMLElement;
    text(): string;
    update(summary: Summary): void;
    fetching(share: number | null): void; // lexicon.bin; null: no longer
    trouble(text: string): void; // with it
}

// take: a lexicon.bin that somebody has chosen.
export function wordsCard(changed: () => void, take: (file: File) => void): WordsCard {
    const box = h("textarea", {
        id: "words",
        rows: 7,
        spellcheck: false,
        autocapitalize: "none",
        autocomplete: "off",
        "aria-describedby": "words-hint words-problems",
        oninput: () => {
            clearTimeout(timer);
            timer = window.setTimeout(changed, PAUSE);
        },
    });
    box.value = S.words.start;
    let timer = 0;
    const problems = h("div", { id: "words-problems", role: "status" });
    let said = "";

    const input = h("input", {
        type: "file",
        accept: ".bin",
        hidden: true,
        "data-test": "lexicon",
        onchange: () => {
            const [file] = input.files!;
            input.value = "";
            take(file);
        },
    });
    const part = h("span");
    const choose = h("button", { type: "button", class: "small", onclick: () => input.click() }, S.words.choose);
    const more = h("p", { class: "hint", hidden: true }, part, " ", choose, input);
    const bar = h("progress", { max: 1, value: 0, "aria-label": S.words.fetching });
    const coming = h("p", { class: "hint", hidden: true }, S.words.fetching, bar);
    const { trouble, complain } = complaints();

    function replace(line: number, instead: string): void {
        const lines = box.value.split("\n");
        lines[line - 1] = instead;
        box.value = lines.join("\n");
        box.focus();
        changed();
    }

    const item = ({ line, text, instead }: Problem) => {
        // A line with commas and no colon holds several words; which of them is meant is not known.
        const typed = box.value.split("\n")[line - 1] ?? "";
        const alone = instead !== undefined && (!typed.includes(",") || typed.includes(":"));
        const button =
            alone && h("button", { type: "button", class: "small", onclick: () => replace(line, instead!) }, S.words.instead(instead!));
        return h("li", {}, S.words.line(line, text), button && " ", button);
    };

    return {
        element: card(
            "words-heading",
            S.words.heading,
            { class: "card words" },
            h("label", { for: "words" }, S.words.label),
            box,
            problems,
            more,
            coming,
            trouble,
            h("p", { class: "hint", id: "words-hint" }, S.words.hint),
        ),
        text: () => box.value,
        update(summary) {
            const now = JSON.stringify(summary.problems);
            if (now !== said) {
                said = now;
                const items = summary.problems.slice(0, MOST).map(item);
                problems.replaceChildren(...(items.length ? [h("ul", { class: "problems" }, ...items)] : []));
            }
            const { here, all } = summary.vectors;
            say(part, S.words.part(here, all));
            more.hidden = here === all || !summary.problems.some(({ instead }) => instead !== undefined);
        },
        fetching(share) {
            coming.hidden = share === null;
            bar.value = share ?? 0;
        },
        trouble: complain,
    };
}
