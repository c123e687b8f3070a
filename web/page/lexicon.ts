// SPDX-License-Identifier: MIT
//
// lexicon.bin: all words. A page that comes from a server looks for it beside itself.

import { isLexicon } from "../words/words";

export const FILE = "lexicon.bin";

// What is beside the page, as it comes; null if it is not there, or the page comes from disk, where
// a browser fetches nothing. Throws if the line breaks.
export async function besides(progress: (share: number) => void): Promise<Uint8Array<ArrayBuffer> | null> {
    if (!/^https?:$/.test(location.protocol)) {
        return null;
    }
    const answer = await fetch(FILE, { mode: "same-origin" }).catch(() => null);
    if (!answer?.ok || !answer.body) {
        return null;
    }
    const total = Number(answer.headers.get("Content-Length")) || Infinity;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for (const reader = answer.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) {
            break;
        }
        parts.push(value as Uint8Array<ArrayBuffer>);
        size += value.length;
        progress(Math.min(1, size / total));
    }
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    return isLexicon(bytes) ? bytes : null; // some servers answer with a page, whatever is asked for
}

// Is it the file, dropped onto the page?
export function isNamed({ name }: File): boolean {
    return name.endsWith(".bin");
}
