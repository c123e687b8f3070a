// SPDX-License-Identifier: MIT
//
// tinyvlm-deploy's rules in the page, against a played board and its files.

import { beforeEach, describe, expect, test } from "vitest";
import { Board, BoardError, LinkLost, OnBoard, OtherEncoder, type BoardFile } from "../serial";
import { sentences } from "../sentences";
import { failure } from "./failure";
import { Files, made } from "./files";
import { Played } from "./played";

const OLD = made(".tvp", 7, 900, 1);
const NEW = made(".tvp", 7, 3000, 2);
const ENCODER = made(".tvlm", 7, 5000);
const OTHER = made(".tvlm", 8, 5000);
const PETS = { path: "pets.tvp", data: NEW };

let files: Files;
let played: Played;

beforeEach(() => {
    files = new Files();
    files.there.set("base.tvlm", ENCODER).set("pets.tvp", OLD);
    played = new Played({ window: 256, run: files.run });
});

const connect = () => Board.connect(played.plug().port);

async function refused(given: BoardFile[], options = {}): Promise<string> {
    const before = new Map(files.there);
    const error = await failure((await connect()).deploy(given, undefined, options));
    expect(error).toBeInstanceOf(BoardError);
    expect(files.there).toEqual(before);
    return error.message;
}

describe("files arrive", () => {
    test("what is new or changed, and nothing else", async () => {
        const board = await connect();
        const steps: [number, number, string][] = [];
        const given = [PETS, { path: "detect.py", data: new TextEncoder().encode("print('Käfer')\n") }];
        const first = await board.deploy(given, (...step) => steps.push(step));
        expect(first).toMatchObject({ copied: ["pets.tvp", "detect.py"], unchanged: [], encoder: "base.tvlm", notes: [] });
        expect(steps.at(0)).toEqual([1024, 3016, "pets.tvp"]);
        expect(steps.at(-1)).toEqual([3016, 3016, "detect.py"]);
        expect(files.there.get("pets.tvp")).toEqual(NEW);
        expect([...files.there.keys()].sort()).toEqual(["base.tvlm", "detect.py", "pets.tvp"]);
        const writes = files.writes;
        const second = await board.deploy([...given, { path: "base.tvlm", data: ENCODER }]);
        expect(second).toMatchObject({ copied: [], unchanged: ["pets.tvp", "detect.py"] });
        expect(files.writes).toBe(writes);
    });
    test("by crc32 where the board has no sha256", async () => {
        files.hasSha = false;
        const board = await connect();
        expect((await board.deploy([PETS])).copied).toEqual(["pets.tvp"]);
        expect((await board.deploy([PETS])).copied).toEqual([]);
    });
    test.each([
        ["/lib", "/lib/tinyvlm/vocab.py"],
        ["/flash/lib", "/flash/lib/tinyvlm/vocab.py"],
        [undefined, "lib/tinyvlm/vocab.py"],
    ])("the package into %s, unless the firmware has it", async (lib, path) => {
        const given = [{ path: "lib/tinyvlm/vocab.py", data: Uint8Array.of(35) }];
        files.facts.lib = lib;
        expect((await (await connect()).deploy(given)).copied).toEqual([]);
        files.facts.frozen = undefined;
        expect((await (await connect()).deploy(given)).copied).toEqual([path]);
    });
    test("an encoder as a file where there is no ROMFS, with a word about RAM", async () => {
        files.there.clear();
        const done = await (await connect()).deploy([PETS, { path: "base.tvlm", data: ENCODER }]);
        expect(done.copied).toEqual(["base.tvlm", "pets.tvp"]);
        expect(done.notes).toEqual(["no ROMFS here: the encoder is loaded into RAM, of which 99000 bytes are free"]);
    });
    test("another encoder, if that is wanted; what it leaves behind is named", async () => {
        files.there.set("things.tvp", OLD);
        const given = [{ path: "pets.tvp", data: made(".tvp", 8, 900) }, { path: "base.tvlm", data: OTHER }];
        expect(await refused(given)).toContain("replace it, or make the words again");
        expect(await failure((await connect()).deploy(given))).toBeInstanceOf(OtherEncoder);
        const done = await (await connect()).deploy(given, undefined, { replaceEncoder: true });
        expect(done.copied).toEqual(["base.tvlm", "pets.tvp"]);
        expect(done.notes).toContain("things.tvp was made for another encoder and will not work with this one");
    });
    test("what was cut off before is cleared away, or saved", async () => {
        files.there.set("pets.tvp.new", NEW.slice(0, 99)).set("things.tvp.new", NEW).set("half.tvp.new", NEW.slice(0, 99));
        const done = await (await connect()).deploy([PETS]);
        expect(done.saved).toEqual(["things.tvp"]);
        expect([...files.there.keys()].sort()).toEqual(["base.tvlm", "pets.tvp", "things.tvp"]);
    });
    test("a file system that is not LittleFS: a word about power", async () => {
        files.facts.fs = "<class 'VfsFat'>";
        expect((await (await connect()).deploy([PETS])).notes[0]).toContain("keep the power on");
    });
});

