// SPDX-License-Identifier: MIT
//
// A board on USB, in the browser: who it is, files onto it with tinyvlm-deploy's rules, its
// self-test, and a program that runs there.
//
//     const board = await Board.connect(await navigator.serial.requestPort());
//     await board.deploy([{ path: "pets.tvp", data }], (done, total, path) => ...);
//     await board.run(detect, (line) => ...);          // until board.stop()
//
// Every BoardError's message is a sentence for the user. One thing at a time: whoever asks for a
// second one gets such a sentence, too.

import { hex } from "./bytes";
import { BoardError, LinkLost, OnBoard } from "./errors";
import { Lines } from "./lines";
import { call } from "./onboard";
import { checkSpace, makePlan, type BoardFile, type Facts, type Found, type Plan } from "./plan";
import type { Port } from "./port";
import { Repl } from "./repl";
import { makeImage } from "./romfs";
import { sentences } from "./sentences";
import { Target } from "./target";

export { BoardError, LinkLost, OnBoard, OtherEncoder } from "./errors";
export type { Port } from "./port";
export type { BoardFile, Found } from "./plan";

export interface BoardInfo {
    name: string; // of the Python: "micropython"
    version: string;
    machine: string; // os.uname()'s
    ram: number; // bytes free; and of the file system, null where it does not tell
    flash: number | null;
    free: number | null;
    romfs: number | null; // bytes of ROMFS, or none
    engine: "built in" | "native" | "python" | "none"; // native: a .mpy; none: no tinyvlm there
    tinyvlm: string | null; // version of the device package there
    encoder: Found | null;
    vocabs: Found[];
    about: string | null; // what tinyvlm.info() says, some lines; or why it cannot
    why: string | null; // null, too, if there is no encoder
}

export interface Deployed {
    copied: string[];
    unchanged: string[]; // paths that the board had already
    saved: string[]; // an interrupted copy was complete, it is in place now
    encoder: string; // the path of the board's
    fingerprint: string | null; // of that encoder, for selfTest()
    notes: string[]; // sentences worth showing
}

export interface SelfTest {
    passed: boolean | null; // null: there is nothing to test; `text` says why
    text: string; // what the encoder says of itself, or what is wrong
    encoder: string | null; // its path there
    fingerprint: string | null;
    vocabs: { path: string; labels: string[]; error: string | null }[];
}

export interface DeployOptions {
    replaceEncoder?: boolean; // the board's, if it is another one
}

type Doing = keyof typeof sentences.lost;

const STUBBORN = 1000; // ms until Ctrl-C is pressed again
const GIVE_UP = 10; // such times

export class Board {
    onlost: ((why: BoardError) => void) | null = null; // unplugged, whatever was being done

    private busy = false;
    private running: Promise<void> | null = null; // a program
    private stopping: (() => void) | null = null; // the program is told that it is stopped
    private readonly target: Target;

    private constructor(private readonly repl: Repl) {
        this.target = new Target(repl);
        repl.onlost = (why) => this.onlost?.(why);
    }

    // Opens the port. BoardError: it is no board for us, with a way out; the port is closed then.
    // `wait`: ms that a board may take to answer.
    static async connect(port: Port, wait?: number): Promise<Board> {
        const repl = await Repl.open(port, wait);
        try {
            const board = new Board(repl);
            await board.during("look", () => board.refuseOthers());
            return board;
        } catch (error) {
            await repl.close();
            throw error;
        }
    }

    // What the board is and has.
    info(): Promise<BoardInfo> {
        return this.alone("look", async () => {
            await this.repl.softReset();
            const facts = await this.target.look();
            const said = await this.target.value(call("about.package"), 300_000);
            const [tinyvlm, about, why] = said as [string | null, string | null, string | null];
            const blind = tinyvlm !== null && !facts.encoders.length; // that is known already
            const without = tinyvlm === null ? "none" : "python";
            return {
                name: facts.name, version: facts.version, machine: facts.machine, ram: facts.ram,
                flash: facts.flash, free: facts.free, romfs: facts.romfs, tinyvlm, about,
                why: blind ? null : why,
                engine: facts.engine === null ? without : facts.engine ? "native" : "built in",
                encoder: facts.encoders[0] ?? null,
                vocabs: facts.vocabs,
            };
        });
    }

