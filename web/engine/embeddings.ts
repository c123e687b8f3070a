// SPDX-License-Identifier: MIT
//
// For tests/test_web_embeddings.py: what both builds of the engine make of the frames in a folder.
//
//     npx vite-node engine/embeddings.ts -- FOLDER

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builds, load } from "./golden";

const folder = process.argv.at(-1)!;
const { frames, encoders }: Asked = JSON.parse(readFileSync(join(folder, "asked.json"), "utf8"));
const found: Record<string, Record<string, string>> = {};

interface Asked {
    frames: Record<string, { width: number; height: number }>;
    encoders: Record<string, string>; // name -> file
}

for (const build of builds) {
    const engine = await load(build);
    found[build] = {};
    for (const [name, file] of Object.entries(encoders)) {
        const encoder = engine.open(readFileSync(file));
        for (const [which, size] of Object.entries(frames)) {
            const data = readFileSync(join(folder, `${which}.rgba`));
            found[build][`${name} ${which}`] = Buffer.from(encoder.embed({ ...size, data })).toString("hex");
        }
    }
}
writeFileSync(join(folder, "embeddings.json"), JSON.stringify(found));