describe("refused before anything is written", () => {
    test.each<[string, () => BoardFile[], string]>([
        ["a vocabulary for another encoder", () => [{ path: "pets.tvp", data: made(".tvp", 9, 99) }], "make it again for that one"],
        ["a damaged one", () => [{ path: "pets.tvp", data: NEW.slice(0, -1) }], "is damaged or incomplete"],
        ["an empty one", () => [{ path: "pets.tvp", data: new Uint8Array(0) }], "is damaged or incomplete"],
        ["a damaged encoder", () => [{ path: "base.tvlm", data: OTHER.map((byte, at) => (at === 50 ? 1 : byte)) }], "is damaged"],
        ["two of one name", () => [PETS, PETS], "Two files are to become pets.tvp"],
        ["two encoders", () => [{ path: "a.tvlm", data: OTHER }, { path: "b.tvlm", data: OTHER }], "one encoder"],
        ["too much", () => [{ path: "a.bin", data: new Uint8Array(200001) }], "are free on the board; delete files there. Nothing was changed"],
        ...["", "..", "a//b", "/a", "a/../b", "a\nb", "x".repeat(65), "a.new", "a:b"].map(
            (path): [string, () => BoardFile[], string] => [`the name ${JSON.stringify(path)}`, () => [{ path, data: NEW }], "is no name"],
        ),
    ])("%s", async (_, given, words) => {
        expect(await refused(given())).toContain(words);
        expect(files.writes).toBe(0);
    });
    test("words without an encoder", async () => {
        files.there.delete("base.tvlm");
        expect(await refused([PETS])).toBe(sentences.noEncoder);
    });
    test("an encoder that is cut off is as good as none", async () => {
        files.there.set("base.tvlm", ENCODER.slice(0, 999));
        expect(await refused([PETS])).toBe(sentences.noEncoder);
        const done = await (await connect()).deploy([PETS, { path: "base.tvlm", data: ENCODER }]);
        expect(done.notes[0]).toBe("base.tvlm is incomplete, a copy was cut off");
        expect(files.there.get("base.tvlm")).toEqual(ENCODER);
    });
    test("a ROMFS that is too small", async () => {
        files.there.clear();
        files.facts.romfs = 4096;
        expect(await refused([{ path: "base.tvlm", data: ENCODER }])).toContain("ROMFS has 4 KB, and 5 KB are needed");
    });
});

// That go to the board for it, after connecting.
async function bytesOf(given: BoardFile[]): Promise<number> {
    files.there = new Map([["base.tvlm", ENCODER], ["pets.tvp", OLD], ["a.tvp", OLD]]);
    const board = await connect();
    played.taken = 0;
    await board.deploy(given);
    return played.taken;
}

