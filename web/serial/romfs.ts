// SPDX-License-Identifier: MIT
//
// ROMFS images, byte by byte as boards/romfs.py makes them: files of the root lie at multiples of 32
// bytes, where their contents are used in place.

import { BoardError } from "./errors";
import { sentences } from "./sentences";

const ALIGN = 32;
const HEAD = 16; // bytes before the root's first record
const MAGIC = [0xd2, 0xcd, 0x31];
const VERBATIM = 2;
const FOLDER = 4;
const FILE = 5;

interface Folder {
    [name: string]: Folder | Uint8Array;
}

// An image of files whose paths begin with /rom/.
export function makeImage(files: { path: string; data: Uint8Array }[]): Uint8Array {
    const tree: Folder = Object.create(null);
    for (const { path, data } of files) {
        const parts = path.split("/").slice(2);
        const name = parts.pop()!;
        let here = tree;
        for (const part of parts) {
            here = (here[part] ??= Object.create(null)) as Folder;
        }
        here[name] = data;
    }
    const root = contents(tree, true);
    const size = number(root.length);
    const padding = Array(HEAD - MAGIC.length - size.length).fill(0x80);
    return join(Uint8Array.from([...MAGIC, ...padding, ...size]), root);
}

function contents(folder: Folder, isRoot: boolean): Uint8Array {
    let whole: Uint8Array = new Uint8Array(0);
    const order = (a: string, b: string) => (a < b ? -1 : 1);
    for (const name of Object.keys(folder).sort(order)) {
        if (!/^[\x00-\x7f]*$/.test(name)) {
            throw new BoardError(sentences.asciiOnly(name));
        }
        const content = folder[name];
        const letters = [...number(name.length), ...new TextEncoder().encode(name)];
        if (!(content instanceof Uint8Array)) {
            whole = join(whole, record(FOLDER, join(Uint8Array.from(letters), contents(content, false))));
            continue;
        }
        // A number may have more bytes than it needs (leading 0x80): so many that the file lies right.
        for (let padding = 0; padding < 2 * ALIGN; padding++) {
            const size = [...Array(isRoot ? padding : 0).fill(0x80), ...number(content.length)];
            const head = Uint8Array.from([...letters, VERBATIM, ...size]);
            const found = record(FILE, join(head, content));
            if (!isRoot || (HEAD + whole.length + found.length - content.length) % ALIGN === 0) {
                whole = join(whole, found);
                break;
            }
        }
    }
    return whole;
}

function record(kind: number, payload: Uint8Array): Uint8Array {
    return join(Uint8Array.from([...number(kind), ...number(payload.length)]), payload);
}

// Seven bits a byte, the highest first; all but the last have the eighth.
function number(value: number): number[] {
    const found = [value & 127];
    for (value >>>= 7; value; value >>>= 7) {
        found.unshift(128 | (value & 127));
    }
    return found;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
    const whole = new Uint8Array(a.length + b.length);
    whole.set(a);
    whole.set(b, a.length);
    return whole;
}
