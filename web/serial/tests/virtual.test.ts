// SPDX-License-Identifier: MIT
//
// The page's way to a board, with the firmware itself on QEMU's Cortex-M7.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import detect from "../../../device/examples/detect.py?raw";
import { makeImage } from "../romfs";
import { sentences } from "../sentences";
import { Board, LinkLost } from "../serial";
import { file, folder, Virtual } from "./virtual";

const OLD = ["cat", "dog"];
const NEW = Array.from({ length: 60 }, (_, n) => `thing ${n}`);

describe.skipIf(!folder)("the virtual board", { timeout: 120_000 }, () => {
    let scratch: string;
    const started: Virtual[] = [];
    const opened: Board[] = [];

    const start = async (options = {}) => {
        started.push(await Virtual.start(options));
        return started.at(-1)!;
    };
    const connect = async (virtual: Virtual) => {
        opened.push(await Board.connect(virtual.port().port));
        return opened.at(-1)!;
    };
    const pets = (name: string) => ({ path: "pets.tvp", data: file(name) });
    const encoder = () => ({ path: "small.tvlm", data: file("small.tvlm") });
    const labels = async (board: Board) => {
        const { passed, vocabs } = await board.selfTest();
        expect([passed, vocabs.length, vocabs[0].path, vocabs[0].error]).toEqual([true, 1, "pets.tvp", null]);
        return vocabs[0].labels;
    };

    beforeAll(() => void (scratch = mkdtempSync(join(tmpdir(), "serial-"))));
    afterAll(() => rmSync(scratch, { recursive: true }));
    afterEach(async () => {
        await Promise.all(opened.splice(0).map((board) => board.disconnect()));
        await Promise.all(started.splice(0).map((virtual) => virtual.off()));
    });

    test("ROMFS images are those of tinyvlm-deploy", () => {
        const names = ["small.tvlm", "photos/a.ppm", "photos/b.ppm", "readme.txt"];
        const image = makeImage(names.map((name) => ({ path: `/rom/${name}`, data: file(`rom/${name}`) })));
        expect(Buffer.from(image).equals(file("rom.romfs"))).toBe(true);
    });

    test("a fresh one gets all that it needs, then only what changes", async () => {
        const board = await connect(await start());
        const fresh = await board.info();
        expect(fresh).toMatchObject({
            name: "micropython", engine: "built in", tinyvlm: "0.2.0", encoder: null, vocabs: [], about: null,
        });
        expect(fresh.machine).toContain("Cortex-M7");
        expect(fresh.why).toBe(null);
        expect(await board.selfTest()).toMatchObject({ passed: null });

        const program = { path: "detect.py", data: new TextEncoder().encode(detect) };
        const steps: number[] = [];
        const done = await board.deploy([pets("old.tvp"), encoder(), program], (part, total) => steps.push(part / total));
        expect(done.copied).toEqual(["pets.tvp", "detect.py", "/rom/small.tvlm"]);
        expect(steps).toEqual([...steps].sort((a, b) => a - b));
        expect(steps.at(-1)).toBe(1);
        expect(await labels(board)).toEqual(OLD);
        expect(await board.info()).toMatchObject({
            encoder: { path: "/rom/small.tvlm" }, vocabs: [{ path: "pets.tvp" }], about: expect.stringContaining("small, 16x16"),
        });

        expect((await board.deploy([pets("old.tvp"), encoder(), program])).copied).toEqual([]);
        expect((await board.deploy([pets("new.tvp"), encoder()])).copied).toEqual(["pets.tvp"]);
        expect(await labels(board)).toEqual(NEW);

        await expect(board.deploy([pets("other.tvp")])).rejects.toThrow("make it again for that one");
        const size = fresh.free! + 1;
        await expect(board.deploy([{ path: "big", data: new Uint8Array(size) }])).rejects.toThrow("No space");
        expect(await labels(board)).toEqual(NEW);
    });

    test("another encoder keeps the other files in ROMFS", async () => {
        const romfs = join(scratch, "rom.romfs");
        writeFileSync(romfs, makeImage([{ path: "/rom/old.tvlm", data: file("second.tvlm") }, { path: "/rom/photos/a.ppm", data: file("rom/photos/a.ppm") }]));
        const board = await connect(await start({ romfs }));
        await expect(board.deploy([pets("old.tvp"), encoder()])).rejects.toThrow("another encoder (/rom/old.tvlm");
        const done = await board.deploy([pets("old.tvp"), encoder()], undefined, { replaceEncoder: true });
        expect(done.notes).toEqual(["1 other files in ROMFS are kept"]);
        expect(await labels(board)).toEqual(OLD);
        // names and texts of any letters, and folders that are not there yet
        const module = { path: "lib/more/words.py", data: new TextEncoder().encode("NAME = 'Käfer 🐞'\n") };
        await board.deploy([{ path: "Käfer.tvp", data: file("new.tvp") }, module]);
        expect((await board.selfTest()).vocabs.map(({ path }) => path)).toEqual(["Käfer.tvp", "pets.tvp"]);
        const lines: string[] = [];
        await board.run("from more import words\nprint(words.__file__, words.NAME)", (line) => lines.push(line));
        expect(lines.splice(0)).toEqual(["/lib/more/words.py Käfer 🐞"]);
        await board.run("import os\nprint(os.listdir('/rom'), os.stat('/rom/photos/a.ppm')[6])", (line) => lines.push(line));
        expect(lines).toEqual([`['photos', 'small.tvlm'] ${file("rom/photos/a.ppm").length}`]);
    });

    test("detect.py answers, and stops", async () => {
        const board = await connect(await start({ romfs: join(folder!, "rom.romfs") }));
        await board.deploy([pets("old.tvp")]);
        const lines: string[] = [];
        await board.run(detect, (line) => lines.push(line));
        expect(lines[0]).toContain("Encoder(small");
        expect(lines[1]).toContain("pets.tvp: Vocab(2 labels");
        expect(lines.filter((line) => /^camera +(cat|dog|unknown) \d\.\d\d/.test(line))).toHaveLength(2); // one a photo
        expect(lines.at(-1)).toContain("heap in use");

        const seen: string[] = [];
        const endless = "import _camera_board\n_camera_board.ENDLESS = True\n";
        await board.run(endless + detect, (line) => {
            seen.push(line);
            if (seen.length === 5) {
                void board.stop();
            }
        });
        expect(seen.length).toBeGreaterThan(5);
        expect(seen.at(-1)).toContain("heap in use");
        await expect(board.run("import tinyvlm\ntinyvlm.Vocab('none.tvp')", () => {})).rejects.toThrow("OSError");
        expect(await labels(board)).toEqual(OLD);
    });

    test("somebody else's endless program is stopped", async () => {
        const virtual = await start();
        const { port, pull } = virtual.port();
        const first = await Board.connect(port);
        await expect(first.run("while True:\n print('x' * 60)", pull)).rejects.toThrow(sentences.lost.run);
        const second = await connect(virtual);
        expect((await second.info()).name).toBe("micropython");
    });

    for (const power of [false, true]) {
        test(`${power ? "the power goes" : "the cable is pulled"} in the middle of a copy: the old one still loads`, async () => {
            const flash = join(scratch, `flash-${power}`);
            let virtual = await start({ flash });
            let board = await connect(virtual);
            await board.deploy([pets("old.tvp"), encoder()]);
            await board.disconnect();
            copyFileSync(flash, `${flash}.all`);

            // How many bytes it takes, on a copy of the board; then with less of them.
            const twin = await start({ flash: `${flash}.all` });
            const all = twin.port();
            board = await Board.connect(all.port);
            await board.deploy([pets("new.tvp"), encoder()]);
            const bytes = all.sent();
            await board.disconnect();
            await twin.off();

            const said = new Set<string>();
            for (const share of [0.3, 0.6, 0.75, 0.9, 0.99]) {
                board = await Board.connect(virtual.port(Math.round(share * bytes), power).port);
                const error = await board.deploy([pets("new.tvp"), encoder()]).catch((error) => error);
                expect(error).toBeInstanceOf(LinkLost);
                said.add(error.message.split("; ")[1]?.split(".")[0]);
                virtual = power ? await start({ flash }) : virtual;
                board = await connect(virtual);
                expect(await labels(board)).toEqual(OLD);
                await board.disconnect();
            }
            expect(said).toContain(sentences.lost.copy);
            // The same again: all well, and nothing is left over.
            board = await connect(virtual);
            await board.deploy([pets("new.tvp"), encoder()]);
            expect(await labels(board)).toEqual(NEW);
            const names: string[] = [];
            await board.run("import os\nprint(sorted(os.listdir()))", (line) => names.push(line));
            expect(names).toEqual(["['pets.tvp', 'rom']"]);
        });
    }
});