    // Copies what the board does not have. Each file is there before the first is replaced; a full
    // board and a vocabulary that does not fit its encoder are refused before anything is written.
    deploy(
        files: BoardFile[],
        progress: (done: number, total: number, path: string) => void = () => {},
        options: DeployOptions = {},
    ): Promise<Deployed> {
        return this.alone("look", async (doing) => {
            await this.repl.softReset();
            const facts = await this.target.look();
            const plan = makePlan(facts, files, options.replaceEncoder);
            await this.target.compare(plan.files);
            checkSpace(plan, facts);
            const saved = await this.target.tidy(facts.leftovers);
            const copied = await this.carryOut(plan, facts, progress, doing);
            return {
                copied,
                unchanged: plan.files.filter(({ was }) => was === "unchanged").map(({ path }) => path),
                saved,
                encoder: plan.encoder,
                fingerprint: plan.fingerprint,
                notes: plan.notes,
            };
        });
    }

    // The encoder's known answer, computed on the board, and the vocabularies opened there. It fails
    // if the board finds another encoder than `expected`, of that fingerprint.
    selfTest(expected: string | null = null): Promise<SelfTest> {
        return this.alone("test", async () => {
            await this.repl.softReset();
            const facts = await this.target.look();
            const found: SelfTest = { passed: null, text: "", encoder: null, fingerprint: null, vocabs: [] };
            try {
                const said = await this.target.value(call("check.selftest"), 300_000);
                const [text, path, mark] = said as [string, string, Uint8Array];
                found.passed = true;
                found.text = text;
                found.encoder = path;
                found.fingerprint = hex(mark);
                if (expected !== null && expected !== found.fingerprint) {
                    return { ...found, passed: false, text: sentences.otherFirst(path) };
                }
            } catch (error) {
                if (!(error instanceof OnBoard)) {
                    throw error;
                }
                const nothing = !facts.encoders.length || /no module named/i.test(error.message);
                found.passed = nothing ? null : false;
                found.text = (nothing ? sentences.noSelfTest : sentences.selfTestFailed)(error.message);
                return found;
            }
            for (const { path } of facts.vocabs) {
                found.vocabs.push(await this.open(path));
            }
            return found;
        });
    }

    // Runs a program; resolves when it ends, by itself or by stop(). OnBoard if it fails.
    run(script: string, online: (line: string) => void): Promise<void> {
        const { busy } = this;
        const work = this.alone("run", async () => {
            await this.repl.softReset();
            let stopped = false;
            let failure: unknown = null; // of whoever wants the lines: the board is told to stop
            this.stopping = () => void (stopped = true);
            const lines = new Lines((line) => {
                try {
                    online(line);
                } catch (error) {
                    failure ??= error;
                    void this.stop();
                }
            });
            try {
                await this.repl.exec(script, (bytes) => lines.feed(bytes), Infinity);
            } catch (error) {
                const text = error instanceof BoardError ? error.message : "";
                if (!stopped || !(text.startsWith("KeyboardInterrupt") || text === sentences.closed)) {
                    throw error;
                }
            } finally {
                this.stopping = null;
                lines.end();
            }
            if (failure) {
                throw failure;
            }
        });
        if (!busy) {
            this.running = work;
        }
        return work;
    }

