// SPDX-License-Identifier: MIT
//
// The page packs what tinyvlm-pack packs, byte for byte, and refuses what it refuses, in its words.
// tests/test_web_words.py runs this, with the folder that tests/word_lists.py has filled.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { casefold, fixed, repr, rint, spoken, strip } from "./text";
import { factsOf, isKnown, Lexicon, pack, parse, type Packed, type Unknown } from "./words";

const FOLDER = process.env.TINYVLM_WORD_LISTS;
const LEFT_OUT = "left out of the background, as they would take a label's frames";
const DATA = new URL("../../host/tinyvlm/data/", import.meta.url);

interface Case {
    list: string;
    others: string;
    tvp: string;
    model: string;
    dim: number;
    unknown: Unknown;
    bits: 8 | 4;
    said: string[];
    told: string[];
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const room = ({ others }: Case) => (others ? parse(bytes(others)).lines : []);
const json = (name: string) => JSON.parse(readFileSync(new URL(name, DATA), "utf8"));
const facts = (model: string) => factsOf(json(`${model}.json`), json(`${model}.background.json`));
const load = (name: string) => Lexicon.load(new Uint8Array(readFileSync(`${FOLDER}/${name}`)));

describe.runIf(FOLDER)("the page and tinyvlm-pack", async () => {
    const cases: Case[] = FOLDER ? JSON.parse(readFileSync(`${FOLDER}/golden.json`, "utf8")) : [];
    const [whole, small] = FOLDER ? await Promise.all(["whole.bin", "lexicon.bin"].map(load)) : [];
    const encoders = Object.fromEntries(["base", "large", "nano", "max78000"].map((m) => [m, facts(m)]));
    const good = cases.filter(({ tvp }) => tvp), bad = cases.filter(({ tvp }) => !tvp);

    it("has 200 lists that pack and some that do not", () => {
        expect(good.length).toBeGreaterThanOrEqual(200);
        expect(bad.length).toBeGreaterThan(80);
    });

    it.each(good.map((one, i) => [i, one] as const))("packs list %i", (_, one) => {
        const { lines, problems } = parse(bytes(one.list));
        expect(problems).toEqual([]);
        const packed = pack(lines, whole, encoders[one.model], { ...one, others: room(one) });
        expect([...packed.problems, ...packed.otherProblems]).toEqual([]);
        const leftOut = packed.leftOut.slice(0, 5).map(({ word, why }) => `${word} (${why})`);
        expect(one.told).toEqual(leftOut.length ? [`${LEFT_OUT}: ${leftOut.join("; ")}`] : []);
        expect(said(packed, one)).toEqual(one.said);
        expect(packed.tvp).toEqual(bytes(one.tvp));
    });

    it.each(bad.map((one, i) => [i, one] as const))("refuses list %i", (_, one) => {
        const refused = () => {
            const list = parse(bytes(one.list));
            const problems = list.problems.length
                ? list.problems
                : pack(list.lines, whole, encoders[one.model], { ...one, others: room(one) }).problems;
            return problems.map(({ line, text }) => (
                line ? `list.txt:${line}: ${text}` : text.startsWith("...") ? text : `list.txt: ${text}`
            ));
        };
        // The last line tells how to install a sentence encoder, which the page has not.
        const expected = one.told.filter((line) => !line.startsWith("the lexicon is English; "));
        if (expected[0].startsWith("--")) {
            expect(refused).toThrow(expected[0].slice(2).replace(" --", " "));
        } else {
            expect(refused()).toEqual(expected);
        }
    });

    it.each(good.map((one, i) => [i, one] as const))("packs list %i as well or says why not", (_, one) => {
        const others = room(one);
        const packed = pack(parse(bytes(one.list)).lines, small, encoders[one.model], { ...one, others });
        if (packed.problems.length) {
            const texts = packed.problems.map(({ text }) => text).join("\n");
            expect(texts).toMatch(/^(.* has its vector in lexicon\.bin, not in this page; take .*\n?)+$/);
            const instead = packed.problems.map((problem) => problem.instead).join("\n");
            const again = pack(parse(instead).lines, small, encoders[one.model]);
            expect(again.problems).toEqual([]);
            expect(again.labels.length).toBe(packed.problems.length);
        } else if (!packed.otherProblems.length) {
            expect(packed.tvp).toEqual(bytes(one.tvp));
        }
    });

    it("has the vectors of all that CLIP itself knows, and of everyday things", () => {
        expect(small.names).toEqual(whole.names);
        const own = small.names.filter((name) => small.kind(name) !== "estimated");
        expect(() => own.forEach((name) => small.encode(name))).not.toThrow();
        expect(() => small.encode("air fryer")).not.toThrow();
        expect(small.size).toBeLessThan(whole.size);
    });

    it("packs what is good of a list, and nothing of none", () => {
        const { lines } = parse("cat\nqwxzv\ndog");
        const packed = pack(lines, small, encoders.base);
        expect(packed.labels).toEqual(["cat", "dog"]);
        expect(packed.tvp).toEqual(pack(parse("cat\ndog").lines, small, encoders.base).tvp);
        expect(packed.problems.map(({ line }) => line)).toEqual([2]);
        expect(pack([], small, encoders.base).tvp).toBeNull();
    });

    it("compares no more labels than a page has time for", () => {
        const many = (count: number) => parse(Array.from({ length: count }, (_, i) => `${i}a: cat`).join("\n")).lines;
        expect(pack(many(50), small, encoders.base).lint!.confused.get(64)).toBe(50 * 49 / 2);
        const { lint, tvp } = pack(many(1001), small, encoders.base);
        expect(lint).toBeNull();
        expect(tvp!.length).toBeGreaterThan(64000);
    });

    it("refuses an encoder of another text space", () => {
        const other = { ...encoders.base, space: "another" };
        expect(() => pack(parse("cat").lines, small, other)).toThrow("another CLIP");
    });

    it("takes training's scales where nothing was fitted for an encoder", () => {
        const other = { ...encoders.base, fingerprint: "0123456789abcdef" };
        const { tvp, expected } = pack(parse("cat").lines, small, other, { dim: 16 });
        expect(expected).toBeNull();
        expect(new DataView(tvp!.buffer).getFloat32(32, true)).toBeCloseTo(encoders.base.scales!["16"], 5);
    });

    it("refuses what is no lexicon", async () => {
        await expect(Lexicon.load(new Uint8Array(9))).rejects.toThrow("no lexicon");
        const file = new Uint8Array(readFileSync(`${FOLDER}/lexicon.bin`));
        for (const size of [4, 100, file.length / 2, file.length - 1]) {
            await expect(Lexicon.load(file.subarray(0, size))).rejects.toThrow("the lexicon is damaged; copy it again");
        }
    });

    it("knows which lexicon.bin belongs to the page", async () => {
        expect(whole.agrees(small)).toBe(true);
        expect(small.agrees(whole)).toBe(true);
        expect(whole.agrees(await load("other.bin"))).toBe(false); // one number differs
        expect(whole.agrees(await load("fewer.bin"))).toBe(false);
    });
});

describe.runIf(FOLDER)("characters are as Python has them", () => {
    const known = FOLDER ? JSON.parse(readFileSync(`${FOLDER}/letters.json`, "utf8")) : {};
    // Of a newer Unicode than the other side's nothing is expected.
    const both = FOLDER ? characters(known.assigned).filter((c) => !/\p{Cn}/u.test(c)) : [];

    it.each([
        ["spoken", spoken],
        ["space", (c: string) => strip(c) === ""],
        ["printed", (c: string) => c === "'" || c === "\\" || repr(c) === `'${c}'`],
    ])("%s", (name, says) => {
        const yes = new Set(characters(known[name]));
        expect(both.filter((c) => says(c) !== yes.has(c))).toEqual([]);
    });

    it("folded", () => {
        expect(both.length).toBeGreaterThan(140000);
        expect(both.filter((c) => casefold(c) !== (known.folded[c] ?? c))).toEqual([]);
    });
});

describe("the box", () => {
    it.each([
        ["cat, dog", ["cat", "dog"]],
        ["cat,, dog ,\nmug", ["cat", "dog", "mug"]],
        ["Katze: cat, kitten\ncup, mug # both", ["Katze", "cup", "mug"]],
    ])("takes %j", (text, labels) => {
        const { lines, problems } = parse(text, { commas: true });
        expect(lines.map(({ label }) => label)).toEqual(labels);
        expect(problems).toEqual([]);
    });

    it("tells the line of a problem", () => {
        expect(parse("cat, dog\n\ncat", { commas: true }).problems).toEqual(
            [{ line: 3, text: "'cat' stands in line 1 already; remove one" }],
        );
    });
});

describe("numbers", () => {
    it.each([
        [0.125, 2, "0.12"], [0.375, 2, "0.38"], [0.0625, 3, "0.062"], [0.1875, 3, "0.188"],
        [0.005, 2, "0.01"], [1.005, 2, "1.00"], [-0.125, 2, "-0.12"], [0.275, 3, "0.275"],
    ])("says %d with %d decimals as Python does: %s", (value, digits, text) => {
        expect(fixed(value, digits)).toBe(text);
    });

    it.each([[0.5, 0], [1.5, 2], [2.5, 2], [-0.5, 0], [-1.5, -2], [2.4999, 2]])("rounds %d to %d", (value, to) => {
        expect(rint(value) + 0).toBe(to);
    });
});

/** Those of which a run says yes. */
function characters(runs: [number, boolean][]): string[] {
    const found: string[] = [];
    let at = 0;
    for (const [last, yes] of runs) {
        for (; at <= last; at++) {
            if (yes && !(at >= 0xd800 && at < 0xe000)) {
                found.push(String.fromCodePoint(at));
            }
        }
    }
    return found;
}

/** What tinyvlm-pack prints. */
function said(packed: Packed, { model, dim, bits, unknown }: Case): string[] {
    const { labels, notes, tvp, expected, lint } = packed, count = labels.length;
    const odd = labels.map((label, i) => `  ${label}: ${notes[i]}`).filter((_, i) => !isKnown(notes[i]));
    if (odd.length > 5) {
        const error = (line: string) => /did you mean|not known and ignored/.test(line);
        odd.sort((a, b) => +error(b) - +error(a)); // what may be an error first
        odd.splice(5, odd.length, `  ... and ${odd.length - 5} more; --explain lists them`);
    }
    const named = labels.slice(0, 20).join(", ") + (count > 20 ? ", ..." : "");
    const threshold = new DataView(tvp!.buffer).getFloat32(36, true);
    const least = fixed(threshold, 3).replace(/0$/, "");
    const [right, missed, wrong, none] = [
        expected!.right, expected!.unknown, expected!.wrong, expected!.named,
    ].map(rint);
    const promise = unknown === "off"
        ? `of 100 frames that show one of these, about ${right} are named right; none is unknown`
        : `of 100 frames that show one of these, about ${right} are named right, ${missed} unknown, `
            + `${wrong} wrong; of 100 that show none, ${none} are named`;
    return [
        ...odd,
        `list.tvp: ${count} label${count === 1 ? "" : "s"} x ${dim} dimensions x ${bits} bits, `
            + `${tvp!.length} bytes, for encoder ${model} (${facts(model).fingerprint})`,
        named + (threshold ? `; unknown if no score reaches ${least}` : ""),
        promise,
        ...lint!.said(),
    ];
}
