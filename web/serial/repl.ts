// SPDX-License-Identifier: MIT
//
// MicroPython's prompt for programs, the raw REPL, over a serial port:
// https://docs.micropython.org/en/latest/reference/repl.html
//
//     const repl = await Repl.open(port);
//     const text = await repl.exec("print(1 + 1)");       // "2\n"
//     await repl.close();
//
// Code travels in raw-paste mode, where the board says how much it can take; boards that do not
// know it get the code in small pieces. Whatever goes wrong with the line is a LinkLost, whatever
// the board says about the code an OnBoard.

import { BoardError, LinkLost, OnBoard } from "./errors";
import type { Port } from "./port";
import { sentences } from "./sentences";

const BAUD = 115200; // of boards with a real serial line; USB does not care
const BUFFER = 1 << 15; // bytes that the browser keeps for us
const BANNER = "raw REPL; CTRL-B to exit\r\n";
const SYNC = "in" + "sync";
const PIECE = 256; // bytes at once, and a pause, for boards without raw paste
const PAUSE = 10; // ms
const ATTEMPTS = 5;
const PATIENCE = 4; // a line that never falls silent is given up after so many times the usual
const LEAVING = 1000; // ms for the last words to the board
const KEPT = 1 << 16; // bytes of an answer that may come while an end is looked for

const encoder = new TextEncoder();
const END = 4;

// Nothing came in time; `heard` is what came before.
class Silence extends Error {
    constructor(readonly heard: string) {
        super("silence");
    }
}

export class Repl {
    quiet = 30_000; // ms without a byte until the board counts as gone
    onlost: ((why: LinkLost) => void) | null = null; // the port is closed by then

    private reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
    private writer: WritableStreamDefaultWriter<Uint8Array> | null = null;
    private queue: Uint8Array = new Uint8Array(0);
    private at = 0;
    private wake: (() => void) | null = null;
    private lost: LinkLost | null = null;
    private closing = false;
    private closed: Promise<void> | null = null;
    private paste = true; // raw-paste mode, as long as the board has not said that it has none
    private pumped: Promise<void> = Promise.resolve();

    private constructor(private readonly port: Port) {}

    // Open the port and get the prompt, whatever runs on the board. BoardError says why not.
    // `wait`: ms that a board may take to answer.
    static async open(port: Port, wait = 5000): Promise<Repl> {
        const repl = new Repl(port);
        try {
            await port.open({ baudRate: BAUD, bufferSize: BUFFER });
        } catch (error) {
            throw new BoardError(sentences.busyPort, { cause: error });
        }
        repl.writer = port.writable!.getWriter();
        repl.pumped = repl.pump();
        try {
            await repl.enter(wait);
        } catch (error) {
            await repl.close();
            throw error;
        }
        return repl;
    }

    // Run code; what it prints goes to `sink` as it comes, or is returned. OnBoard for an exception.
    async exec(code: string, sink?: (bytes: Uint8Array) => void, quiet = this.quiet): Promise<string> {
        if (/[\x01-\x05]/.test(code)) {
            throw new BoardError(sentences.controls);
        }
        const said: Uint8Array[] = [];
        return this.guarded(async () => {
            await this.send(encoder.encode(code));
            await this.until(END, quiet, sink ?? ((bytes) => said.push(bytes)), !sink);
            const error: Uint8Array[] = [];
            await this.until(END, quiet, (bytes) => error.push(bytes));
            await this.until(">".charCodeAt(0), quiet, () => {});
            if (error.length) {
                throw new OnBoard(decode(error));
            }
            return decode(said).replaceAll("\r\n", "\n");
        });
    }

    // Ctrl-C to what runs. Its exec() ends by it, if the program lets it.
    async interrupt(): Promise<void> {
        await this.guarded(() => this.write("\x03"));
    }

    // The board did not do what it must: whoever waits for it waits no more.
    giveUp(): void {
        this.lose(new LinkLost(sentences.stuck));
    }

    // Start MicroPython anew, RAM is free then; boot.py runs, main.py does not.
    async softReset(): Promise<void> {
        await this.guarded(async () => {
            this.drop();
            await this.write("\x04");
            await this.text(BANNER + ">", this.quiet);
        });
    }

