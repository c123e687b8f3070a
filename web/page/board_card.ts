// SPDX-License-Identifier: MIT
//
// A board on USB: what it is, the files onto it, its self-test, and detect.py with its answers.

import { Board, type BoardError, type BoardFile, type BoardInfo, type Deployed, OtherEncoder, type Port } from "../serial/serial";
import { card, complaints, h, say } from "./dom";
import type { Summary } from "./protocol";
import { S } from "./strings";
import { FILE } from "./take_card";

const LINES = 300; // of the log that are kept

export interface BoardFiles {
    all(): Promise<BoardFile[]>; // package, encoder, words
    program(): Promise<string>; // detect.py
}

export function boardCard(files: BoardFiles): { element: HTMLElement; update(summary: Summary): void } {
    const { serial } = navigator as { serial?: { requestPort(): Promise<Port> } };
    const section = (...children: Node[]) => card("board", S.board.heading, { class: "card wide" }, ...children);
    if (!serial) {
        const text = window.isSecureContext ? S.board.unsupported : S.board.insecure;
        return { element: section(h("p", {}, text)), update: () => {} };
    }

    let board: Board | null = null;
    let labels: readonly string[] = [];
    let running = false;
    let busy = false;
    let offered = false; // to replace the board's encoder

    const button = (text: string, work: () => Promise<void>, kind = "") =>
        h("button", { type: "button", class: kind, onclick: () => void attempt(work) }, text);
    const connect = button(S.board.connect, start, "primary");
    const disconnect = button(S.board.disconnect, leave);
    const deploy = button(S.board.deploy, () => copy(false), "primary");
    const replace = button(S.board.replace, () => copy(true));
    const run = button(S.board.run, go);
    const stop = h("button", { type: "button", onclick: () => void board?.stop() }, S.board.stop);
    const bar = h("progress", { max: 100, value: 0, hidden: true, "aria-label": S.board.deploy });
    const status = h("p", { role: "status" });
    const { trouble, complain } = complaints();
    const facts = h("dl", { class: "facts" });
    const log = h("pre", { class: "log", tabindex: "0", role: "log", "aria-label": S.board.log, hidden: true });

    function draw(): void {
        connect.hidden = board !== null;
        for (const element of [disconnect, deploy, run]) {
            element.hidden = board === null;
        }
        replace.hidden = !offered || board === null;
        stop.hidden = !running;
        run.hidden ||= running;
        for (const element of [connect, disconnect, deploy, replace, run]) {
            element.disabled = busy;
        }
        deploy.disabled ||= !labels.length;
        replace.disabled ||= !labels.length;
    }

    // One thing at a time; whatever goes wrong is a sentence.
    async function attempt(work: () => Promise<void>): Promise<void> {
        busy = true;
        complain("");
        draw();
        try {
            await work();
        } catch (error) {
            say(status, "");
            complain((error as Error).message);
        }
        bar.hidden = true;
        running = busy = false;
        draw();
    }

    async function start(): Promise<void> {
        let port: Port;
        try {
            port = await serial!.requestPort();
        } catch {
            throw new Error(S.board.noPort);
        }
        say(status, S.board.connecting);
        board = await Board.connect(port);
        board.onlost = (why: BoardError) => {
            board = null;
            facts.replaceChildren();
            say(status, "");
            if (!busy) { // else whatever was being done says more
                complain(S.board.lost(why.message));
            }
            draw();
        };
        describe(await board.info());
        say(status, "");
    }

    async function leave(): Promise<void> {
        await board?.disconnect();
        board = null;
        facts.replaceChildren();
        log.hidden = true;
        say(status, "");
    }

    async function copy(replaceEncoder: boolean): Promise<void> {
        offered = false;
        bar.value = 0;
        bar.hidden = false;
        const progress = (done: number, total: number, path: string) => {
            bar.value = total ? (100 * done) / total : 100;
            say(status, S.board.copying(Math.round(bar.value), path));
        };
        let done: Deployed;
        try {
            done = await board!.deploy(await files.all(), progress, { replaceEncoder });
        } catch (error) {
            offered = error instanceof OtherEncoder;
            throw error;
        }
        bar.hidden = true;
        note(done.copied.length ? S.board.copied(done.copied.join(", ")) : S.board.unchanged(FILE));
        done.notes.forEach(note);
        say(status, S.board.testing);
        const { passed, text, vocabs } = await board!.selfTest(done.fingerprint);
        note(passed ? S.board.passed(text) : text);
        vocabs.forEach(({ path, labels, error }) => note(error ?? `${path}: ${labels.join(", ")}`));
        describe(await board!.info());
        say(status, passed ? S.board.passed(text.split("\n")[0]) : text);
    }

    async function go(): Promise<void> {
        const program = await files.program();
        log.replaceChildren();
        running = true;
        draw();
        say(status, S.board.running);
        await board!.run(program, note);
        say(status, S.board.ended);
    }

    function note(line: string): void {
        log.hidden = false;
        const low = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
        log.append(`${line}\n`);
        while (log.childNodes.length > LINES) {
            log.firstChild!.remove();
        }
        if (low) {
            log.scrollTop = log.scrollHeight;
        }
    }

    function describe(info: BoardInfo): void {
        const names = S.board.facts;
        const rows: [string, string][] = [
            [names.machine, info.machine],
            [names.firmware, `${info.name} ${info.version}`],
            [names.engine, names.engines[info.engine]],
            [names.package, info.tinyvlm ?? names.none],
            [names.encoder, info.encoder ? info.encoder.path : names.none],
            [names.words, info.vocabs.map(({ path }) => path).join(", ") || names.none],
            [names.memory, names.free(info.ram)],
        ];
        facts.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
        if (info.why) {
            complain(info.why);
        }
    }

    draw();
    return {
        element: section(
            h("p", { class: "hint" }, S.board.lead),
            h("div", { class: "row" }, connect, deploy, replace, run, stop, disconnect),
            trouble,
            status,
            bar,
            facts,
            log,
        ),
        update(summary) {
            labels = summary.labels;
            draw();
        },
    };
}