describe("nothing is replaced", () => {
    test("if the checksum differs on the board", async () => {
        files.corrupt = true;
        expect(await refused([PETS])).toBe(sentences.sumDiffers("pets.tvp"));
    });
    test("if the board gets full all the same", async () => {
        files.full = 1500;
        expect(await refused([{ path: "a.tvp", data: OLD }, PETS])).toBe(sentences.wasFull);
    });
    for (const power of [false, true]) {
        test(`if the ${power ? "power fails" : "cable is pulled"}, at byte after byte`, async () => {
            const said = new Set<string>();
            files.hasSha = false; // whose sums take turns with other threads
            const given = [PETS, { path: "a.tvp", data: NEW }];
            const all = await bytesOf(given);
            // all along, and closer where names change
            const cuts = Array.from({ length: all }, (_, at) => at).filter((at) => at % (at < all - 800 ? 331 : 61) === 0);
            for (const count of [...cuts, all]) {
                files.there = new Map([["base.tvlm", ENCODER], ["pets.tvp", OLD], ["a.tvp", OLD]]);
                played = new Played({ window: 256, run: files.run });
                const board = await connect();
                played.taken = 0;
                played.cut = { taken: count, power };
                const lost: string[] = [];
                board.onlost = ({ message }) => lost.push(message);
                try {
                    await board.deploy(given);
                    expect(count).toBe(all);
                } catch (error) {
                    expect(error).toBeInstanceOf(LinkLost);
                    const { message } = error as Error;
                    said.add(message);
                    expect(message).toMatch(/^The board was unplugged; .* Connect it and try again\.$/);
                    expect(lost).toEqual([sentences.gone]);
                    for (const path of ["pets.tvp", "a.tvp"]) {
                        const there = files.there.get(path)!;
                        expect([OLD, NEW]).toContainEqual(there);
                        if (message.includes("nothing was")) {
                            expect(there).toEqual(OLD);
                        }
                    }
                    // The same again: all well, and nothing is left over.
                    played.cut = {};
                    await (await connect()).deploy(given);
                }
                expect(files.there).toEqual(new Map([["base.tvlm", ENCODER], ["pets.tvp", NEW], ["a.tvp", NEW]]));
            }
            expect([...said].map((text) => text.split("; ")[1].split(".")[0])).toEqual([
                sentences.lost.look, sentences.lost.copy, sentences.lost.switch,
            ]);
        }, 120_000);
    }
});

describe("other boards get a sentence with a way out", () => {
    test.each<[string, () => void, string]>([
        ["CircuitPython", () => (files.python = ["circuitpython", [9, 2, 1]]), "CircuitPython 9.2.1, which lets a PC write files on its drive only"],
        ["another Python", () => (files.python = ["pycopy", [3, 6, 1]]), "runs pycopy, and the page knows MicroPython only"],
        ["OpenMV", () => (files.drive = ".openmv_disk"), "tinyvlm-deploy NAME.tvp --openmv"],
        ["ESP-VISION", () => (files.drive = ".esp_vision_disk"), "This board runs ESP-VISION"],
    ])("%s", async (_, change, words) => {
        change();
        const { port } = played.plug();
        const error = await failure(Board.connect(port));
        expect(error).toBeInstanceOf(BoardError);
        expect(error.message).toContain(words);
        expect(played.state).toBe("friendly"); // left as people have it
        await port.open({ baudRate: 1 }); // and to them
    });
    test("a board that answers rubbish", async () => {
        played.kind.run = () => ({ out: "<garbled>\r\n" });
        expect((await failure(connect())).message).toBe(
            `${sentences.garbled}; ${sentences.lost.look}. ${sentences.again}`,
        );
    });
});

describe("what a board is", () => {
    test.each<[string | undefined, string]>([["", "built in"], ["/lib/_tinyvlm.mpy", "native"], [undefined, "python"]])(
        "engine %j: %s",
        async (engine, name) => {
            files.facts.engine = engine;
            const info = await (await connect()).info();
            expect(info).toMatchObject({
                engine: name, machine: "a played board", flash: 409600, free: 200000, romfs: null, tinyvlm: "0.2.0",
                encoder: { path: "base.tvlm", fingerprint: "0707070707070707", size: 5000 },
                vocabs: [{ path: "pets.tvp" }], about: "tinyvlm on micropython",
            });
        },
    );
    test("self-test", async () => {
        const board = await connect();
        expect(await board.selfTest()).toMatchObject({
            passed: true, text: "Encoder(played)", encoder: "base.tvlm", fingerprint: "0707070707070707",
            vocabs: [{ path: "pets.tvp", labels: ["cat", "dog"], error: null }],
        });
        files.self = "RuntimeError: the known answer differs";
        const failed = "The self-test failed: RuntimeError: the known answer differs";
        expect(await board.selfTest()).toMatchObject({ passed: false, text: failed });
        files.there.delete("base.tvlm");
        files.self = null;
        expect(await board.selfTest()).toMatchObject({ passed: null, text: /No self-test: / });
    });
});