    // Back to the prompt for people, and close the port. Never fails. A lost board's port is closed
    // by itself.
    close(): Promise<void> {
        return (this.closed ??= this.shut());
    }

    private async shut(): Promise<void> {
        this.closing = true;
        await ignore(() => this.put("\r\x03\x02", LEAVING));
        await ignore(() => this.writer?.releaseLock());
        await ignore(() => this.reader?.cancel());
        await this.pumped;
        await ignore(() => this.port.close());
    }

    private async enter(wait: number): Promise<void> {
        let heard = "";
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
            try {
                // What runs is stopped, a half-written line thrown away, then the raw prompt.
                await this.write("\r\x03\x03");
                await this.write("\r\x01");
                await this.text(BANNER + ">", wait / ATTEMPTS);
                // A slow board may still answer an earlier attempt: all of that comes before this.
                await this.write(`print('in'+'sync')\x04`);
                await this.text(`${SYNC}\r\n\x04\x04>`, wait);
                return;
            } catch (error) {
                if (!(error instanceof Silence)) {
                    throw error;
                }
                heard += error.heard;
            }
        }
        const words = heard.replace(/[^\x20-\x7e]+/g, " ").trim();
        throw new BoardError(words ? sentences.notPython(words.slice(0, 60)) : sentences.silent);
    }

    private async send(code: Uint8Array): Promise<void> {
        this.drop();
        if (this.paste) {
            await this.write("\x05A\x01");
            // "R\1" yes, "R\0" no, or the raw prompt once more: the board never heard of it
            const answer = await this.first(["R\x01", "R\x00", BANNER + ">"], this.quiet);
            if (answer === 0) {
                return this.sendPaste(code);
            }
            this.paste = false;
        }
        for (let at = 0; at < code.length; at += PIECE) {
            await this.write(code.subarray(at, at + PIECE));
            await new Promise((resolve) => setTimeout(resolve, PAUSE));
        }
        await this.write("\x04");
        await this.first(["OK"], this.quiet);
    }

    private async sendPaste(code: Uint8Array): Promise<void> {
        const window = (await this.byte(this.quiet)) + 256 * (await this.byte(this.quiet));
        let room = window;
        for (let at = 0; at < code.length; ) {
            while (room === 0 || this.waiting) {
                const said = await this.byte(this.quiet);
                if (said === 1) {
                    room += window;
                } else if (said === END) {
                    // It does not want the rest: a syntax error, or no memory. It says so afterwards.
                    await this.write("\x04");
                    return;
                } // else something that prints by itself
            }
            const piece = code.subarray(at, at + room);
            await this.write(piece);
            room -= piece.length;
            at += piece.length;
        }
        await this.write("\x04");
        await this.until(END, this.quiet, () => {});
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

    private lose(why: LinkLost): void {
        if (!this.lost) {
            this.lost = why;
            if (!this.closing) {
                void this.close().then(() => this.onlost?.(why));
            }
        }
        this.wake?.();
    }

    private get waiting(): boolean {
        return this.at < this.queue.length;
    }

    private drop(): void {
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

    private async byte(limit: number): Promise<number> {
        const [found] = await this.more(limit);
        this.at++;
        return found;
    }

    // Takes everything up to and with a byte; what is before it goes to `sink` as it comes.
    // Noise without an end is given up, too, if the byte must come (`ends`).
    private async until(
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

    private text(mark: string, limit: number): Promise<number> {
        return this.first([mark], limit);
    }

    // Takes everything up to and with the first of these texts; which one it was.
    private async first(marks: string[], limit: number): Promise<number> {
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

    private async write(what: string | Uint8Array): Promise<void> {
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
            await Promise.race([this.writer!.write(bytes), late]);
        } finally {
            clearTimeout(timer);
        }
    }

    private async guarded<T>(work: () => Promise<T>): Promise<T> {
        try {
            return await work();
        } catch (error) {
            if (error instanceof Silence) {
                this.lose(new LinkLost(sentences.stuck));
                throw this.lost;
            }
            throw error;
        }
    }
}

function decode(pieces: Uint8Array[]): string {
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
        whole.set(piece, at);
        at += piece.length;
    }
    return new TextDecoder().decode(whole);
}

async function ignore(work: () => unknown): Promise<void> {
    try {
        await work();
    } catch {
        // nobody is there any more
    }
}
