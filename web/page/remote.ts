// SPDX-License-Identifier: MIT
//
// The page's end of the worker: ask() a question, await the answer.

import type { Answer, Operation, Operations, Part } from "./protocol";

interface Waiting {
    resolve: (value: never) => void;
    reject: (error: Error) => void;
}

export class Remote {
    private waiting = new Map<number, Waiting>();
    private last = 0;

    constructor(
        private worker: Worker,
        progress: (part: Part) => void,
    ) {
        worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
            if ("progress" in data) {
                progress(data.progress);
                return;
            }
            const asked = this.waiting.get(data.id);
            this.waiting.delete(data.id);
            if ("error" in data) {
                asked?.reject(new Error(data.error));
            } else {
                asked?.resolve(data.value as never);
            }
        });
        worker.addEventListener("error", (event) => {
            for (const asked of this.waiting.values()) {
                asked.reject(new Error(event.message));
            }
            this.waiting.clear();
        });
    }

    ask<O extends Operation>(
        op: O,
        args: Operations[O][0],
        transfer: Transferable[] = [],
    ): Promise<Operations[O][1]> {
        const id = ++this.last;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject });
            this.worker.postMessage({ id, op, args }, transfer);
        });
    }
}
