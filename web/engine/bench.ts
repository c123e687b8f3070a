// SPDX-License-Identifier: MIT
//
// What a frame of a webcam costs in node, `npm run bench`: the processor's time on average, and the
// fastest frame by the clock. A busy machine makes clocks useless; the first is nearly the same there.

import { readFileSync } from "node:fs";
import { builds, load } from "./golden";

const FRAMES = 100;
const DATA = new URL("../../host/tinyvlm/data/", import.meta.url);
const [width, height] = [640, 480];
const data = Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i * 2654435761) >>> 24);
const frame = { width, height, data };

console.log(`node ${process.version}, frames of ${width}x${height} pixels, ${FRAMES} each`);
for (const build of builds) {
    const engine = await load(build);
    for (const name of ["base", "nano"]) {
        const encoder = engine.open(readFileSync(new URL(`${name}.tvlm`, DATA)));
        const runs = { embed: () => encoder.embed(frame), embedMap: () => encoder.embedMap(frame) };
        for (const [what, run] of Object.entries(runs)) {
            for (let i = 0; i < FRAMES; i++) {
                run(); // until the browser's compiler has done its best
            }
            let fastest = Infinity;
            const before = process.cpuUsage();
            for (let i = 0; i < FRAMES; i++) {
                const start = performance.now();
                run();
                fastest = Math.min(fastest, performance.now() - start);
            }
            const mean = process.cpuUsage(before).user / 1000 / FRAMES;
            const [cpu, wall] = [mean, fastest].map((ms) => `${ms.toFixed(1)} ms`.padStart(8));
            console.log(`${build.padEnd(13)} ${name.padEnd(5)} ${what.padEnd(9)}${cpu} of processor,${wall} fastest`);
        }
    }
}
