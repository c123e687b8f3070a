// SPDX-License-Identifier: MIT
//
// Vocabularies against Python's: scores, boxes, heat, learning by showing, files.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { crc32 } from "../serial/bytes";
import type { Dense, Engine } from "./engine";
import { type Answer, builds, bytes, differing, golden, load, signed } from "./golden";
import { type Box, Vocab } from "./vocab";

const truth = golden();
type Made = (typeof truth.vocabularies)[number];

const title = ({ name, encoder }: Made) => `${name} for ${encoder}`;
const all = truth.vocabularies.map((made) => [title(made), made] as const);
const shown = all.filter(([, made]) => made.learnt);
const row = (box: Box) => [box.label, box.score, box.x0, box.y0, box.x1, box.y1];

function dense(made: Made, name: string): Dense {
    const { embedding, map } = truth.encoders[made.encoder].frames[name];
    return { embedding: signed(embedding), rows: 6, cols: 6, map: signed(map) };
}

function compare(vocab: Vocab, made: Made, answers: Record<string, Answer>) {
    for (const [name, want] of Object.entries(answers)) {
        const seen = dense(made, name);
        const match = vocab.match(seen.embedding);
        // the board leaves out what is below the threshold
        const found = match.map(({ label, score }) => [label, score]);
        expect(found.slice(0, want.match.length)).toEqual(want.match);
        expect(match[0].label).toBe(want.best);
        expect(match.map(({ label }) => label).sort((a, b) => a - b)).toEqual([
            -1,
            ...vocab.labels.map((_, i) => i),
        ]);
        const scores = new Array(vocab.labels.length);
        match.filter(({ label }) => label >= 0).forEach(({ label, score }) => (scores[label] = score));
        expect(scores).toEqual(want.scores);
        if (want.detect) {
            const size = truth.frames[name];
            expect(vocab.detect(seen, size).map(row)).toEqual(want.detect);
            expect(vocab.detect(seen, size, 0).map(row)).toEqual(want.detectAll);
            expect(vocab.detect(seen, size, 0.5).map(row)).toEqual(want.detectSure);
            const heat = new Float32Array(bytes(want.heat!).buffer);
            expect(differing(vocab.heat(seen, vocab.labels.length - 1), heat)).toBe(0);
        }
    }
}

