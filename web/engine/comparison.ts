// SPDX-License-Identifier: MIT
//
// One frame's embedding, and its map, beside a vocabulary's prototypes in the engine's memory, and what
// the C core says of them. For one answer: the next comparison uses the same memory.

import type { Dense, Engine } from "./engine";
import type { Held } from "./learn";
import { type Contents, type Level, rowSize } from "./tvp";
import { aligned } from "./wasm";

/** x, y, width and height in the centred square. */
export type Region = [number, number, number, number];

export class Comparison {
    private readonly at;
    private readonly labels: number;
    private readonly cells: number;

    constructor(
        private readonly engine: Engine,
        private readonly contents: Contents,
        private readonly held: Held,
        private readonly dim: number,
        embedding: Int8Array,
        private readonly dense?: Dense,
    ) {
        if (embedding.length < dim) {
            throw new Error(`the embedding has ${embedding.length} dimensions, dim is ${dim}`);
        }
        this.labels = held.labels.length;
        this.cells = dense ? dense.rows * dense.cols : 0;
        this.at = this.places(embedding.length);
        const { memory } = engine;
        memory.int8(this.at.embedding, embedding.length).set(embedding);
        if (dense) {
            memory.int8(this.at.map, dense.map.length).set(dense.map);
            this.peaks();
        }
    }

    /** The nearest label if that is the board's answer, else -1; all scores and cosines, good until the next call. */
    all(level: Level): { best: number; scores: Float32Array; cosines: Float32Array } {
        const { at, labels } = this;
        const { memory, exports } = this.engine;
        const { dim, bits, rivals } = this.contents;
        const rows = labels + rivals;
        const { scale, threshold, none } = level;
        exports.tv_score(at.embedding, at.vectors, rows, dim, bits, this.dim, at.cosines, 0, 0); // no hook
        exports.tv_weigh(at.cosines, at.shown, this.held.learnt.size, at.gains);
        const sure = exports.tv_rank(at.cosines, labels, rows, scale, threshold, none, at.scores, 1, at.index);
        return {
            best: sure ? memory.uint16(at.index, 1)[0] : -1,
            scores: memory.float32(at.scores, labels),
            cosines: memory.float32(at.cosines, labels),
        };
    }

    /** The `count` labels with the warmest cells. */
    warmest(count: number): Uint16Array {
        const { memory, exports } = this.engine;
        const found = exports.tv_largest(this.at.peaks, this.labels, count, this.at.order);
        return memory.uint16(this.at.order, found).slice();
    }

    /** How much of a label is in each cell, good until the next call. */
    heat(label: number): Float32Array {
        if (!(label >= 0 && label < this.labels)) {
            throw new Error(`label ${label}: this vocabulary has ${this.labels}`);
        }
        const { at, cells } = this;
        const { memory, exports } = this.engine;
        const { dim, bits } = this.contents;
        const vector = at.vectors + label * rowSize(dim, bits);
        exports.tv_map_heat(at.map, cells, this.mapDim, vector, dim, bits, this.dim, at.levels, at.heat);
        return memory.float32(at.heat, cells);
    }

    /** Where heat() found it, in a square of side x side pixels. What is there becomes the embedding. */
    region(side: number): Region {
        const { at, cells } = this;
        const { memory, exports } = this.engine;
        const { rows, cols } = this.dense!;
        exports.tv_map_region(at.heat, rows, cols, side, at.mask, at.box);
        exports.tv_map_mean(at.map, cells, this.mapDim, at.mask, this.dim, at.embedding);
        return Array.from(memory.uint16(at.box, 4)) as Region;
    }

    private get mapDim(): number {
        return this.dense!.map.length / this.cells;
    }

    private peaks(): void {
        const { at } = this;
        const { dim, bits, background } = this.contents;
        this.engine.exports.tv_map_peaks(
            at.map,
            this.cells,
            this.mapDim,
            at.vectors,
            this.labels + background,
            dim,
            bits,
            this.dim,
            at.cosines,
            at.peaks,
            at.levels,
            0, // no hook
            0,
        );
    }

    /** Where things lie; the prototypes are there. */
    private places(embedding: number) {
        const { held, labels, cells } = this;
        const { memory } = this.engine;
        const rows = labels + this.contents.background;
        const shown = held.learnt.size;
        const work = divided({
            cosines: 4 * rows,
            scores: 4 * labels,
            peaks: 4 * rows,
            levels: 8 * cells,
            heat: 4 * cells,
            mask: cells,
            box: 8,
            index: 2,
            order: 2 * labels,
        });
        const vocab = divided({ vectors: held.vectors.length, shown: 2 * shown, gains: 4 * shown });
        const base = memory.reserve({
            embedding,
            map: this.dense ? this.dense.map.length : 0,
            vocab: vocab.size,
            work: work.size,
        });
        const { embedding: own, map } = base;
        const at = { embedding: own, map, ...vocab.from(base.vocab), ...work.from(base.work) };
        memory.hold("vocab", held, () => {
            const order = [...held.learnt.keys()].sort((a, b) => a - b);
            memory.bytes.set(held.vectors, at.vectors);
            memory.uint16(at.shown, shown).set(order);
            memory.float32(at.gains, shown).set(order.map((label) => held.learnt.get(label)!.gain));
        });
        return at;
    }
}

/** Several things in a row: how much they take, and where they are from an address on. */
function divided<K extends string>(sizes: Record<K, number>) {
    const ends: Partial<Record<K, number>> = {};
    let size = 0;
    for (const [name, bytes] of Object.entries(sizes) as [K, number][]) {
        ends[name] = size;
        size += aligned(bytes);
    }
    const from = (start: number) =>
        Object.fromEntries(Object.entries(ends).map(([name, at]) => [name, start + (at as number)])) as Record<
            K,
            number
        >;
    return { size, from };
}
