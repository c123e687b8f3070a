// SPDX-License-Identifier: MIT
//
// The boards' engine in the browser: the C core of native/, compiled to WebAssembly.
//
//     const engine = await Engine.load(wasm);
//     const encoder = engine.open(file);              // a .tvlm
//     const vocab = Vocab.open(words, engine);        // a .tvp
//     vocab.match(encoder.embed(context.getImageData(0, 0, width, height)));
//
// An Engine, with its encoders and vocabularies, is for one thread. One encoder's weights are in
// its memory at a time; using another one copies them there again.

import { hex } from "../serial/bytes";
import { type Exports, Memory } from "./wasm";

/** What a canvas gives: R, G, B and opacity, which is not looked at. */
export interface Frame {
    width: number;
    height: number;
    data: Uint8ClampedArray | Uint8Array;
}

/** A frame's embedding, and one for each of rows x cols cells of its centred square. */
export interface Dense {
    embedding: Int8Array;
    rows: number;
    cols: number;
    map: Int8Array;
}

const FRAME_SHORT = -26; // TV_ERR_..., native/tv.h
const NO_MAP = -31;
const TEST_DIFFERS = -33;

// A module of one vector instruction.
const SIMD = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98,
    11,
];

/** Does this machine run the faster build, tinyvlm-simd.wasm? */
export function hasSimd(): boolean {
    return WebAssembly.validate(new Uint8Array(SIMD));
}

export class Engine {
    readonly memory: Memory;
    /** Is this the build for vectors of 128 bits? */
    readonly simd: boolean;

    private constructor(readonly exports: Exports) {
        this.memory = new Memory(exports);
        this.simd = exports.engine_simd() === 1;
    }

    static async load(wasm: BufferSource): Promise<Engine> {
        const { instance } = await WebAssembly.instantiate(wasm);
        return new Engine(instance.exports as unknown as Exports);
    }

    /** An encoder file. Error says what is wrong with it. */
    open(tvlm: Uint8Array): Encoder {
        return new Encoder(this, tvlm.slice());
    }

    /** What an error code of native/tv.h means. */
    sentence(code: number): string {
        return this.memory.text(this.exports.tv_strerror(code));
    }
}

export class Encoder {
    /** What the file says about itself. */
    readonly info: Readonly<Record<string, unknown>>;
    readonly name: string;
    /** The identity of the network, 16 hex digits; a vocabulary must have the same. */
    readonly fingerprint: string;
    /** It sees size x size pixels. */
    readonly size: number;
    readonly dim: number;
    /** Shape of the dense map; 0: it has none. */
    readonly rows: number;
    readonly cols: number;
    /** Bytes of RAM that a frame takes on a board. */
    readonly arena: number;
    /** Multiply-accumulates of a frame. */
    readonly macs: number;
    /** Of the file, without what may follow it. */
    readonly bytes: number;

    constructor(
        private readonly engine: Engine,
        private readonly file: Uint8Array,
    ) {
        const { memory, exports } = engine;
        memory.reserve({ encoder: file.length });
        this.load();
        const about = memory.uint32(exports.engine_about(), 10);
        [this.size, this.dim, this.rows, this.cols, this.arena, this.macs, this.bytes] = about;
        const [, , , , , , , fingerprint, info, infoSize] = about;
        this.fingerprint = hex(memory.bytes.subarray(fingerprint, fingerprint + 8));
        this.info = object(info ? memory.text(info, infoSize) : "{}");
        this.name = String(this.info.name ?? "encoder");
    }

    /** Does this machine compute the known answer in the file? Error: the file has none. */
    selfTest(): boolean {
        const at = this.places(0, 0);
        const err = this.engine.exports.engine_selftest(at.arena, at.embedding);
        if (err && err !== TEST_DIFFERS) {
            throw new Error(this.engine.sentence(err));
        }
        return err === 0;
    }

    /** The embedding of a frame's centred square, as boards compute it; every prefix is one, too. */
    embed(frame: Frame): Int8Array {
        const at = this.run(frame, false);
        return this.engine.memory.int8(at.embedding, this.dim).slice();
    }

    /** The same, and each cell's, for Vocab.detect() and Vocab.heat(). */
    embedMap(frame: Frame): Dense {
        const at = this.run(frame, true);
        const { memory } = this.engine;
        return {
            embedding: memory.int8(at.embedding, this.dim).slice(),
            rows: this.rows,
            cols: this.cols,
            map: memory.int8(at.map, this.rows * this.cols * this.dim).slice(),
        };
    }

    private run(frame: Frame, dense: boolean) {
        const { engine } = this;
        const { width, height, data } = frame;
        this.check(engine.exports.engine_check(width, height));
        this.check(data.length < 4 * width * height ? FRAME_SHORT : 0);
        this.check(dense && !this.rows ? NO_MAP : 0);
        const side = Math.min(width, height);
        const at = this.places(4 * side * side, dense ? this.rows * this.cols * this.dim : 0);
        const left = Math.floor((width - side) / 2);
        const top = Math.floor((height - side) / 2);
        const { bytes } = engine.memory;
        for (let y = 0; y < side; y++) {
            const from = 4 * ((top + y) * width + left);
            bytes.set(data.subarray(from, from + 4 * side), at.frame + 4 * side * y);
        }
        this.check(
            engine.exports.engine_embed(at.frame, side, side, at.arena, at.embedding, dense ? at.map : 0),
        );
        return at;
    }

    /** Where a run finds what it needs; the weights are there. */
    private places(frame: number, map: number) {
        const { dim, arena } = this;
        const at = this.engine.memory.reserve({ encoder: this.file.length, arena, frame, embedding: dim, map });
        this.load();
        return at;
    }

    private load(): void {
        const { memory, exports } = this.engine;
        memory.hold("encoder", this, (at) => {
            memory.bytes.set(this.file, at);
            const err = exports.engine_open(at, this.file.length);
            const [layer, size, name] = memory.int32(exports.engine_bad_layer(), 3);
            const where = err && layer >= 0 ? `layer ${layer} (${memory.text(name, size)}): ` : "";
            this.check(err, where);
        });
    }

    private check(err: number, where = ""): void {
        if (err) {
            throw new Error(where + this.engine.sentence(err));
        }
    }
}

function object(text: string): Record<string, unknown> {
    let found: unknown;
    try {
        found = JSON.parse(text);
    } catch {
        found = null;
    }
    if (typeof found !== "object" || found === null || Array.isArray(found)) {
        throw new Error("INFO is not a JSON object; export the encoder again");
    }
    return found as Record<string, unknown>;
}
