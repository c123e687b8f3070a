// SPDX-License-Identifier: MIT
//
// The box in which words are typed, and what is to be said of each line.

import { card, h } from "./dom";
import type { Problem, Summary } from "./protocol";
import { S } from "./strings";

const PAUSE = 150; // ms after a key until the words are read
const MOST = 6; // problems

export interface WordsCard {
    element: HTMLElement;
    text(): string;
    update(summary: Summary): void;
}

export function wordsCard(changed: () => void): WordsCard {
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
        },
    };
}
