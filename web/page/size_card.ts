// SPDX-License-Identifier: MIT
//
// What the dimensions cost and bring, and which words will be confused.

import { card, h, say, set, svg } from "./dom";
import type { Size, Summary } from "./protocol";
import { S } from "./strings";

const MOST = 5; // pairs

export interface SizeCard {
    element: HTMLElement;
    dim(): number;
    update(summary: Summary): void;
}

export function sizeCard(changed: () => void): SizeCard {
    const slider = h("input", { type: "range", id: "dims", min: 16, max: 256, step: 8, value: 64, oninput: changed });
    const value = h("output", { for: "dims" });
    const chart = h("div", { class: "chart" });
    const confused = h("div", {});
    let drawn = "";
    return {
        element: card(
            "size",
            S.size.heading,
            {},
            h("div", { class: "row slider" }, h("label", { for: "dims" }, S.size.dims), value),
            slider,
            h("p", { class: "hint" }, S.size.lead),
            chart,
            confused,
        ),
        dim: () => Number(slider.value),
        update(summary) {
            const dim = Number(slider.value);
            say(value, S.size.value(dim, summary.bytes));
            set(slider, { "aria-valuetext": S.size.value(dim, summary.bytes) });
            const now = JSON.stringify([summary.sizes, dim, summary.rates, summary.confused, summary.nearest]);
            if (now === drawn) {
                return;
            }
            drawn = now;
            chart.replaceChildren(...draw(summary.sizes, dim, summary.rates?.right ?? null));
            confused.replaceChildren(...pairs(summary));
        },
    };
}

function pairs({ confused, nearest }: Summary): HTMLElement[] {
    if (!confused.length) {
        return nearest ? [h("p", {}, S.size.nearest(nearest.a, nearest.b, nearest.cosine))] : [];
    }
    const more = confused.length - MOST;
    return [
        h("h3", {}, S.size.confused),
        h(
            "ul",
            { class: "pairs" },
            ...confused.slice(0, MOST).map(({ a, b, cosine }) => h("li", {}, S.size.pair(a, b, cosine))),
            more > 0 && h("li", {}, S.size.more(more)),
        ),
        h("p", { class: "hint" }, S.size.advice),
    ];
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [320, 132, 30, 16, 22, 34];

// Expected accuracy by dimensions, which are shown by their logarithm; the bytes stand below.
function draw(sizes: Size[], dim: number, right: number | null): Element[] {
    const known = sizes.filter((size) => size.right !== null);
    if (known.length < 2 || right === null) {
        return [];
    }
    const values = known.map((size) => size.right!);
    const low = Math.max(0, Math.floor(Math.min(...values, right) / 10 - 0.5) * 10);
    const high = Math.min(100, Math.ceil(Math.max(...values, right) / 10 + 0.5) * 10);
    const x = (d: number) => LEFT + ((Math.log2(d) - 4) / 4) * (WIDTH - LEFT - RIGHT);
    const y = (v: number) => TOP + ((high - v) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const line = known.map((size) => `${x(size.dim).toFixed(1)},${y(size.right!).toFixed(1)}`).join(" ");
    const rows = known.map((size) => `${size.dim}: ${Math.round(size.right!)}`).join(", ");
    const grid = [low, (low + high) / 2, high].flatMap((v) => [
        svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v) }),
        svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, String(Math.round(v))),
    ]);
    const ticks = known.flatMap((size) => [
        svg("text", { x: x(size.dim), y: HEIGHT - 18, "text-anchor": "middle" }, String(size.dim)),
        svg("text", { class: "faint", x: x(size.dim), y: HEIGHT - 4, "text-anchor": "middle" }, `${size.bytes} B`),
    ]);
    return [
        svg(
            "svg",
            { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": S.size.chart(rows) },
            svg("text", { x: LEFT, y: 11 }, S.size.chartTitle),
            ...grid,
            ...ticks,
            svg("line", { class: "now", x1: x(dim), x2: x(dim), y1: TOP - 4, y2: HEIGHT - BOTTOM }),
            svg("polyline", { class: "curve", points: line }),
            ...known.map((size) => svg("circle", { class: "point", cx: x(size.dim), cy: y(size.right!), r: 3 })),
            svg("circle", { class: "here", cx: x(dim), cy: y(right), r: 5 }),
        ),
    ];
}
