// SPDX-License-Identifier: MIT
//
// The virtual board for tests in node. tests/test_web_serial.py says where its parts are:
// TINYVLM_PYTHON runs TINYVLM_FIRMWARE, and TINYVLM_FILES is a folder of files for it.

import "./crypto";
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { bridge, wire, type Bridge } from "../bridge";
import type { Port } from "../port";

export const folder = process.env.TINYVLM_FILES;
const python = process.env.TINYVLM_PYTHON ?? "python3";

export const file = (name: string) => new Uint8Array(readFileSync(`${folder}/${name}`));

export class Virtual {
    private constructor(
        private readonly child: ChildProcess,
        readonly pty: string,
    ) {}

    static async start(options: { flash?: string; romfs?: string } = {}): Promise<Virtual> {
        const firmware = process.env.TINYVLM_FIRMWARE;
        const all = firmware ? { firmware, ...options } : options;
        const given = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
        const child = spawn(python, ["-m", "tinyvlm.virtual.board", ...given], {
            stdio: ["ignore", "pipe", "pipe"],
        });
        let said = "";
        for (const stream of [child.stdout!, child.stderr!]) {
            stream.on("data", (text) => (said += text));
        }
        while (!said.includes("\n")) {
            await Promise.race([once(child.stdout!, "data"), once(child, "exit")]);
            if (child.exitCode !== null) {
                throw new Error(`no virtual board: ${said}`);
            }
        }
        return new Virtual(child, said.trim().split(" ").at(-1)!);
    }

    // A port to it. The cable is pulled after `cut` bytes to the board, the power goes with `power`.
    port(cut = Infinity, power = false): { port: Port; sent: () => number; pull: () => void } {
        const to = bridge(this.pty);
        let sent = 0;
        const counted: Bridge = {
            ...to,
            send: async (bytes) => {
                const room = Math.min(bytes.length, cut - sent);
                sent += room;
                await to.send(bytes.subarray(0, room));
                if (room < bytes.length) {
                    if (power) {
                        await this.off();
                    }
                    to.close();
                    throw new Error("pulled");
                }
            },
        };
        const { port } = wire(counted);
        to.ondata = (bytes) => counted.ondata?.(bytes);
        to.onend = () => counted.onend?.();
        return { port, sent: () => sent, pull: to.close };
    }

    // Without warning: QEMU is killed; what is in its flash file stays.
    async off(): Promise<void> {
        if (this.child.exitCode === null && this.child.signalCode === null) {
            const ended = once(this.child, "exit");
            this.child.kill("SIGTERM");
            await ended;
        }
    }
}
