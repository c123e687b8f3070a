// SPDX-License-Identifier: MIT
//
// The prompt's protocol, in its corners, against a played board.

import { describe, expect, test } from "vitest";
import { BoardError, LinkLost, OnBoard } from "../errors";
import { Repl } from "../repl";
import type { Port } from "../port";
import { sentences } from "../sentences";
import { failure } from "./failure";
import { Played, type Kind } from "./played";

const SOON = 30; // ms: against boards that say nothing, however long one waits
const text = (bytes: number) => "#".repeat(bytes - 1) + "\n";

async function open(kind: Kind = {}): Promise<[Repl, Played]> {
    const board = new Played(kind);
    return [await Repl.open(board.plug().port), board];
}

describe("code arrives whole", () => {
    const sizes = [1, 31, 32, 33, 63, 64, 65, 96, 97, 1000, 5000];
    for (const slice of [1, 2, undefined]) {
        for (const window of [32, 128, 2048]) {
            test(`window of ${window}, ${slice ?? "all"} bytes at once`, async () => {
                const [repl, board] = await open({ window, slice, run: () => ({ out: "done\r\n" }) });
                for (const size of sizes) {
                    expect(await repl.exec(text(size))).toBe("done\n");
                }
                expect(board.codes).toEqual(sizes.map(text));
                expect(board.overrun).toBe(0);
            });
        }
    }
    test.each(["no", "old"] as const)("without raw paste (%s)", async (paste) => {
        const [repl, board] = await open({ paste, run: () => ({ out: "ok", error: "" }) });
        for (const size of [1, 256, 600]) {
            expect(await repl.exec(text(size))).toBe("ok");
        }
        expect(board.codes).toEqual([1, 256, 600].map(text));
    });
    test("letters of several bytes, cut between them", async () => {
        const [repl, board] = await open({ window: 3, slice: 1, run: () => ({ out: "Käfer 🐞\r\n" }) });
        expect(await repl.exec("print('Käfer 🐞')")).toBe("Käfer 🐞\n");
        expect(board.codes).toEqual(["print('Käfer 🐞')"]);
    });
    test("control characters stay here", async () => {
        const [repl, board] = await open();
        expect((await failure(repl.exec("print('\x04')"))).message).toBe(sentences.controls);
        expect(board.codes).toEqual([]);
    });
});

describe("what the board says about code", () => {
    test("an exception", async () => {
        const error = "Traceback (most recent call last):\r\n  File \"<stdin>\", line 1\r\nOSError: 28\r\n";
        const [repl] = await open({ run: (code) => (code === "bad" ? { out: "before", error } : { out: "fine" }) });
        const found = (await failure(repl.exec("bad"))) as OnBoard;
        expect(found).toBeInstanceOf(OnBoard);
        expect([found.message, found.errno]).toEqual(["OSError: 28", 28]);
        expect(found.traceback).toBe("Traceback (most recent call last):\n  File \"<stdin>\", line 1\nOSError: 28");
        expect(await repl.exec("good")).toBe("fine"); // and the prompt is there again
    });
    test.each([
        ["OSError: [Errno 2] ENOENT", 2],
        ["OSError: (28,)", null],
        ["MemoryError: ", null],
        ["", null],
    ])("%j", (line, errno) => {
        expect(new OnBoard(line).errno).toBe(errno);
    });
    test.each([1, 31, 32, 33, 64, 100, 150])("it wants no more after %i bytes", async (refuse) => {
        const kind: Kind = { window: 32, refuse, run: () => ({ out: "fine" }) };
        const [repl, board] = await open(kind);
        expect((await failure(repl.exec(text(200)))).message).toBe("MemoryError:");
        kind.refuse = undefined;
        expect(await repl.exec(text(200))).toBe("fine");
        expect(board.overrun).toBe(0);
    });
});

