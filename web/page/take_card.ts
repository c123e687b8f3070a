// SPDX-License-Identifier: MIT
//
// The file for the board.

import { card, h, say } from "./dom";
import type { Summary } from "./protocol";
import { S } from "./strings";

export const FILE = "words.tvp";

export interface TakeCard {
    element: HTMLElement;
    update(summary: Summary): void;
}

export function takeCard(file: () => Promise<Uint8Array>): TakeCard {
    const button = h("button", { type: "button", class: "primary", disabled: true, onclick: () => void download() });
    const missing = h("p", { role: "status" });
    async function download(): Promise<void> {
        const data = Uint8Array.from(await file());
        const url = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
        h("a", { href: url, download: FILE }).click();
        setTimeout(() => URL.revokeObjectURL(url), 60_000);
    }
    return {
        element: card(
            "take",
            S.take.heading,
            {},
            button,
            missing,
            h("p", { class: "hint" }, S.take.downloadLead),
            h("p", {}, S.take.byHand),
            h("pre", { tabindex: "0" }, S.take.command),
        ),
        update({ labels, bytes, words }) {
            const without = words.map(({ label }) => label).filter((label) => !labels.includes(label));
            say(missing, labels.length && without.length ? S.take.without(without.join(", ")) : "");
            button.disabled = !labels.length;
            say(button, labels.length ? S.take.download(bytes) : S.take.nothing);
        },
    };
}
