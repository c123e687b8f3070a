// SPDX-License-Identifier: MIT
//
// How careful: the four settings of tinyvlm-pack, and the threshold itself.

import { card, h, say } from "./dom";
import type { Summary, Unknown } from "./protocol";
import { S } from "./strings";

const SETTINGS: Unknown[] = ["cautious", "balanced", "eager", "off"];

export interface UnknownCard {
    element: HTMLElement;
    setting(): Unknown;
    threshold(): number | null; // null: as fitted
    update(summary: Summary): void;
}

export function unknownCard(changed: () => void): UnknownCard {
    let setting: Unknown = "balanced";
    let threshold: number | null = null;
    const slider = h("input", {
        type: "range",
        id: "threshold",
        min: 0,
        max: 1,
        step: 0.01,
        oninput: () => {
            threshold = Number(slider.value);
            changed();
        },
    });
    const value = h("output", { for: "threshold" });
    const reset = h(
        "button",
        {
            type: "button",
            class: "small",
            onclick: () => {
                threshold = null;
                changed();
            },
        },
        S.unknown.reset,
    );
    const rates = h("p", { class: "hint" });
    const choice = (name: Unknown) =>
        h(
            "label",
            {},
            h("input", {
                type: "radio",
                name: "unknown",
                value: name,
                checked: name === setting,
                onchange: () => {
                    setting = name;
                    threshold = null;
                    changed();
                },
            }),
            h("span", {}, S.unknown.names[name]),
        );
    return {
        element: card(
            "unknown",
            S.unknown.heading,
            {},
            h("fieldset", { class: "choice" }, h("legend", {}, S.unknown.lead), ...SETTINGS.map(choice)),
            h("div", { class: "row slider" }, h("label", { for: "threshold" }, S.unknown.threshold), value, reset),
            slider,
            rates,
        ),
        setting: () => setting,
        threshold: () => threshold,
        update(summary) {
            slider.value = String(summary.threshold);
            say(value, S.unknown.value(summary.threshold, threshold === null));
            reset.disabled = threshold === null;
            const { rates: known } = summary;
            if (!known) {
                say(rates, "");
                return;
            }
            const [right, unknown, wrong, named] = [known.right, known.unknown, known.wrong, known.named].map(Math.round);
            const text = setting === "off" ? S.unknown.ratesOff(right) : S.unknown.rates(right, unknown, wrong, named);
            say(rates, threshold === null ? text : `${text} ${S.unknown.moved}`);
        },
    };
}