describe("noise", () => {
    test("comes before and between", async () => {
        const [repl, board] = await open({ slice: 3, boot: "I (31) wifi: up\r\n> boot.py was here\r\n" });
        board.kind.run = () => ({ out: "2\r\n" });
        for (let n = 0; n < 5; n++) {
            board.say("I (312) wifi: R rssi > -70\r\n");
            expect(await repl.exec("print(1 + 1)")).toBe("2\n");
        }
        await repl.softReset();
        expect(await repl.exec("print(1 + 1)")).toBe("2\n");
    });
    test("comes while code travels", async () => {
        const [repl, board] = await open({ window: 32, run: () => ({ out: "ok" }) });
        const work = repl.exec(text(4000));
        const chatter = setInterval(() => board.state === "paste" && board.say("tick"), 0);
        expect(await work).toBe("ok");
        clearInterval(chatter);
        expect(board.codes).toEqual([text(4000)]);
    });
    test("without an end is no MicroPython", async () => {
        const board = new Played();
        board.state = "deaf";
        const wire = board.plug();
        const chatter = setInterval(() => board.say("Temp 21.5\r\n"), 1);
        const { message } = await failure(Repl.open(wire.port, SOON));
        clearInterval(chatter);
        expect(message).toContain("not as MicroPython does (“Temp 21.5");
        expect(message).toContain("tinyvlm-flash");
    });
});

describe("the prompt is found", () => {
    test("behind a half-written line, and an echo of it", async () => {
        const board = new Played();
        await write(board.plug().port, "for i in ra");
        await Repl.open(board.plug().port);
        expect(board.state).toBe("raw");
    });
    test("behind a program that runs and one that likes to", async () => {
        for (const stubborn of [0, 1, 3]) {
            const board = new Played({ run: () => ({ forever: true, stubborn, out: "on and on\r\n" }) });
            await write(board.plug().port, "\x01while 1: pass\x04");
            expect(board.state).toBe("running");
            const repl = await Repl.open(board.plug().port, 5 * SOON);
            board.kind.run = () => ({ out: "mine" });
            expect(await repl.exec("x")).toBe("mine");
        }
    });
    test("behind code that was cut off on its way", async () => {
        const board = new Played({ window: 32, run: () => ({ out: "mine" }) });
        await write(board.plug().port, "\x01\x05A\x01print('half");
        expect(board.state).toBe("paste");
        const repl = await Repl.open(board.plug().port);
        expect(await repl.exec("x")).toBe("mine");
        expect(board.codes).toEqual(["x"]);
    });
    test("by a board that is slow: what it answers to earlier attempts is no answer", async () => {
        const board = new Played({ run: () => ({ out: "mine" }) });
        const wire = board.plug();
        const { feed } = wire;
        Object.assign(wire, { feed: (bytes: Uint8Array) => setTimeout(() => feed(bytes), 1.5 * SOON) });
        const repl = await Repl.open(wire.port, 5 * SOON);
        expect(await repl.exec("x")).toBe("mine");
        expect(board.ways).toEqual(["paste"]); // not taken for one that has no raw paste
    });
    test("left as people have it", async () => {
        const [repl, board] = await open();
        await repl.close();
        expect(board.state).toBe("friendly");
        expect((await failure(repl.exec("1"))).message).toBe(sentences.closed);
        await Repl.open(board.plug().port);
    });
});

