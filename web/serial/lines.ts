// SPDX-License-Identifier: MIT
//
// Lines out of bytes as they come: letters of several bytes and lines are put together again.

const LONGEST = 4000; // letters, before a line is handed on without its end

export class Lines {
    private readonly decoder = new TextDecoder();
    private rest = "";

    constructor(private readonly online: (line: string) => void) {}

    feed(bytes: Uint8Array): void {
        this.take(this.decoder.decode(bytes, { stream: true }));
    }

    end(): void {
        this.take(this.decoder.decode());
        if (this.rest) {
            this.online(this.rest);
            this.rest = "";
        }
    }

    private take(text: string): void {
        const lines = (this.rest + text).split("\n");
        this.rest = lines.pop()!;
        for (const line of lines) {
            this.online(line.replace(/\r$/, ""));
        }
        if (this.rest.length > LONGEST) {
            this.online(this.rest);
            this.rest = "";
        }
    }
}
