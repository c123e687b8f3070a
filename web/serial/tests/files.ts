// SPDX-License-Identifier: MIT
//
// The files of a played board: what the code that is sent to it would do there, by the names of its
// functions. The code itself runs in virtual.test.ts.

import "./crypto";
import { createHash } from "node:crypto";
import { crc32, fingerprint, isWhole } from "../bytes";
import type { Program } from "./played";

const FORMS: Record<string, string> = { ".tvp": "TVPR", ".tvlm": "TVLM" };

// A .tvp or .tvlm as far as it counts here: letters, size, CRC and the encoder's fingerprint.
export function made(kind: ".tvp" | ".tvlm", mark: number, size: number, content = 0): Uint8Array {
    const data = new Uint8Array(size).fill(content);
    data.fill(mark, 16, 24);
    data.set(new TextEncoder().encode(FORMS[kind]));
    const view = new DataView(data.buffer);
    view.setUint32(8, size, true);
    view.setUint32(12, crc32(data.subarray(16)), true);
    return data;
}

export class Files {
    there = new Map<string, Uint8Array>();
    facts: Record<string, unknown> = {
        name: "micropython", version: "1.25.0", machine: "a played board", ram: 99000, cwd: "/", lib: "/lib",
        block: 4096, flash: 409600, free: 200000, fs: "<class 'VfsLfs2'>", engine: "", frozen: "0.2.0",
    };
    python: [string, number[]] = ["micropython", [1, 25, 0]];
    drive = "";
    corrupt = false; // what is written comes out differently
    full = Infinity; // bytes that go into a file until there is no space
    hasSha = true;
    self: string | null = null; // why the self-test fails
    writes = 0; // of pieces

    private open: { path: string; data: number[] } | null = null;

    // What the board prints for a program.
    run = (code: string): Program => {
        const last = code.slice(code.lastIndexOf("\n") + 1);
        if (last.startsWith("import sys;")) {
            return { out: `${repr(this.python)}\r\n` };
        }
        const found = /^print\(repr\((\w+)\((.*)\)\)\)$/.exec(last);
        if (!found) {
            return { out: `${code}\r\n` };
        }
        try {
            return { out: `${repr(this.answer(found[1], JSON.parse(`[${found[2]}]`)))}\r\n` };
        } catch (error) {
            return { error: `Traceback:\r\n${(error as Error).message}\r\n` };
        }
    };

    private answer(name: string, [first]: never[]): unknown {
        const known: Record<string, () => unknown> = {
            facts: () => this.facts,
            drive: () => this.drive,
            listing: () => this.listing(),
            whole: () => isWhole(this.there.get(first)!),
            sums: () => (first as string[]).map((path) => this.sum(path)),
            tidy: () => (first as string[]).filter((path) => this.tidy(path)).map((path) => path.slice(0, -4)),
            begin: () => this.begin(first),
            piece: () => this.piece(first),
            end: () => null,
            sync: () => null,
            make_folders: () => null,
            remove: () => ((first as string[]).forEach((path) => this.there.delete(path)), null),
            switch: () => ((first as string[]).forEach((path) => this.move(path)), null),
            selftest: () => this.selfTest(),
            vocab: () => ["Vocab(...)", ["cat", "dog"]],
            package: () => ["0.2.0", "tinyvlm on micropython", null],
        };
        return known[name]();
    }

    private listing(): unknown {
        const names = [...this.there.keys()].sort();
        const heads = names
            .filter((name) => /\.tv(lm|p)$/.test(name))
            .map((name) => [name, this.there.get(name)!.slice(0, 24), this.there.get(name)!.length]);
        return [heads, names.filter((name) => name.endsWith(".new")), []];
    }

    private sum(path: string): unknown {
        const data = this.there.get(path);
        if (!data) {
            return null;
        }
        const crc = crc32(data).toString(16).padStart(8, "0");
        return this.hasSha
            ? [data.length, "sha256", createHash("sha256").update(data).digest("hex")]
            : [data.length, "crc32", crc];
    }

    private tidy(path: string): boolean {
        const data = this.there.get(path)!;
        const to = path.slice(0, -4);
        this.there.delete(path);
        if (this.there.has(to) || !isWhole(data)) {
            return false;
        }
        this.there.set(to, data);
        return true;
    }

    private begin(path: string): null {
        this.open = { path, data: [] };
        this.there.set(path, new Uint8Array(0));
        return null;
    }

    private piece(text: string): number {
        const { path, data } = this.open!;
        this.writes++;
        const bytes = Buffer.from(text, "base64");
        if (data.length + bytes.length > this.full) {
            throw new Error("OSError: 28");
        }
        data.push(...bytes);
        const changed = Uint8Array.from(data, (byte, at) => (this.corrupt && at === 100 ? byte ^ 1 : byte));
        this.there.set(path, changed);
        return bytes.length;
    }

    private move(path: string): void {
        this.there.set(path, this.there.get(`${path}.new`)!);
        this.there.delete(`${path}.new`);
    }

    private selfTest(): unknown {
        const [path, data] = [...this.there].find(([name]) => name.endsWith(".tvlm")) ?? [];
        if (!path || this.self) {
            throw new Error(this.self ?? "OSError: no encoder (*.tvlm) on this board");
        }
        return ["Encoder(played)", path, Uint8Array.from(Buffer.from(fingerprint(data!), "hex"))];
    }
}

// As Python prints it.
function repr(value: unknown): string {
    if (value === null || value === undefined) {
        return "None";
    }
    if (typeof value === "boolean") {
        return value ? "True" : "False";
    }
    if (value instanceof Uint8Array) {
        return `b'${Array.from(value, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}'`;
    }
    if (Array.isArray(value)) {
        return `[${value.map(repr).join(", ")}]`;
    }
    if (typeof value === "object") {
        return `{${Object.entries(value).map(([key, one]) => `'${key}': ${repr(one)}`).join(", ")}}`;
    }
    return typeof value === "string" ? `'${value.replaceAll("'", "\\'")}'` : String(value);
}
