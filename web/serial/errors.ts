// SPDX-License-Identifier: MIT
//
// What can go wrong with a board. The message of each is one sentence for the user.

export class BoardError extends Error {
    override name = "BoardError";
}

// The board does not answer any more: unplugged, or stuck.
export class LinkLost extends BoardError {
    override name = "LinkLost";
}

// The board has another encoder than the one that is sent: deploy() with `replaceEncoder` replaces it.
export class OtherEncoder extends BoardError {
    override name = "OtherEncoder";
}

// An exception on the board; the message is its last line, `errno` its number if it has one.
export class OnBoard extends BoardError {
    override name = "OnBoard";
    readonly traceback: string;
    readonly errno: number | null;

    constructor(traceback: string) {
        const text = traceback.replaceAll("\r\n", "\n").trim();
        const last = text.split("\n").at(-1) || "unknown error";
        super(last);
        this.traceback = text;
        const found = /^OSError: (?:\[Errno )?(\d+)/.exec(last);
        this.errno = found ? Number(found[1]) : null;
    }
}
