// SPDX-License-Identifier: MIT
//
// Files inside the page: `import text from "../x.bin?packed"` gives what `unpack(text)` makes the
// file's bytes of again. zlib's format in base64: smaller than a data: URL, and opened from disk,
// where fetch() is not allowed.

import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import type { Plugin } from "vite";

export function packed(): Plugin {
    const mark = "?packed";
    return {
        name: "packed",
        enforce: "pre",
        async resolveId(id, importer) {
            if (!id.endsWith(mark)) {
                return null;
            }
            const file = await this.resolve(id.slice(0, -mark.length), importer, { skipSelf: true });
            return file && file.id + mark;
        },
        load(id) {
            if (!id.endsWith(mark)) {
                return null;
            }
            const path = id.slice(0, -mark.length);
            this.addWatchFile(path);
            const text = deflateSync(readFileSync(path), { level: 9 }).toString("base64");
            return `export default ${JSON.stringify(text)};`;
        },
    };
}