test("an encoder that the board finds before the one it got is named", async () => {
    files.there = new Map([["a.tvlm", ENCODER]]);
    const board = await connect();
    const given = [{ path: "pets.tvp", data: made(".tvp", 8, 900) }, { path: "base.tvlm", data: OTHER }];
    const { fingerprint } = await board.deploy(given, undefined, { replaceEncoder: true });
    expect(fingerprint).toBe("0808080808080808");
    expect(await board.selfTest(fingerprint)).toMatchObject({ passed: false, text: sentences.otherFirst("a.tvlm") });
    expect(await board.selfTest()).toMatchObject({ passed: true });
});

describe("a program", () => {
    test("prints lines as they come, and ends", async () => {
        played.kind.run = (code) => (code === "mine" ? { out: "one\r\ntwo\nthree" } : files.run(code));
        const lines: string[] = [];
        await (await connect()).run("mine", (line) => lines.push(line));
        expect(lines).toEqual(["one", "two", "three"]);
    });
    test.each([0, 1])("stops, though it ignores %i Ctrl-C", async (stubborn) => {
        const board = await connect();
        played.kind.run = () => ({ forever: true, out: "cat 0.93\r\n", stubborn, after: "heap in use\r\n" });
        const lines: string[] = [];
        const first = new Promise<void>((resolve) => {
            void board.run("mine", (line) => (lines.push(line), resolve())).then(() => lines.push("END"));
        });
        await first;
        expect((await failure(board.deploy([PETS]))).message).toBe(sentences.occupied);
        await board.stop();
        expect(lines).toEqual(["cat 0.93", "heap in use", "END"]);
        played.kind.run = files.run;
        expect((await board.deploy([PETS])).copied).toEqual(["pets.tvp"]);
    });
    test("a second one is refused, and stop() waits for the first all the same", async () => {
        const board = await connect();
        played.kind.run = () => ({ forever: true, out: "x\r\n", stubborn: 1 });
        let ended = false;
        await new Promise<void>((resolve) => void board.run("mine", () => resolve()).then(() => (ended = true)));
        expect((await failure(board.run("mine", () => {}))).message).toBe(sentences.occupied);
        await board.stop();
        expect(ended).toBe(true);
    });
    test("its KeyboardInterrupt is no failure if it was stopped; another exception is", async () => {
        const board = await connect();
        played.kind.run = () => ({ forever: true, out: "x\r\n" });
        await new Promise<void>((resolve) => void board.run("mine", () => resolve()));
        await board.stop();
        played.kind.run = () => ({ out: "x\r\n", error: "Traceback:\r\nOSError: no vocabulary on this board\r\n" });
        const error = (await failure(board.run("mine", () => {}))) as OnBoard;
        expect([error.message, error.name]).toEqual(["OSError: no vocabulary on this board", "OnBoard"]);
        await board.stop(); // of nothing
    });
    test("a board that is stuck: its port is free for who connects again", async () => {
        const { port } = played.plug();
        const board = await Board.connect(port);
        played.kind.run = () => ({ forever: true, out: "x\r\n", stubborn: Infinity });
        const error = failure(board.run("mine", () => {}));
        (board as unknown as { repl: { giveUp(): void } }).repl.giveUp(); // as stop() does in the end
        expect((await error).message).toContain(sentences.stuck);
        played.kind.run = files.run;
        played.state = "raw";
        await Board.connect(port);
    });
    test("whoever wants its lines fails: it is stopped, and the board is as before", async () => {
        const board = await connect();
        played.kind.run = () => ({ forever: true, out: "x\r\n" });
        const error = await failure(board.run("mine", () => expect.fail("no place for lines")));
        expect(error.message).toBe("no place for lines");
        played.kind.run = files.run;
        expect((await board.deploy([PETS])).copied).toEqual(["pets.tvp"]);
    });
    test("unplugged while it runs", async () => {
        const board = await connect();
        played.kind.run = () => ({ forever: true, out: "x\r\n" });
        const error = await failure(board.run("mine", () => played.unplug()));
        expect(error.message).toBe(`${sentences.gone}; ${sentences.lost.run}. ${sentences.again}`);
    });
    test("disconnected while it runs: the board is left at its prompt", async () => {
        const board = await connect();
        played.kind.run = () => ({ forever: true, out: "x\r\n" });
        let over: Promise<void> | null = null;
        await new Promise<void>((resolve) => (over = board.run("mine", () => resolve())));
        await board.disconnect();
        await over;
        expect((await failure(board.info())).message).toBe(sentences.closed);
        expect(played.state).toBe("friendly");
    });
});
