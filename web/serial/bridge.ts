// SPDX-License-Identifier: MIT
//
// For tests, in node: a board behind a pty (`tinyvlm-board` prints its path) as a port of the page's
// kind, in node itself or in a page that a browser shows.
//
//     const { port } = wire(await bridge("/dev/pts/3"));            // a Port, in node
//     await standIn(page, await bridge("/dev/pts/3"));              // navigator.serial, in a page

import { constants, openSync } from "node:fs";
import { ReadStream, WriteStream } from "node:tty";
import { makePort, type Wire } from "./port";

export interface Bridge {
    send(bytes: Uint8Array): Promise<void>;
    ondata: ((bytes: Uint8Array) => void) | null; // what comes while nobody listens is thrown away
    onend: (() => void) | null; // the board has ended
    close(): void;
}

// The two ends of a pty's cable. Its settings are left as they are: raw, as the board made them.
export function bridge(pty: string): Bridge {
    const flags = constants.O_RDWR | constants.O_NOCTTY;
    const incoming = new ReadStream(openSync(pty, flags));
    const outgoing = new WriteStream(openSync(pty, flags));
    let ended = false;
    const end = () => {
        if (!ended) {
            ended = true;
            incoming.destroy();
            outgoing.destroy();
            found.onend?.();
        }
    };
    const found: Bridge = {
        ondata: null,
        onend: null,
        send: (bytes) =>
            new Promise((resolve, reject) => {
                if (ended) {
                    reject(new Error("the board has ended"));
                    return;
                }
                outgoing.write(bytes, (error) => (error ? reject(error) : resolve()));
            }),
        close: end,
    };
    incoming.on("data", (bytes: Buffer) => found.ondata?.(new Uint8Array(bytes)));
    for (const stream of [incoming, outgoing]) {
        stream.on("error", end); // EIO: QEMU is gone
        stream.on("end", end);
        stream.on("close", end);
    }
    return found;
}

// The port at the end of a bridge, for one opening: two that read from a pty take bytes from each
// other. It is unplugged when the board ends.
export function wire(to: Bridge): Wire {
    const found = makePort((bytes) => to.send(bytes), () => to.close());
    to.ondata = (bytes) => found.feed(bytes);
    to.onend = () => found.unplug();
    return found;
}

// As much of playwright's Page as is needed.
interface Page {
    exposeFunction(name: string, callback: (text: string) => Promise<void>): Promise<unknown>;
    addInitScript(script: { content: string }): Promise<unknown>;
    evaluate(expression: string): Promise<unknown>;
}

// Gives a page a navigator.serial whose only port is the board. Before the page is opened: page.goto().
// Returns what pulls the cable.
export async function standIn(page: Page, to: Bridge): Promise<() => Promise<void>> {
    await page.exposeFunction("__boardSend", (text) => to.send(Buffer.from(text, "base64")));
    await page.addInitScript({ content: `(${install})(${makePort})` });
    // One after the other: two evaluate() at once may come in any order.
    let last: Promise<unknown> = Promise.resolve();
    const tell = (expression: string) => {
        last = last.then(() => page.evaluate(expression)).catch(() => {}); // the page is closed
        return last;
    };
    to.ondata = (bytes) => void tell(`__board.feed("${Buffer.from(bytes).toString("base64")}")`);
    to.onend = () => void tell("__board.unplug()");
    return async () => {
        to.close();
        await last;
    };
}

// Runs in the page.
function install(make: typeof makePort): void {
    const scope = globalThis as unknown as {
        __boardSend(text: string): Promise<void>;
        __board: { feed(text: string): void; unplug(): void };
    };
    const events = new EventTarget();
    const { port, feed, unplug } = make((bytes) => scope.__boardSend(btoa(String.fromCharCode(...bytes))));
    const all = Object.assign(port, {
        getInfo: () => ({ usbVendorId: 0xf055, usbProductId: 0x9800 }),
        addEventListener: events.addEventListener.bind(events),
        removeEventListener: events.removeEventListener.bind(events),
    });
    const serial = Object.assign(new EventTarget(), {
        requestPort: () => Promise.resolve(all),
        getPorts: () => Promise.resolve([]),
    });
    Object.defineProperty(navigator, "serial", { value: serial, configurable: true });
    scope.__board = {
        feed: (text) => feed(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))),
        unplug: () => {
            unplug();
            events.dispatchEvent(new Event("disconnect"));
            serial.dispatchEvent(new Event("disconnect"));
        },
    };
}
