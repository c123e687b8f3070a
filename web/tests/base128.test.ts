// SPDX-License-Identifier: MIT

import { expect, test } from "vitest";
import { fromText, toText } from "../base128";

const random = (size: number, seed: number) => {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        bytes[i] = seed >>> 16;
    }
    return bytes;
};

test.each([0, 1, 2, 6, 7, 8, 13, 14, 1000])("%i bytes come back", (size) => {
    for (const bytes of [random(size, size + 1), new Uint8Array(size), random(size, 7).fill(60)]) {
        expect(Buffer.compare(fromText(toText(bytes), size), bytes)).toBe(0);
    }
});

test("nothing that HTML changes or ends a script with", () => {
    const text = toText(random(100000, 3));
    expect(text).not.toMatch(/[\0\r<]/);
    expect(new TextEncoder().encode(text).length).toBeLessThan(100000 * 1.15);
});

test("every byte and every pair of marked letters", () => {
    const all = Uint8Array.from({ length: 65536 }, (_, i) => (i & 1 ? i >> 8 : i));
    expect(Buffer.compare(fromText(toText(all), all.length), all)).toBe(0);
});
