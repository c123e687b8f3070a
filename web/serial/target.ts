// SPDX-License-Identifier: MIT
//
// A MicroPython board behind its prompt: what it is asked, and what it is made to do, as
// boards/target.py does it with the same code on the board.
//
// A file is replaced in two steps, so that a pulled cable leaves the old one or the new one:
// `stage` writes NAME.new and compares its checksum, read back on the board; `rename` puts it in
// place. What an interrupted copy left is cleared away by `tidy` the next time.

import { base64, hex, sum, unbase64 } from "./bytes";
import { BoardError, LinkLost } from "./errors";
import { literal, type Value } from "./literal";
import { again, call, ENGINE, PLACES } from "./onboard";
import { type BoardFile, type Facts, type Found, type Item, NEW } from "./plan";
import type { Repl } from "./repl";
import { sentences } from "./sentences";

const CHUNK = 1024; // bytes of a file that travel in one piece: code of them must fit into RAM
const ROMFS_CHUNK = 4096;
const MINUTE = 60_000;

type Progress = (bytes: number) => void; // more of them are on the board

export class Target {
    constructor(readonly repl: Repl) {}

    // What a piece of code prints last, as a value.
    async value(code: string, quiet?: number): Promise<Value> {
        const text = (await this.repl.exec(code, undefined, quiet)).trim();
        try {
            return literal(text.slice(text.lastIndexOf("\n") + 1));
        } catch (error) {
            throw new LinkLost(sentences.garbled, { cause: error });
        }
    }

    // [name, version] of the Python there. What comes first: every Python can answer it.
    async python(): Promise<[string, string]> {
        const code = "import sys; print(repr((sys.implementation[0], [n for n in sys.implementation[1]])))";
        const [name, version] = (await this.value(code)) as [string, (string | number)[]];
        return [name, version.slice(0, 3).join(".")];
    }

    async look(): Promise<Facts> {
        const said = (await this.value(call("facts.facts", ENGINE))) as Record<string, never>;
        const facts: Facts = {
            name: said.name, version: said.version, machine: said.machine, ram: said.ram,
            lib: said.lib ?? null, block: said.block ?? null, flash: said.flash ?? null,
            free: said.free ?? null, fs: said.fs ?? "", romfs: said.romfs ?? null,
            engine: said.engine ?? null, frozen: said.frozen ?? null,
            encoders: [], vocabs: [], damaged: [], leftovers: [], romFiles: [],
        };
        const listed = await this.value(call("listing.listing", PLACES, facts.lib ?? "lib", ENGINE));
        const [heads, leftovers, rom] = listed as [[string, Uint8Array, number][], string[], [string, number][]];
        facts.leftovers = leftovers;
        facts.romFiles = rom.map(([path, size]) => ({ path, size }));
        for (const [path, head, size] of heads) {
            const kind = String.fromCharCode(...head.subarray(0, 4));
            const found = { path, fingerprint: hex(head.subarray(16)), size };
            if (head.length === 24 && kind === "TVLM") {
                facts.encoders.push(found);
            } else if (head.length === 24 && kind === "TVPR" && !path.startsWith("/rom")) {
                facts.vocabs.push(found);
            }
        }
        // The first one counts, unless its copy was cut off: then it is as good as none.
        while (facts.encoders.length && !(await this.isWhole(facts.encoders[0]))) {
            facts.damaged.push(facts.encoders.shift()!.path);
        }
        return facts;
    }

    private async isWhole({ path, size }: Found): Promise<boolean> {
        return (await this.value(call("whole.whole", path), seconds(size))) === true;
    }

    // Which of the files does the board have already?
    async compare(files: Item[]): Promise<void> {
        if (!files.length) {
            return;
        }
        const size = files.reduce((sum, file) => sum + file.data.length, 0);
        const code = call("sums.sums", files.map((file) => file.path));
        const sums = (await this.value(code, seconds(size))) as Sum[];
        for (let at = 0; at < files.length; at++) {
            const found = sums[at];
            if (found) {
                files[at].was = (await equal(files[at].data, found)) ? "unchanged" : "changed";
            }
        }
    }

    // Clear away what an interrupted copy left; returns the files that were saved by it.
    async tidy(leftovers: string[]): Promise<string[]> {
        return leftovers.length ? ((await this.value(call("whole.tidy", leftovers), MINUTE)) as string[]) : [];
    }

    async makeFolders(paths: string[]): Promise<void> {
        const folders = new Set<string>();
        for (const path of paths) {
            const parts = path.split("/").slice(0, -1);
            parts.forEach((_, at) => folders.add(parts.slice(0, at + 1).join("/")));
        }
        folders.delete("");
        if (folders.size) {
            await this.repl.exec(call("files.make_folders", [...folders]));
        }
    }

    // Write NAME.new and compare it with what was meant. Nothing changes for the board.
    async stage({ path, data }: BoardFile, progress: Progress): Promise<void> {
        const to = path + NEW;
        await this.repl.exec(call("put.begin", to));
        for (let at = 0; at < data.length; at += CHUNK) {
            const piece = data.subarray(at, at + CHUNK);
            await this.repl.exec(again("piece", base64(piece)));
            progress(piece.length);
        }
        await this.repl.exec(again("end"));
        await this.repl.exec(call("files.sync"));
        const [found] = (await this.value(call("sums.sums", [to]), seconds(data.length))) as Sum[];
        if (!found || !(await equal(data, found))) {
            throw new BoardError(sentences.sumDiffers(path));
        }
    }

    async unstage(paths: string[]): Promise<void> {
        await this.repl.exec(call("files.remove", paths.map((path) => path + NEW)));
    }

    // Put the staged files in place.
    async rename(paths: string[]): Promise<void> {
        await this.repl.exec(call("switch.switch", paths));
    }

    async read(path: string): Promise<Uint8Array> {
        const lines = (await this.repl.exec(call("read.read", path), undefined, 10 * MINUTE)).split("\n");
        return unbase64(lines.filter((line) => line !== "None").join(""));
    }

    // Put an image into ROMFS, in place of what is there. Its first bytes come last: without them
    // nothing is mounted, so that half an image never is.
    async writeRomfs(image: Uint8Array, progress: Progress): Promise<void> {
        const least = Math.max(1, (await this.value(call("romfs.prepare", image.length), 2 * MINUTE)) as number);
        const up = (bytes: number) => Math.ceil(bytes / least) * least;
        const whole = new Uint8Array(up(image.length));
        whole.set(image);
        const head = up(16);
        const places: [number, number][] = [];
        for (let at = head; at < whole.length; at += up(ROMFS_CHUNK)) {
            places.push([at, at + up(ROMFS_CHUNK)]);
        }
        for (const [at, end] of [...places, [0, head]]) {
            const piece = whole.subarray(at, end);
            await this.repl.exec(again("write", at, base64(piece)));
            progress(piece.length);
        }
        await this.repl.exec(again("done"));
        const found = (await this.value(call("sums.romfs_sum", whole.length), seconds(image.length))) as Sum;
        if (!found || !(await equal(whole, found))) {
            throw new BoardError(sentences.romfsDiffers);
        }
    }
}

type Sum = [number, string, string] | null; // bytes, kind, hex

async function equal(data: Uint8Array, found: NonNullable<Sum>): Promise<boolean> {
    return found[0] === data.length && found[2] === (await sum(data, found[1]));
}

// ms that a board may take for reading so many bytes.
function seconds(bytes: number): number {
    return 1000 * (30 + bytes / 10_000);
}
