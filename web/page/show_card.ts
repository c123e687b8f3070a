// SPDX-License-Identifier: MIT
//
// Learning by showing: something without a word, what was learned, undo.

import { type Showing } from "./answers_card";
import { colour } from "./colours";
import { card, complaints, h, say, svg } from "./dom";
import { hold } from "./hold";
import type { Shot, Summary } from "./protocol";
import { S } from "./strings";

const MOST = 4; // lines of text about labels

export interface ShowCard {
    element: HTMLElement;
    update(summary: Summary): void;
    trouble(text: string): void;
}

export function showCard(showing: Showing, undo: () => void, forget: () => void): ShowCard {
    const name = h("input", { id: "new-label", type: "text", placeholder: S.show.newHint, maxlength: 60, autocomplete: "off" });
    const add = h("button", { type: "button", class: "hold" }, S.show.add);
    const back = h("button", { type: "button", onclick: undo, disabled: true }, S.show.undo);
    const all = h("button", { type: "button", onclick: forget, disabled: true }, S.show.forget);
    const count = h("p", { role: "status" });
    const { trouble, complain } = complaints();
    const chart = h("div", { class: "chart" });
    hold(
        add,
        () => {
            const label = name.value.trim();
            complain(!label ? S.show.noName : label.toLowerCase() === "unknown" ? S.show.unknownName : "");
            if (trouble.hidden) {
                showing.start(label);
            } else {
                name.focus();
            }
        },
        () => showing.stop(),
    );
    return {
        element: card(
            "show",
            S.show.heading,
            {},
            h("p", { class: "hint" }, S.show.lead),
            h("label", { for: "new-label" }, S.show.newLabel),
            h("div", { class: "row" }, name, add),
            trouble,
            count,
            chart,
            h("div", { class: "row" }, back, all),
        ),
        trouble: complain,
        update({ shown, labels }) {
            back.disabled = all.disabled = !shown.length;
            const last = shown.at(-1);
            const of = last ? shown.filter(({ label }) => label === last.label).length : 0;
            say(count, last ? `${S.show.holding(last.label, of)}; ${S.show.shots(shown.length)}` : "");
            chart.replaceChildren(...draw(shown, labels));
        },
    };
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [320, 120, 34, 10, 10, 22];

function draw(shown: Shot[], labels: readonly string[]): Element[] {
    const groups = new Map<string, number[]>();
    for (const { label, before } of shown) {
        groups.set(label, [...(groups.get(label) ?? []), before]);
    }
    if (!groups.size) {
        return [];
    }
    const most = Math.max(5, ...Array.from(groups.values(), (values) => values.length));
    const x = (i: number) => LEFT + (i / (most - 1)) * (WIDTH - LEFT - RIGHT);
    const y = (v: number) => TOP + (1 - v) * (HEIGHT - TOP - BOTTOM);
    const lines = Array.from(groups, ([label, values]) => {
        const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
        const ink = colour(label, labels);
        return svg(
            "g",
            { style: `--of:${ink}` },
            svg("polyline", { class: "series", points }),
            ...values.map((v, i) => svg("circle", { class: "dot", cx: x(i), cy: y(v), r: 3.5 })),
        );
    });
    const grid = [0, 0.5, 1].flatMap((v) => [
        svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v) }),
        svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, `${100 * v}`),
    ]);
    const said = Array.from(groups, ([label, values]) => ({
        label,
        text: S.show.curveOf(label, values.length, values[0], values.at(-1)!),
    }));
    return [
        h("h3", {}, S.show.curve),
        svg(
            "svg",
            { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said.map(({ text }) => text).join("; ") },
            ...grid,
            svg("text", { x: LEFT, y: HEIGHT - 5 }, "1"),
            svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, `${most} ${S.show.axis}`),
            ...lines,
        ),
        h(
            "ul",
            { class: "legend" },
            ...said
                .slice(-MOST)
                .map(({ label, text }) => h("li", {}, h("i", { style: `background:${colour(label, labels)}` }), text)),
        ),
    ];
}