    // Ctrl-C to the program that runs; resolves when it has ended.
    async stop(): Promise<void> {
        const { running } = this;
        const ended = running?.catch(() => {});
        for (let times = 0; running && this.running === running; times++) {
            if (times === GIVE_UP) {
                this.repl.giveUp();
                break;
            }
            this.stopping?.();
            await this.repl.interrupt().catch(() => {}); // unplugged: run() says so
            await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STUBBORN))]);
        }
        await ended;
    }

    // Leaves the board to others; what runs is stopped. Never fails.
    async disconnect(): Promise<void> {
        this.stopping?.();
        await this.repl.close();
    }

    private async refuseOthers(): Promise<void> {
        const [name, version] = await this.target.python();
        if (name === "circuitpython") {
            throw new BoardError(sentences.circuitPython(version));
        }
        if (name !== "micropython") {
            throw new BoardError(sentences.otherPython(name));
        }
        const drive = await this.target.value(call("about.drive"));
        if (drive !== "") {
            throw new BoardError(drive === ".openmv_disk" ? sentences.openmv : sentences.espVision);
        }
    }

    // Returns the paths of what was copied.
    private async carryOut(
        plan: Plan,
        facts: Facts,
        progress: (done: number, total: number, path: string) => void,
        doing: (what: Doing) => void,
    ): Promise<string[]> {
        const files = plan.files.filter(({ was }) => was !== "unchanged");
        const paths = files.map(({ path }) => path);
        doing("copy");
        const image = plan.rom && (await this.image(plan));
        const total = files.reduce((sum, { data }) => sum + data.length, image ? image.length : 0);
        let done = 0;
        const report = (path: string) => (bytes: number) => {
            done = Math.min(done + bytes, total);
            progress(done, total, path);
        };
        try {
            await this.target.makeFolders(paths);
            for (const file of files) {
                await this.target.stage(file, report(file.path));
            }
            if (image) {
                doing("romfs");
                await this.target.writeRomfs(image, report(plan.encoder));
            }
            if (paths.length) {
                doing("switch");
                await this.target.rename(paths);
            }
        } catch (error) {
            if (error instanceof LinkLost) {
                throw error; // nobody there to tidy up; the next time does
            }
            await this.target.unstage(paths);
            const full = error instanceof OnBoard && error.errno === 28; // ENOSPC
            throw full ? new BoardError(sentences.wasFull) : error;
        }
        if (paths.length && !facts.fs.includes("Lfs")) {
            plan.notes.push("not LittleFS: keep the power on while copying, a rename is two steps there");
        }
        return plan.rom ? [...paths, plan.rom.path] : paths;
    }

    private async image(plan: Plan): Promise<Uint8Array> {
        const kept: BoardFile[] = [];
        for (const { path } of plan.kept) {
            kept.push({ path, data: await this.target.read(path) });
        }
        return makeImage([plan.rom!, ...kept]);
    }

    private async open(path: string): Promise<SelfTest["vocabs"][number]> {
        try {
            const [, labels] = (await this.target.value(call("check.vocab", path))) as [string, string[]];
            return { path, labels, error: null };
        } catch (error) {
            if (error instanceof OnBoard) {
                return { path, labels: [], error: sentences.onBoard(path, error.message) };
            }
            throw error;
        }
    }

    // One thing at a time.
    private async alone<T>(first: Doing, work: (doing: (what: Doing) => void) => Promise<T>): Promise<T> {
        if (this.busy) {
            throw new BoardError(sentences.occupied);
        }
        this.busy = true;
        try {
            return await this.during(first, work);
        } finally {
            this.busy = false;
            this.running = null;
        }
    }

    // A lost board's sentence says what that means for what was being done.
    private async during<T>(first: Doing, work: (doing: (what: Doing) => void) => Promise<T>): Promise<T> {
        let what = first;
        try {
            return await work((next) => void (what = next));
        } catch (error) {
            if (!(error instanceof LinkLost)) {
                throw error;
            }
            await this.repl.close(); // who connects again finds the port free
            if (error.message !== sentences.closed) {
                const text = `${error.message}; ${sentences.lost[what]}. ${sentences.again}`;
                throw new LinkLost(text, { cause: error });
            }
            throw error;
        }
    }
}
