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
import { Line, Silence } from "./line";
import type { Port } from "./port";
import { sentences } from "./sentences";

const BANNER = "raw REPL; CTRL-B to exit\r\n";
const SYNC = "in" + "sync";
const PIECE = 256; // bytes at once, and a pause, for boards without raw paste
const PAUSE = 10; // ms
const ATTEMPTS = 5;

const END = 4; // Ctrl-D

const encoder = new TextEncoder();

export class Repl {
    private paste = true; // raw-paste mode, as long as the board has not said that it has none

    private constructor(private readonly line: Line) {}

    // ms without a byte until the board counts as gone
    get quiet(): number {
        return this.line.quiet;
    }

    set quiet(ms: number) {
        this.line.quiet = ms;
    }

    // Open the port and get the prompt, whatever runs on the board. BoardError says why not.
    // `wait`: ms that a board may take to answer.
    static async open(port: Port, wait = 5000): Promise<Repl> {
        const repl = new Repl(await Line.open(port, "\r\x03\x02"));
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
            await this.line.until(END, quiet, sink ?? ((bytes) => said.push(bytes)), !sink);
            const error: Uint8Array[] = [];
            await this.line.until(END, quiet, (bytes) => error.push(bytes));
            await this.line.until(">".charCodeAt(0), quiet, () => {});
            if (error.length) {
                throw new OnBoard(decode(error));
            }
            return decode(said).replaceAll("\r\n", "\n");
        });
    }

    // Ctrl-C to what runs. Its exec() ends by it, if the program lets it.
    async interrupt(): Promise<void> {
        await this.guarded(() => this.line.write("\x03"));
    }

    // The board did not do what it must: whoever waits for it waits no more.
    giveUp(): void {
        this.line.lose(new LinkLost(sentences.stuck));
    }

    // Whoever asked is told that the board is lost, once; its port is closed by then.
    set onlost(told: (why: LinkLost) => void) {
        this.line.onlost = told;
    }

    // Start MicroPython anew, RAM is free then; boot.py runs, main.py does not.
    async softReset(): Promise<void> {
        await this.guarded(async () => {
            this.line.drop();
            await this.line.write("\x04");
            await this.line.first([BANNER + ">"], this.quiet);
        });
    }

    // Back to the prompt for people, and close the port. Never fails.
    close(): Promise<void> {
        return this.line.close();
    }

    private async enter(wait: number): Promise<void> {
        let heard = "";
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
            try {
                // What runs is stopped, a half-written line thrown away, then the raw prompt.
                await this.line.write("\r\x03\x03");
                await this.line.write("\r\x01");
                await this.line.first([BANNER + ">"], wait / ATTEMPTS);
                // A slow board may still answer an earlier attempt: all of that comes before this.
                await this.line.write(`print('in'+'sync')\x04`);
                await this.line.first([`${SYNC}\r\n\x04\x04>`], wait);
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
        this.line.drop();
        if (this.paste) {
            await this.line.write("\x05A\x01");
            // "R\1" yes, "R\0" no, or the raw prompt once more: the board never heard of it
            const answer = await this.line.first(["R\x01", "R\x00", BANNER + ">"], this.quiet);
            if (answer === 0) {
                return this.sendPaste(code);
            }
            this.paste = false;
        }
        for (let at = 0; at < code.length; at += PIECE) {
            await this.line.write(code.subarray(at, at + PIECE));
            await new Promise((resolve) => setTimeout(resolve, PAUSE));
        }
        await this.line.write("\x04");
        await this.line.first(["OK"], this.quiet);
    }

    private async sendPaste(code: Uint8Array): Promise<void> {
        const window = (await this.line.byte(this.quiet)) + 256 * (await this.line.byte(this.quiet));
        let room = window;
        for (let at = 0; at < code.length; ) {
            while (room === 0 || this.line.waiting) {
                const said = await this.line.byte(this.quiet);
                if (said === 1) {
                    room += window;
                } else if (said === END) {
                    // It does not want the rest: a syntax error, or no memory. It says so afterwards.
                    await this.line.write("\x04");
                    return;
                } // else something that prints by itself
            }
            const piece = code.subarray(at, at + room);
            await this.line.write(piece);
            room -= piece.length;
            at += piece.length;
        }
        await this.line.write("\x04");
        await this.line.until(END, this.quiet, () => {});
    }

    private async guarded<T>(work: () => Promise<T>): Promise<T> {
        try {
            return await work();
        } catch (error) {
            if (error instanceof Silence) {
                const stuck = new LinkLost(sentences.stuck);
                this.line.lose(stuck);
                throw stuck;
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
