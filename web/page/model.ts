// SPDX-License-Identifier: MIT
//
// What the worker knows: the words as typed, the frames that were shown, and the vocabulary that
// these make. It is made anew whenever the words change, and learns the frames again then.

import type { Encoder, Engine } from "../engine/engine";
import { Vocab } from "../engine/vocab";
import { isKnown, pack, parse, type EncoderFacts, type Lexicon, type Packed, type WordList } from "../words/words";
import type { Frame, Look, Options, Size, Summary, Wanted, Word } from "./protocol";

const DIMS = [16, 32, 64, 128, 256];
const MOST_PAIRS = 20;
const MANY = 60; // labels; of more the sizes are not compared, as it takes its time

export class Model {
    private options: Options = { text: "", dim: 64, unknown: "balanced", threshold: null };
    private list: WordList = { lines: [], problems: [] };
    private packed: Packed | null = null;
    private vocab: Vocab | null = null;
    private shots: { label: string; embedding: Int8Array }[] = [];
    private sizes: Size[] = [];

    constructor(
        private readonly engine: Engine,
        private readonly encoder: Encoder,
        private lexicon: Lexicon,
        private readonly facts: EncoderFacts,
    ) {}

    words(options: Options): Summary {
        const before = this.options;
        this.options = options;
        const changed = !this.packed || before.text !== options.text || before.unknown !== options.unknown;
        if (changed || before.dim !== options.dim) {
            this.list = parse(options.text, { commas: true });
            this.packed = pack(this.list.lines, this.lexicon, this.facts, options);
        }
        if (changed) {
            this.sizes = this.measure();
        }
        return this.make();
    }

    look(frame: Frame, wanted: Wanted): Look {
        const start = performance.now();
        const { vocab } = this;
        const label = vocab && wanted.heat !== null ? vocab.labels.indexOf(wanted.heat) : -1;
        const dense = wanted.where || label >= 0 ? this.encoder.embedMap(frame) : null;
        const embedding = dense ? dense.embedding : this.encoder.embed(frame);
        const found: Look = { scores: [], said: "", boxes: [], heat: null, ms: 0 };
        if (vocab) {
            const name = (number: number) => vocab.labels[number] ?? "";
            const scores = vocab.match(embedding);
            found.said = name(scores[0].label);
            found.scores = scores.map(({ label, score }) => ({ label: name(label), score }));
            if (dense && wanted.where) {
                found.boxes = vocab.detect(dense, frame).map((box) => ({ ...box, label: name(box.label) }));
            }
            if (dense && label >= 0) {
                const { rows, cols } = dense;
                found.heat = { rows, cols, values: vocab.heat(dense, label) };
            }
        }
        found.ms = performance.now() - start;
        return found;
    }

    show(label: string, frame: Frame): Summary {
        const embedding = this.encoder.embed(frame);
        this.vocab?.add(label, [embedding]); // throws what is wrong with the label
        this.shots.push({ label, embedding });
        return this.summary();
    }

    undo(): Summary {
        this.shots.pop();
        this.vocab?.undo();
        return this.summary();
    }

    forget(): Summary {
        this.shots = [];
        return this.make();
    }

    file(): Uint8Array {
        if (!this.vocab) {
            throw new Error("no words yet");
        }
        return this.vocab.bytes();
    }

    // Another lexicon, which has more; the words are packed anew.
    use(lexicon: Lexicon): Summary {
        if (!lexicon.agrees(this.lexicon)) {
            throw new Error("this lexicon.bin is of another version than the page; take both from one release");
        }
        this.lexicon = lexicon;
        this.packed = null;
        return this.words(this.options);
    }

    private make(): Summary {
        const { tvp } = this.packed!;
        this.vocab = tvp && Vocab.open(tvp, this.engine);
        if (this.vocab) {
            if (this.options.threshold !== null) {
                this.vocab.threshold = this.options.threshold;
            }
            for (const { label, embedding } of this.shots) {
                this.vocab.add(label, [embedding]);
            }
        }
        return this.summary();
    }

    private summary(): Summary {
        const { vocab, options } = this;
        const { lint, expected, problems } = this.packed!;
        const wrong = this.list.problems;
        const all = wrong.length === 1 && !wrong[0].line && !options.text.trim() ? problems : [...wrong, ...problems];
        const at = (pair: { a: string; b: string; cosines: number[] }) => ({
            a: pair.a,
            b: pair.b,
            cosine: lint!.at(pair),
        });
        return {
            labels: vocab ? [...vocab.labels] : [],
            words: this.listed(),
            problems: all.sort((a, b) => a.line - b.line),
            confused: lint ? lint.warnings.slice(0, MOST_PAIRS).map(at) : [],
            nearest: lint?.pairs.length ? at(lint.pairs[0]) : null,
            rates: expected,
            bytes: vocab ? vocab.bytes().length : 0,
            sizes: this.sizes,
            threshold: vocab?.threshold ?? 0,
            shown: vocab ? [...vocab.curve()] : [],
            vectors: { here: this.lexicon.size, all: this.lexicon.names.length },
        };
    }

    // Every word that was typed, and what was shown without one.
    private listed(): Word[] {
        const { labels, notes } = this.packed!;
        const { vocab } = this;
        const shots = (label: string) => {
            const number = vocab ? vocab.labels.indexOf(label) : -1;
            return number < 0 ? 0 : vocab!.shots(number);
        };
        const listed = this.list.lines.map(({ label }): Word => {
            const number = labels.indexOf(label);
            const note = number < 0 || isKnown(notes[number]) ? "" : notes[number];
            return { label, known: number >= 0, shots: shots(label), note };
        });
        const more = vocab ? vocab.labels.filter((label) => !listed.some((word) => word.label === label)) : [];
        return [...listed, ...more.map((label) => ({ label, known: false, shots: shots(label), note: "" }))];
    }

    private measure(): Size[] {
        const { labels } = this.packed!;
        // Without those that are not known: looking for what they may mean takes its time.
        const lines = this.list.lines.filter(({ label }) => labels.includes(label));
        const dims = labels.length > MANY ? [] : DIMS;
        return dims.flatMap((dim) => {
            const { tvp, expected } = pack(lines, this.lexicon, this.facts, { ...this.options, dim });
            return tvp ? [{ dim, bytes: tvp.length, right: expected?.right ?? null }] : [];
        });
    }
}
