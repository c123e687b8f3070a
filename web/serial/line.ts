// SPDX-License-Identifier: MIT
//
// The line to a board: bytes to an open port, and bytes from it that are waited for, each with a
// limit of time. Whatever goes wrong with it is a LinkLost, from then on and for everybody.

import { BoardError, LinkLost } from "./errors";
import type { Port } from "./port";
import { sentences } from "./sentences";

const BAUD = 115200; // of boards with a real serial line; USB does not care
const BUFFER = 1 << 15; // bytes that the browser keeps for us
const PATIENCE = 4; // a line that never falls silent is given up after so many times the usual
const KEPT = 1 << 16; // bytes that may come while a text is looked for
const LEAVING = 1000; // ms for the last words to the board

const encoder = new TextEncoder();

// Nothing came in time; `heard` is what came before.
export class Silence extends Error {
    constructor(readonly heard: string) {
        super("silence");
    }
}

export class Line {
    quiet = 30_000; // ms that a write may take, and whoever waits for an answer
    onlost: ((why: LinkLost) => void) | null = null; // the port is closed by then

    private reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
    private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
    private queue: Uint8Array = new Uint8Array(0);
    private at = 0;
    private wake: (() => void) | null = null;
    private lost: LinkLost | null = null;
    private closing = false;
    private closed: Promise<void> | null = null;
    private readonly pumped: Promise<void>;

    // `goodbye`: the last words to the board, whenever the port is closed.
    private constructor(
        private readonly port: Port,
        private readonly goodbye: string,
    ) {
        this.writer = port.writable!.getWriter();
        this.pumped = this.pump();
    }

    // BoardError if somebody else has the port.
    static async open(port: Port, goodbye: string): Promise<Line> {
        try {
            await port.open({ baudRate: BAUD, bufferSize: BUFFER });
        } catch (error) {
            throw new BoardError(sentences.busyPort, { cause: error });
        }
        return new Line(port, goodbye);
    }

    // Never fails. A lost board's port is closed by itself.
    close(): Promise<void> {
        return (this.closed ??= this.shut());
    }

    private async shut(): Promise<void> {
        this.closing = true;
        await ignore(() => this.put(this.goodbye, LEAVING));
        await ignore(() => this.writer.releaseLock());
        await ignore(() => this.reader?.cancel());
        await this.pumped;
        await ignore(() => this.port.close());
    }

    // Reading: the pump fills a queue, everybody else takes from it and waits for more.

    private async pump(): Promise<void> {
        let last: unknown = null;
        while (this.port.readable && this.port.readable !== last && !this.closing) {
            last = this.port.readable;
            try {
                this.reader = this.port.readable.getReader();
                for (;;) {
                    const { value, done } = await this.reader.read();
                    if (done) {
                        break;
                    }
                    this.append(value);
                }
            } catch {
                // A broken byte: the port has a new stream then. Pulled: it has none.
            } finally {
                this.reader?.releaseLock();
                this.reader = null;
            }
        }
        this.lose(new LinkLost(this.closing ? sentences.closed : sentences.gone));
    }

    private append(bytes: Uint8Array): void {
        const old = this.queue.subarray(this.at);
        this.queue = new Uint8Array(old.length + bytes.length);
        this.queue.set(old);
        this.queue.set(bytes, old.length);
        this.at = 0;
        this.wake?.();
    }

    lose(why: LinkLost): void {
        if (!this.lost) {
            this.lost = why;
            if (!this.closing) {
                void this.close().then(() => this.onlost?.(why));
            }
        }
        this.wake?.();
    }

    get waiting(): boolean {
        return this.at < this.queue.length;
    }

    drop(): void {
        this.at = this.queue.length;
    }

    // What has come and not been taken; waits for something. Silence if nothing comes.
    private async more(limit: number): Promise<Uint8Array> {
        if (!this.waiting) {
            if (this.lost) {
                throw this.lost;
            }
            let timer: ReturnType<typeof setTimeout> | undefined;
            await new Promise<void>((resolve) => {
                this.wake = resolve;
                if (limit < Infinity) {
                    timer = setTimeout(resolve, limit);
                }
            });
            clearTimeout(timer);
            this.wake = null;
            if (!this.waiting) {
                throw this.lost ?? new Silence("");
            }
        }
        return this.queue.subarray(this.at);
    }

    async byte(limit: number): Promise<number> {
        const [found] = await this.more(limit);
        this.at++;
        return found;
    }

    // Takes everything up to and with a byte; what is before it goes to `sink` as it comes.
    // Noise without an end is given up, too, if the byte must come (`ends`).
    async until(
        mark: number,
        limit: number,
        sink: (bytes: Uint8Array) => void,
        ends = true,
    ): Promise<void> {
        const late = Date.now() + (ends ? PATIENCE * limit : Infinity);
        for (;;) {
            if (Date.now() > late) {
                throw new Silence("");
            }
            const bytes = await this.more(limit);
            const end = bytes.indexOf(mark);
            const piece = end < 0 ? bytes : bytes.subarray(0, end);
            this.at += end < 0 ? bytes.length : end + 1;
            if (piece.length) {
                sink(piece.slice());
            }
            if (end >= 0) {
                return;
            }
        }
    }

    // Takes everything up to and with the first of these texts; which one it was.
    async first(marks: string[], limit: number): Promise<number> {
        const end = Date.now() + PATIENCE * limit;
        let heard = "";
        for (;;) {
            try {
                await this.more(limit);
            } catch (error) {
                throw error instanceof Silence ? new Silence(heard) : error;
            }
            while (this.waiting) {
                heard += String.fromCharCode(this.queue[this.at++]);
                const found = marks.findIndex((mark) => heard.endsWith(mark));
                if (found >= 0) {
                    return found;
                }
            }
            if (heard.length > KEPT || Date.now() > end) {
                throw new Silence(heard);
            }
        }
    }

    async write(what: string | Uint8Array): Promise<void> {
        if (this.lost) {
            throw this.lost;
        }
        try {
            await this.put(what, this.quiet);
        } catch (error) {
            this.lose(error instanceof LinkLost ? error : new LinkLost(sentences.gone, { cause: error }));
            throw this.lost;
        }
    }

    // A board that is stuck takes no bytes, and the port waits for it without an end.
    private async put(what: string | Uint8Array, limit: number): Promise<void> {
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<never>((_, reject) => {
            timer = setTimeout(() => reject(new LinkLost(sentences.stuck)), limit);
        });
        const bytes = typeof what === "string" ? encoder.encode(what) : what;
        try {
            await Promise.race([this.writer.write(bytes), late]);
        } finally {
            clearTimeout(timer);
        }
    }
}

async function ignore(work: () => unknown): Promise<void> {
    try {
        await work();
    } catch {
        // nobody is there any more
    }
}
