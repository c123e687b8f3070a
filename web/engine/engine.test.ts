// SPDX-License-Identifier: MIT
//
// The engine in WebAssembly against the PC's: embeddings and maps of all frames, all encoders, and
// what is said of damaged files.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { crc32 } from "../serial/bytes";
import { type Encoder, type Engine, hasSimd } from "./engine";
import { builds, bytes, differing, frame, golden, load, signed } from "./golden";

const truth = golden();
const names = Object.keys(truth.encoders);

test("node runs both builds", async () => {
    expect(hasSimd()).toBe(true);
    expect(await Promise.all(builds.map(async (build) => (await load(build)).simd))).toEqual([false, true]);
});

describe.each(builds)("%s", (build) => {
    let engine: Engine;
    const encoders: Record<string, Encoder> = {};

    beforeAll(async () => {
        engine = await load(build);
        for (const name of names) {
            encoders[name] = engine.open(readFileSync(truth.encoders[name].file));
        }
    });

    test.each(names)("%s: its file and its known answer", (name) => {
        const { file, frames, ...about } = truth.encoders[name];
        expect(encoders[name]).toMatchObject({ ...about, bytes: readFileSync(file).length });
        expect(encoders[name].selfTest()).toBe(true);
    });

    test.each(names)("%s: 0 of all values of embeddings and maps differ", (name) => {
        let values = 0;
        const wrong: Record<string, number> = {};
        for (const [which, size] of Object.entries(truth.frames)) {
            const want = truth.encoders[name].frames[which];
            const picture = frame(which, size);
            const { embedding, map } = encoders[name].embedMap(picture);
            const pairs: [Int8Array, Int8Array][] = [
                [embedding, signed(want.embedding)],
                [encoders[name].embed(picture), signed(want.embedding)],
                [map, signed(want.map)],
            ];
            for (const [got, wanted] of pairs) {
                values += wanted.length;
                const count = differing(got, wanted);
                if (count) {
                    wrong[which] = (wrong[which] ?? 0) + count;
                }
            }
        }
        expect(wrong).toEqual({});
        expect(values).toBeGreaterThan(100_000);
        console.log(`${build}, ${name}: 0 of ${values} values differ`);
    });

    test("a frame like the last one takes no memory, and encoders may take turns", () => {
        const large = frame("china", truth.frames.china);
        const small = frame("made-96x96", truth.frames["made-96x96"]);
        const run = () => names.flatMap((name) => [large, small].map((it) => encoders[name].embedMap(it)));
        const first = run();
        const { buffer } = engine.exports.memory;
        expect(run()).toEqual(first);
        expect(engine.exports.memory.buffer).toBe(buffer);
    });

    test("a part of a frame's buffer is a frame, too", () => {
        const { data, ...size } = frame("made-97x131", truth.frames["made-97x131"]);
        const longer = new Uint8ClampedArray(data.length + 7);
        longer.set(data);
        expect(encoders.nano.embed({ ...size, data: longer })).toEqual(encoders.nano.embed({ ...size, data }));
    });

    test.each([
        [0, 5, 0, "width and height must be at least 1"],
        [5, 5, 99, "the buffer is smaller than the frame"],
        [5000, 5000, 0, "the frame is too large: its shorter side is at most 4096 pixels"],
        [70000, 1, 0, "the frame is too large"],
    ])("a frame of %i x %i pixels in %i bytes: %s", (width, height, size, sentence) => {
        const wrong = { width, height, data: new Uint8Array(size) };
        expect(() => encoders.nano.embed(wrong)).toThrow(sentence);
        expect(encoders.nano.selfTest()).toBe(true);
    });

    test.each(truth.hostile.model)("$name is said to be what Python says", ({ data, error }) => {
        const open = () => engine.open(bytes(data));
        if (error === null) {
            open();
        } else {
            expect(open).toThrow(new Error(error));
        }
        expect(encoders.base.selfTest()).toBe(true);
    });

    test("the known answer is looked at", () => {
        const file = new Uint8Array(readFileSync(truth.encoders.nano.file));
        const view = new DataView(file.buffer);
        const section = Array.from({ length: file[31] }, (_, i) => 72 + 12 * i).find((at) =>
            String.fromCharCode(...file.subarray(at, at + 4)) === "TEST",
        )!;
        file[view.getUint32(section + 4, true) + 4] ^= 1;
        expect(() => engine.open(file)).toThrow("the checksum does not match, the file is damaged");
        view.setUint32(12, crc32(file.subarray(16, view.getUint32(8, true))), true);
        expect(engine.open(file).selfTest()).toBe(false);
    });
});
