// SPDX-License-Identifier: MIT
//
// One file that needs nothing beside it: build/web/tinyvlm.html, scripts, worker, engine and data
// inside. `npm run build`, or `make web`, which compiles the engine first.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { viteSingleFile } from "vite-plugin-singlefile";
import { defineConfig } from "vitest/config";
import { embed } from "./embed";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const out = at("../build/web");
const version = /^version = "(.*)"/m.exec(readFileSync(at("../pyproject.toml"), "utf8"))![1];

export default defineConfig({
    root: at("page"),
    base: "./",
    publicDir: false,
    define: { VERSION: JSON.stringify(version) },
    plugins: [
        viteSingleFile(),
        embed(`${out}/data`, out, "tinyvlm.html"),
    ],
    worker: { format: "iife" },
    server: { fs: { allow: [at("..")] } },
    build: { outDir: out, emptyOutDir: false, target: "es2022", chunkSizeWarningLimit: 4096 },
    test: { root: at("."), include: ["*/**/*.test.ts"], exclude: ["node_modules/**"], testTimeout: 120000, hookTimeout: 120000 },
});
