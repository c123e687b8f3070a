// SPDX-License-Identifier: MIT
//
// The worker: engine, encoder and lexicon live here, so that the page never waits for a frame.

import { Engine } from "../engine/engine";
import { factsOf, Lexicon } from "../words/words";
import { bytesOf, textOf } from "./data";
import { Model } from "./model";
import type { Answer, Loaded, Operation, Operations, Part, Question, Ready } from "./protocol";

let model: Model | null = null;

async function load(blocks: Loaded): Promise<Ready> {
    const progress = (part: Part) => post({ progress: part });
    progress("engine");
    const engine = await Engine.load(await bytesOf(blocks.engine));
    progress("encoder");
    const encoder = engine.open(await bytesOf(blocks.encoder));
    const card = JSON.parse(await textOf(blocks.card));
    const background = JSON.parse(await textOf(blocks.background));
    progress("lexicon");
    const lexicon = await Lexicon.load(await bytesOf(blocks.lexicon));
    model = new Model(engine, encoder, lexicon, factsOf(card, background, encoder.dim));
    return { encoder: encoder.name, simd: engine.simd, cycles: card.cycles };
}

const operations: { [O in Operation]: (args: Operations[O][0]) => Operations[O][1] | Promise<Operations[O][1]> } = {
    load,
    words: (options) => model!.words(options),
    look: ({ frame, wanted }) => model!.look(frame, wanted),
    show: ({ label, frame }) => model!.show(label, frame),
    undo: () => model!.undo(),
    forget: () => model!.forget(),
    file: () => model!.file(),
    lexicon: async (bytes) => model!.use(await Lexicon.load(bytes)),
};

function post(answer: Answer): void {
    (self as unknown as { postMessage(message: Answer): void }).postMessage(answer);
}

self.addEventListener("message", async ({ data }: MessageEvent<Question>) => {
    const { id, op, args } = data;
    try {
        post({ id, value: await operations[op](args as never) });
    } catch (error) {
        post({ id, error: error instanceof Error ? error.message : String(error) });
    }
});