describe.each(builds)("%s", (build) => {
    let engine: Engine;

    beforeAll(async () => {
        engine = await load(build);
    });

    test.each(all)("%s: scores, boxes and heat are Python's at every prefix", (_, made) => {
        const vocab = Vocab.open(bytes(made.file), engine);
        for (const [dim, { level, frames }] of Object.entries(made.dims)) {
            vocab.dim = Number(dim);
            const { scale, threshold, none } = vocab;
            for (const [key, value] of Object.entries({ scale, threshold, none })) {
                expect(Math.fround(value), key).toBe(Math.fround(level[key as keyof typeof level]));
            }
            compare(vocab, made, frames);
        }
    });

    test.each(all)("%s: the file is written as it was read", (_, made) => {
        expect(differing(Vocab.open(bytes(made.file), engine).bytes(), bytes(made.file))).toBe(0);
    });

    test.each(shown)("%s: what was shown is learnt as Python does, byte by byte", (_, made) => {
        let vocab = Vocab.open(bytes(made.file), engine);
        for (const [i, step] of made.learnt!.steps.entries()) {
            vocab.add(step.label, [signed(step.embedding)]);
            expect(vocab.shots(vocab.labels.indexOf(step.label))).toBe(step.shots);
            expect(differing(vocab.bytes(), bytes(step.file)), `step ${i}`).toBe(0);
            if (step.reopened) {
                vocab = Vocab.open(vocab.bytes(), engine);
            }
        }
        vocab.remove(made.learnt!.removed);
        expect(differing(vocab.bytes(), bytes(made.learnt!.file))).toBe(0);
        compare(Vocab.open(bytes(made.learnt!.steps[8].file), engine), made, made.after!);
    });

    test("several shots at once are the same and one step back, or none of them", () => {
        const made = truth.vocabularies[0];
        const shots = Object.keys(truth.frames).slice(0, 4).map((name) => dense(made, name).embedding);
        const one = Vocab.open(bytes(made.file), engine);
        const four = Vocab.open(bytes(made.file), engine);
        expect(four.undo()).toBe(false);
        four.add("my mug", shots);
        shots.forEach((shot) => one.add("my mug", [shot]));
        expect(four.bytes()).toEqual(one.bytes());
        expect(four.curve()).toEqual(one.curve());
        expect(four.curve().map(({ label, shots }) => [label, shots])).toEqual([1, 2, 3, 4].map((n) => ["my mug", n]));
        expect(four.curve()[0].before).toBe(0);
        const last = four.match(shots[3]).find(({ label }) => label === 3)!;
        expect(four.curve()[3].after).toBe(last.score);
        const before = four.bytes();
        expect(() => four.add("my mug", [shots[0], new Int8Array(3)])).toThrow(
            "the embedding has 3 dimensions, the vocabulary 64",
        );
        expect(four.bytes()).toEqual(before);
        expect(four.undo()).toBe(true);
        expect(four.bytes()).toEqual(bytes(made.file));
        expect(four.curve()).toEqual([]);
    });

    test("vocabularies take turns in the same memory", () => {
        const vocabs = all.map(([, made]) => Vocab.open(bytes(made.file), engine));
        const run = () =>
            vocabs.map((vocab, i) => {
                const seen = dense(all[i][1], "coffee");
                return [vocab.match(seen.embedding), vocab.detect(seen, truth.frames.coffee)];
            });
        const first = run();
        const { buffer } = engine.exports.memory;
        expect(run()).toEqual(first);
        expect(engine.exports.memory.buffer).toBe(buffer);
    });

    test("threshold 1 leaves unknown, 0 none", () => {
        const made = truth.vocabularies[0];
        const vocab = Vocab.open(bytes(made.file), engine);
        const { embedding } = dense(made, "chelsea");
        expect(vocab.match(embedding)[0].label).toBe(0);
        vocab.threshold = 1;
        const [first, second] = vocab.match(embedding);
        expect([first.label, second.label]).toEqual([-1, 0]);
        expect(first.score).toBe(1 - second.score);
        expect(Vocab.open(vocab.bytes(), engine).threshold).toBe(1);
        expect(() => (vocab.threshold = 2)).toThrow("threshold 2: a score is 0 ... 1");
        expect(() => (vocab.dim = 65)).toThrow("dim 65: this vocabulary holds 64");
        expect(() => vocab.remove("cow")).toThrow("vocabulary has no label 'cow'");
        for (const [label, sentence] of [
            ["", "a label has 1 ... 255 bytes of UTF-8, not 0"],
            ["ü".repeat(128), "not 256"],
            ["unknown", "'unknown' is what shows none of the labels"],
        ]) {
            expect(() => vocab.add(label, [embedding])).toThrow(sentence);
        }
    });

    test("a vocabulary of another encoder is refused", () => {
        const [base, nano] = ["base", "nano"].map((name) => engine.open(readFileSync(truth.encoders[name].file)));
        const vocab = Vocab.open(bytes(truth.vocabularies[0].file), engine);
        vocab.check(base);
        expect(() => vocab.check(nano)).toThrow(
            `vocabulary was packed for encoder base (${base.fingerprint}), this is nano (${nano.fingerprint})`,
        );
    });

    test("every byte changed: the same sentence, or the same answer", () => {
        const file = bytes(truth.changed.file);
        const embedding = signed(truth.changed.embedding);
        const verdicts = truth.changed.verdicts.values();
        let opened = 0;
        for (let at = 0; at < file.length; at++) {
            for (const flip of [0x01, 0x80, 0xff]) {
                const data = file.slice();
                data[at] ^= flip;
                new DataView(data.buffer).setUint32(12, crc32(data.subarray(16)), true);
                let verdict: string | [number, number];
                try {
                    const match = Vocab.open(data, engine).match(embedding);
                    verdict = [match[0].label, match.find(({ label }) => label === 0)!.score];
                    opened++;
                } catch (error) {
                    verdict = (error as Error).message;
                }
                expect(verdict, `byte ${at} ^ ${flip}`).toEqual(verdicts.next().value);
            }
        }
        expect(verdicts.next().done).toBe(true);
        expect(opened).toBeGreaterThan(file.length);
    });

    test.each(truth.hostile.tvp)("$name is said to be what Python says", ({ data, error }) => {
        const open = () => Vocab.open(bytes(data), engine);
        if (error === null) {
            expect(open().bytes().length).toBeGreaterThan(48);
        } else {
            expect(open).toThrow(new Error(`vocabulary: ${error}`));
        }
    });
});
