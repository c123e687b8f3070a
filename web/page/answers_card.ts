// SPDX-License-Identifier: MIT
//
// Every word with its score, in the order in which they were written; heat and "Show it" for each.

import { colour } from "./colours";
import { card, h, say, set } from "./dom";
import { hold } from "./hold";
import type { Look, Summary, Word } from "./protocol";
import { percent, S } from "./strings";

export interface Showing {
    start(label: string): void;
    stop(): void;
}

export interface AnswersCard {
    element: HTMLElement;
    heat(): string | null;
    update(summary: Summary): void;
    found(look: Look): void;
}

interface Row {
    element: HTMLLIElement;
    bar: HTMLElement;
    score: HTMLElement;
    note: HTMLElement;
    heat: HTMLButtonElement;
}

export function answersCard(showing: Showing, changed: () => void): AnswersCard {
    const list = h("ul", { class: "answers", tabindex: "0", "aria-label": S.answers.heading });
    const empty = h("p", { class: "hint" }, S.answers.none);
    const rows = new Map<string, Row>();
    let heat: string | null = null;
    let order = "";

    const nobody = row("");

    function row(label: string): Row {
        const bar = h("i", {});
        const score = h("output", {}, "–");
        const note = h("small", {});
        const look = h(
            "button",
            {
                type: "button",
                class: "small",
                "aria-pressed": "false",
                "aria-label": S.answers.heatOf(label),
                onclick: () => {
                    heat = heat === label ? null : label;
                    for (const [name, other] of rows) {
                        set(other.heat, { "aria-pressed": String(name === heat) });
                    }
                    changed();
                },
            },
            S.answers.heat,
        );
        const show = h("button", { type: "button", class: "small hold", "aria-label": S.answers.showOf(label) }, S.answers.show);
        hold(show, () => showing.start(label), () => showing.stop());
        const name = h("span", { class: "name" }, h("b", {}, label || S.answers.unknown), note);
        const buttons = label ? h("span", { class: "buttons" }, look, show) : h("span", { class: "buttons" });
        const element = h("li", {}, name, h("span", { class: "bar", "aria-hidden": "true" }, bar), score, buttons);
        return { element, bar, score, note, heat: look };
    }

    function describe({ label, known, shots, note }: Word, labels: readonly string[]): void {
        const { element, bar, score, note: small, heat: look } = rows.get(label)!;
        const shown = shots ? S.answers.shots(shots) : "";
        const there = labels.includes(label);
        say(small, [known || there ? note : S.answers.notKnown, shown].filter(Boolean).join("; "));
        set(bar, { style: `background:${colour(label, labels)};width:0` });
        look.disabled = !there;
        element.classList.toggle("absent", !there);
        if (!there) {
            say(score, "–");
        }
    }

    return {
        element: card("answers", S.answers.heading, {}, empty, list),
        heat: () => heat,
        update({ words, labels }) {
            const now = words.map(({ label }) => label).join("\n");
            if (now !== order) {
                order = now;
                const kept = new Map(rows);
                rows.clear();
                for (const { label } of words) {
                    rows.set(label, kept.get(label) ?? row(label));
                }
                list.replaceChildren(...Array.from(rows.values(), (one) => one.element), nobody.element);
                if (heat !== null && !rows.has(heat)) {
                    heat = null;
                }
            }
            for (const word of words) {
                describe(word, labels);
            }
            empty.hidden = words.length > 0;
            list.hidden = !words.length;
        },
        found(look) {
            const all = look.scores.length ? look.scores : [{ label: "", score: 0 }];
            for (const { label, score } of all) {
                const one = label ? rows.get(label) : nobody;
                if (one) {
                    one.bar.style.width = `${100 * score}%`;
                    say(one.score, percent(score));
                    one.element.classList.toggle("best", label === look.said && look.scores.length > 0);
                }
            }
        },
    };
}
