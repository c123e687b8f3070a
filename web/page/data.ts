// SPDX-License-Identifier: MIT
//
// The data that lies in the page itself, put there by ../embed.ts.

import { fromText } from "../base128";
import type { Block } from "./protocol";

// On the page's side: not unpacked, for the worker or for bytesOf().
export function block(name: string): Block {
    const element = document.getElementById(`data-${name}`);
    if (!element) {
        throw new Error(`${name} is not in this page`);
    }
    const { size, form } = element.dataset;
    return { text: element.textContent!, size: Number(size), deflated: form === "deflate" };
}

export async function bytesOf({ text, size, deflated }: Block): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = fromText(text, size);
    if (!deflated) {
        return bytes;
    }
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function textOf(found: Block): Promise<string> {
    return new TextDecoder().decode(await bytesOf(found));
}

// The names of all data that begin so: "photo-".
export function names(begin: string): string[] {
    return Array.from(document.querySelectorAll(`script[id^="data-${begin}"]`), (element) =>
        element.id.slice("data-".length),
    );
}
