// SPDX-License-Identifier: MIT
//
// The engine in C (wasm.c, native/) as functions, and its memory. That is divided into places, one
// for each thing a frame needs. A place grows when something larger comes, never for a frame like the
// last one; then those behind it move and what they held is lost. So whoever fills a place for longer
// than one call says so (`hold`), and fills it again where the content is not theirs any more.

type Address = number;

export interface Exports {
    memory: WebAssembly.Memory;
    __heap_base: WebAssembly.Global;
    engine_simd(): number;
    engine_open(file: Address, size: number): number;
    engine_about(): Address;
    engine_bad_layer(): Address;
    engine_check(width: number, height: number): number;
    engine_embed(
        pixels: Address,
        width: number,
        height: number,
        arena: Address,
        embedding: Address,
        map: Address,
    ): number;
    engine_selftest(arena: Address, embedding: Address): number;
    tv_strerror(err: number): Address;
    tv_score(
        embedding: Address,
        vectors: Address,
        rows: number,
        storedDim: number,
        bits: number,
        dim: number,
        cosines: Address,
        hook: number,
        hookContext: number,
    ): number;
    tv_weigh(cosines: Address, index: Address, count: number, factors: Address): void;
    tv_largest(values: Address, rows: number, count: number, index: Address): number;
    tv_rank(
        cosines: Address,
        labels: number,
        rows: number,
        scale: number,
        threshold: number,
        none: number,
        scores: Address,
        count: number,
        index: Address,
    ): number;
    tv_map_peaks(
        map: Address,
        cells: number,
        mapDim: number,
        vectors: Address,
        rows: number,
        storedDim: number,
        bits: number,
        dim: number,
        cosines: Address,
        peaks: Address,
        levels: Address,
        hook: number,
        hookContext: number,
    ): number;
    tv_map_heat(
        map: Address,
        cells: number,
        mapDim: number,
        vector: Address,
        storedDim: number,
        bits: number,
        dim: number,
        levels: Address,
        heat: Address,
    ): void;
    tv_map_mean(
        map: Address,
        cells: number,
        mapDim: number,
        mask: Address,
        dim: number,
        embedding: Address,
    ): void;
    tv_map_region(
        heat: Address,
        height: number,
        width: number,
        side: number,
        mask: Address,
        box: Address,
    ): void;
}

const PAGE = 65536;
const ALIGN = 16;
const PLACES = ["encoder", "arena", "frame", "embedding", "map", "vocab", "work"] as const;

export type Place = (typeof PLACES)[number];
type PerPlace = Record<Place, number>;

const nothing = (): PerPlace => Object.fromEntries(PLACES.map((place) => [place, 0])) as PerPlace;

/** The next multiple of what every address here is one of. */
export function aligned(size: number): number {
    return Math.ceil(size / ALIGN) * ALIGN;
}

export class Memory {
    private readonly sizes = nothing();
    private readonly at = nothing();
    private readonly holders = new Map<Place, object>();
    private view = new Uint8Array(0);

    constructor(private readonly exports: Exports) {}

    /** The places' addresses, once those that are named have at least so many bytes. */
    reserve(sizes: Partial<PerPlace>): Readonly<PerPlace> {
        let grows = false;
        for (const place of PLACES) {
            const size = sizes[place] ?? 0;
            if (size > this.sizes[place]) {
                this.sizes[place] = size;
                grows = true;
            }
        }
        if (grows) {
            this.divide();
        }
        return this.at;
    }

    /** A place has what `owner` needs: `fill` writes it where somebody else was there. */
    hold(place: Place, owner: object, fill: (at: Address) => void): void {
        if (this.holders.get(place) !== owner) {
            this.holders.delete(place); // a fill() that throws leaves nobody's content
            fill(this.at[place]);
            this.holders.set(place, owner);
        }
    }

    get bytes(): Uint8Array {
        if (this.view.buffer !== this.exports.memory.buffer) {
            this.view = new Uint8Array(this.exports.memory.buffer); // it grew: old views are empty
        }
        return this.view;
    }

    int8(at: Address, count: number): Int8Array {
        return new Int8Array(this.exports.memory.buffer, at, count);
    }

    int32(at: Address, count: number): Int32Array {
        return new Int32Array(this.exports.memory.buffer, at, count);
    }

    uint16(at: Address, count: number): Uint16Array {
        return new Uint16Array(this.exports.memory.buffer, at, count);
    }

    uint32(at: Address, count: number): Uint32Array {
        return new Uint32Array(this.exports.memory.buffer, at, count);
    }

    float32(at: Address, count: number): Float32Array {
        return new Float32Array(this.exports.memory.buffer, at, count);
    }

    /** `count` bytes of UTF-8, or a string of C. */
    text(at: Address, count = this.bytes.indexOf(0, at) - at): string {
        return new TextDecoder().decode(this.bytes.slice(at, at + count));
    }

    private divide(): void {
        let end = aligned(this.exports.__heap_base.value as number);
        for (const place of PLACES) {
            if (this.at[place] !== end) {
                this.at[place] = end;
                this.holders.delete(place);
            }
            end += aligned(this.sizes[place]);
        }
        const missing = end - this.exports.memory.buffer.byteLength;
        if (missing > 0) {
            this.exports.memory.grow(Math.ceil(missing / PAGE));
        }
    }
}
