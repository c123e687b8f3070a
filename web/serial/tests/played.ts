// SPDX-License-Identifier: MIT
//
// A board's prompt, played byte by byte as MicroPython's shared/runtime/pyexec.c does it, with a
// buffer for what comes in that overflows as a real one does.

import { makePort, type Wire } from "../port";

export interface Program {
    out?: string | Uint8Array;
    error?: string; // the traceback
    forever?: boolean; // until Ctrl-C, then `error` comes
    stubborn?: number; // so many Ctrl-Cs are ignored before
    after?: string; // comes out after the Ctrl-C that ends it
}

export interface Kind {
    window?: number; // of raw paste
    paste?: "yes" | "no" | "old"; // no: it says so; old: it never heard of it
    slice?: number; // bytes that come out at once
    refuse?: number; // it ends a transfer after so many bytes, with `error`
    boot?: string; // what a soft reset prints
    run?: (code: string) => Program;
}

const BANNER = "raw REPL; CTRL-B to exit\r\n";
const INTERRUPTED = "Traceback (most recent call last):\r\n  File \"<stdin>\", line 2, in <module>\r\nKeyboardInterrupt: \r\n";

const bytesOf = (text: string | Uint8Array) => (typeof text === "string" ? new TextEncoder().encode(text) : text);

export class Played {
    state: "friendly" | "raw" | "paste" | "refused" | "running" | "deaf" = "friendly";
    overrun = 0; // bytes that came when the buffer was full
    taken = 0; // bytes that came at all
    said = 0; // bytes that went out
    codes: string[] = []; // all that it was told to run
    ways: ("paste" | "plain")[] = []; // that the codes came by
    cut: { taken?: number; said?: number; power?: boolean } = {}; // the cable is pulled after so many bytes

    private wire: Wire | null = null;
    private fifo: number[] = [];
    private busy = false;
    private line: number[] = [];
    private room = 0;
    private program: Program | null = null;

    constructor(readonly kind: Kind = {}) {}

    // A cable to it: the one before is gone. The board goes on as it was.
    plug(): Wire {
        this.taken = this.said = 0;
        this.wire = makePort((bytes) => this.take(bytes));
        return this.wire;
    }

    unplug(): void {
        const wire = this.wire;
        this.wire = null;
        wire?.unplug();
        if (this.cut.power) {
            this.fifo = [];
            this.state = "friendly";
            this.line = [];
            this.program = null;
        }
    }

    // What the board says by itself, too.
    say(text: string | Uint8Array): void {
        const bytes = bytesOf(text);
        const slice = this.kind.slice ?? bytes.length;
        for (let at = 0; at < bytes.length && this.wire; at += slice) {
            let piece = bytes.slice(at, at + slice);
            if (this.cut.said !== undefined && this.said + piece.length >= this.cut.said) {
                piece = piece.slice(0, Math.max(0, this.cut.said - this.said));
                this.wire.feed(piece);
                this.unplug();
                return;
            }
            this.said += piece.length;
            this.wire.feed(piece);
        }
    }

    private async take(bytes: Uint8Array): Promise<void> {
        if (this.state === "deaf") {
            return;
        }
        const limit = this.state === "paste" ? 2 * this.window : Infinity;
        for (const byte of bytes) {
            if (this.cut.taken !== undefined && this.taken >= this.cut.taken) {
                this.unplug();
                throw new DOMException("The device has been lost.", "NetworkError");
            }
            this.taken++;
            if (this.fifo.length >= limit) {
                this.overrun++;
            } else {
                this.fifo.push(byte);
            }
        }
        if (!this.busy) {
            this.busy = true;
            void this.work();
        }
    }

    // It is slower than the line: what comes lies in the buffer first.
    private async work(): Promise<void> {
        while (this.fifo.length) {
            await Promise.resolve();
            for (let n = 0; n < 64 && this.fifo.length; n++) {
                this.byte(this.fifo.shift()!);
            }
        }
        this.busy = false;
    }

    private get window(): number {
        return this.kind.window ?? 128;
    }

    private byte(byte: number): void {
        if (this.state === "friendly") {
            this.friendly(byte);
        } else if (this.state === "raw") {
            this.raw(byte);
        } else if (this.state === "paste") {
            this.paste(byte);
        } else if (this.state === "refused" && (byte === 3 || byte === 4)) {
            this.finish(this.program!);
        } else if (this.state === "running" && byte === 3) {
            const left = this.program!.stubborn ?? 0;
            this.program = { ...this.program!, stubborn: left - 1 };
            if (left <= 0) {
                this.finish({ out: this.program.after, error: this.program.after ? undefined : INTERRUPTED });
            }
        }
    }

    private friendly(byte: number): void {
        if (byte === 1) {
            this.state = "raw";
            this.line = [];
            this.say(`\r\n${BANNER}>`);
        } else if (byte === 2) {
            this.say("\r\nMicroPython v1.25.0; played\r\n>>> ");
        } else if (byte === 3 || byte === 13) {
            this.say("\r\n>>> ");
        } else {
            this.say(Uint8Array.of(byte)); // an echo
        }
    }

    private raw(byte: number): void {
        if (byte === 1 && String.fromCharCode(...this.line) === "\x05A" && this.kind.paste !== "old") {
            this.line = [];
            if (this.kind.paste === "no") {
                this.say("R\x00>");
                return;
            }
            this.room = this.window;
            this.state = "paste";
            this.say(Uint8Array.of(82, 1, this.window & 255, this.window >> 8, 1));
        } else if (byte === 1) {
            this.line = [];
            this.say(`${BANNER}>`);
        } else if (byte === 2) {
            this.state = "friendly";
            this.friendly(2);
        } else if (byte === 3) {
            this.line = [];
        } else if (byte === 4) {
            this.say("OK");
            if (this.line.length) {
                this.run();
            } else {
                this.say(`\r\nMPY: soft reboot\r\n${this.kind.boot ?? ""}${BANNER}>`);
            }
        } else {
            this.line.push(byte);
        }
    }

    private paste(byte: number): void {
        if (byte === 3) {
            this.say("\x04");
            this.finish({ error: INTERRUPTED });
            return;
        }
        if (byte === 4) {
            this.say("\x04");
            this.run();
            return;
        }
        this.line.push(byte);
        if (this.line.length === this.kind.refuse) {
            this.say("\x04");
            this.program = { error: "Traceback:\r\nMemoryError: \r\n" };
            this.state = "refused";
        } else if (--this.room === 0) {
            this.room = this.window;
            this.say("\x01");
        }
    }

    private run(): void {
        const way = this.state === "paste" ? "paste" : "plain";
        const code = new TextDecoder().decode(Uint8Array.from(this.line));
        this.line = [];
        const sync = code === "print('in'+'sync')";
        if (!sync) {
            this.codes.push(code);
            this.ways.push(way);
        }
        const program = sync ? { out: "insync\r\n" } : (this.kind.run?.(code) ?? {});
        if (program.forever) {
            this.program = program;
            this.state = "running";
            this.say(program.out ?? "");
        } else {
            this.finish(program);
        }
    }

    private finish(program: Program): void {
        this.state = "raw";
        this.line = [];
        this.program = null;
        this.say(program.out ?? "");
        this.say("\x04");
        this.say(program.error ?? "");
        this.say("\x04>");
    }
}
