// SPDX-License-Identifier: MIT
//
// Data inside the page: every file of a folder becomes <script type="text/plain" id="data-NAME">
// in front of </body>, deflated where that helps, as letters of base128.ts. A page opened from
// disk may not fetch; what is no program is not parsed as one, and does not pass the bundler.

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import type { Plugin } from "vite";
import { toText } from "./base128";

export function blocks(folder: string): string {
    return readdirSync(folder)
        .sort()
        .map((name) => {
            const plain = readFileSync(join(folder, name));
            const small = deflateSync(plain, { level: 9 });
            const deflated = small.length < plain.length;
            const bytes = deflated ? small : plain;
            const form = deflated ? "deflate" : "plain";
            return (
                `<script type="text/plain" id="data-${name}" data-size="${bytes.length}"` +
                ` data-form="${form}">${toText(bytes)}</script>\n`
            );
        })
        .join("");
}

// The last plugin: from OUT/index.html and the data to the one file.
export function embed(folder: string, out: string, name: string): Plugin {
    return {
        name: "embed",
        apply: "build",
        enforce: "post",
        closeBundle() {
            const page = readFileSync(join(out, "index.html"), "utf8");
            const end = page.lastIndexOf("</body>");
            writeFileSync(join(out, name), page.slice(0, end) + blocks(folder) + page.slice(end));
            rmSync(join(out, "index.html"));
        },
    };
}