describe("no prompt", () => {
    test("nobody answers", async () => {
        const board = new Played();
        board.state = "deaf";
        const wire = board.plug();
        const error = await failure(Repl.open(wire.port, SOON));
        expect(error).toBeInstanceOf(BoardError);
        expect(error.message).toBe(sentences.silent);
        await wire.port.open({ baudRate: 1 }); // it was closed
    });
    test("another program has the port", async () => {
        const { port } = new Played().plug();
        await port.open({ baudRate: 1 });
        expect((await failure(Repl.open(port))).message).toBe(sentences.busyPort);
    });
    test("it falls silent in the middle", async () => {
        const [repl, board] = await open({ run: () => ({ forever: true, out: "..." }) });
        repl.quiet = SOON;
        let said = "";
        const lost: string[] = [];
        repl.onlost = (why) => lost.push(why.message);
        const error = await failure(repl.exec("x", (bytes) => (said += new TextDecoder().decode(bytes))));
        expect(error).toBeInstanceOf(LinkLost);
        expect([error.message, said]).toEqual([sentences.stuck, "..."]);
        expect((await failure(repl.exec("x"))).message).toBe(sentences.stuck);
        await repl.close();
        expect(lost).toEqual([sentences.stuck]);
        expect(board.state).toBe("friendly"); // it was told to stop all the same
    });
    test("it takes no more bytes", async () => {
        const [repl, board] = await open();
        await repl.close();
        const { port } = board.plug();
        const stuck = await Repl.open(port);
        stuck.quiet = SOON;
        (board as unknown as { take: () => Promise<void> }).take = () => new Promise(() => {});
        expect((await failure(stuck.exec("x"))).message).toBe(sentences.stuck);
    });
});

describe("unplugged", () => {
    const kind = { window: 32, run: () => ({ out: "two\r\nlines\r\n" }) };
    const code = text(100);
    for (const end of ["taken", "said"] as const) {
        test(`after every single byte ${end}`, async () => {
            let whole = 0;
            for (let count = 0; !whole; count++) {
                const board = new Played(kind);
                board.cut = { [end]: count };
                try {
                    const repl = await Repl.open(board.plug().port);
                    const heard: string[] = [];
                    const work = repl.exec(code, (bytes) => heard.push(new TextDecoder().decode(bytes)));
                    await work.finally(() => expect("two\r\nlines\r\n").toContain(heard.join("")));
                    whole = count;
                } catch (error) {
                    expect(error).toBeInstanceOf(LinkLost);
                    expect((error as Error).message).toBe(sentences.gone);
                    // Plugged in again it works, whatever half of the dialogue the board is left in.
                    board.cut = {};
                    const again = await Repl.open(board.plug().port);
                    expect(await again.exec(code)).toBe("two\nlines\n");
                }
            }
            expect(whole).toBeGreaterThan(60);
        });
    }
    test("while nothing is done", async () => {
        const [repl, board] = await open();
        const lost = new Promise<LinkLost>((resolve) => (repl.onlost = resolve));
        board.unplug();
        expect((await lost).message).toBe(sentences.gone);
        expect((await failure(repl.exec("1"))).message).toBe(sentences.gone);
        await repl.close();
    });
});

test("a broken byte on the line is not the end", async () => {
    // Web Serial: the stream fails with a FramingError, and the port has a new one.
    const board = new Played({ run: () => ({ out: "fine" }) });
    const wire = board.plug();
    let break_: () => void = () => {};
    const readable = () => {
        const from = wire.port.readable!.getReader();
        return new ReadableStream<Uint8Array>({
            start(controller) {
                break_ = () => {
                    from.releaseLock();
                    fresh = readable();
                    controller.error(new DOMException("Framing error", "FramingError"));
                };
                const pump = (): Promise<void> =>
                    from.read().then(({ value }) => (controller.enqueue(value!), pump()));
                pump().catch(() => {});
            },
        });
    };
    let fresh: ReadableStream<Uint8Array> | null = null;
    const port: Port = {
        get readable() {
            return (fresh ??= readable());
        },
        get writable() {
            return wire.port.writable;
        },
        open: (options) => wire.port.open(options),
        close: () => wire.port.close(),
    };
    const repl = await Repl.open(port);
    for (let times = 0; times < 3; times++) {
        expect(await repl.exec("x")).toBe("fine");
        break_();
    }
    expect(await repl.exec("x")).toBe("fine");
});

// What somebody else wrote before.
async function write(port: Port, what: string): Promise<void> {
    await port.open({ baudRate: 1 });
    const writer = port.writable!.getWriter();
    await writer.write(new TextEncoder().encode(what));
    await new Promise((resolve) => setTimeout(resolve, 0));
    writer.releaseLock();
}
