// SPDX-License-Identifier: MIT
//
// The page: cards that show, a worker that knows, and this, which passes frames and words on.

import { hasSimd } from "../engine/engine";
import type { BoardFile } from "../serial/serial";
import { answersCard, type Showing } from "./answers_card";
import { boardCard } from "./board_card";
import { block, bytesOf, names, textOf } from "./data";
import { h, say } from "./dom";
import { dropped } from "./files";
import { grab } from "./frames";
import { besides, isNamed } from "./lexicon";
import { type PictureCard, pictureCard } from "./picture_card";
import type { Options, Ready, Summary } from "./protocol";
import { Remote } from "./remote";
import { showCard } from "./show_card";
import { sizeCard } from "./size_card";
import { S } from "./strings";
import { FILE, takeCard } from "./take_card";
import { testsCard } from "./tests_card";
import { unknownCard } from "./unknown_card";
import { wordsCard } from "./words_card";
import PageWorker from "./worker?worker&inline";

const { dataset } = document.documentElement; // for tests: looked, boxes, showing, lexicon
const CLOCK = 480e6; // of the STM32H7 that the estimate is for
const PAUSE = 200; // ms between two shots of a button that is held
const PICTURE = 100; // ms until there may be a picture

async function start(app: HTMLElement): Promise<void> {
    const boot = app.querySelector(".boot")!;
    if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") {
        throw new Error(S.loading.old);
    }
    const remote = new Remote(new PageWorker(), (part) => say(boot, S.loading[part]));
    const loading = remote.ask("load", {
        engine: block(hasSimd() ? "tinyvlm-simd.wasm" : "tinyvlm.wasm"),
        encoder: block("base.tvlm"),
        lexicon: block("lexicon.bin"),
        background: block("background.json"),
        card: block("card.json"),
    });
    const samples = names("photo-").map(async (name) => ({
        name: /-\d+-(.*)\./.exec(name)![1],
        file: new Blob([await bytesOf(block(name))], { type: "image/webp" }),
    }));
    const about = await loading;
    const page = new Page(app, remote, about, await Promise.all(samples));
    await page.words();
}

class Page {
    private summary: Summary | null = null;
    private first = false; // label was seen
    private looking = false;
    private again = false; // somebody changed something while looking
    private reading = false; // the words
    private more = false;
    private rate = 0; // frames/s, smoothed
    private last = 0;

    private readonly picture: PictureCard;
    private readonly typed;
    private readonly answers;
    private readonly unknown;
    private readonly size;
    private readonly show;
    private readonly tests;
    private readonly take;
    private readonly board;

    constructor(
        app: HTMLElement,
        private readonly remote: Remote,
        private readonly about: Ready,
        samples: { name: string; file: Blob }[],
    ) {
        const changed = () => void this.look();
        const words = () => void this.words();
        const showing = this.showing();
        this.picture = pictureCard(samples, changed);
        this.typed = wordsCard(words, (file) => void this.use(file.arrayBuffer()));
        this.answers = answersCard(showing, changed);
        this.unknown = unknownCard(words);
        this.size = sizeCard(words);
        this.show = showCard(showing, () => void this.learned("undo"), () => void this.learned("forget"));
        this.tests = testsCard((frame) =>
            remote.ask("look", { frame, wanted: { where: false, heat: null } }, [frame.data.buffer]),
        );
        this.take = takeCard(() => remote.ask("file", null));
        this.board = boardCard({ all: () => this.files(), program: () => textOf(block("detect.py")) });
        app.replaceChildren(
            h(
                "header",
                {},
                h("h1", {}, S.title),
                h("p", {}, S.tagline, " ", h("strong", {}, S.privacy)),
            ),
            h(
                "main",
                {},
                this.picture.element,
                h("div", { class: "column" }, this.typed.element, this.answers.element),
                h(
                    "div",
                    { class: "cards" },
                    h("div", { class: "column" }, this.unknown.element, this.take.element),
                    this.size.element,
                    this.show.element,
                    this.board.element,
                    this.tests.element,
                ),
            ),
            h("footer", {}, h("p", {}, S.foot.limits), h("p", {}, S.foot.photos), h("p", {}, S.foot.version(VERSION))),
        );
        document.addEventListener("dragover", (event) => event.preventDefault());
        document.addEventListener("drop", (event) => {
            event.preventDefault();
            const lexicon = Array.from(event.dataTransfer!.files).find(isNamed);
            if (lexicon) {
                void this.use(lexicon.arrayBuffer());
                return;
            }
            void dropped(event.dataTransfer!).then((photos) => this.picture.offer(photos));
        });
    }

    // Reads the words and settings; the newest ones, if there were several changes meanwhile.
    async words(): Promise<void> {
        if (this.reading) {
            this.more = true;
            return;
        }
        this.reading = true;
        do {
            this.more = false;
            const options: Options = {
                text: this.typed.text(),
                dim: this.size.dim(),
                unknown: this.unknown.setting(),
                threshold: this.unknown.threshold(),
            };
            try {
                this.update(await this.remote.ask("words", options));
            } catch (error) {
                this.picture.wait((error as Error).message);
            }
        } while (this.more);
        this.reading = false;
        await this.look();
    }

    private update(summary: Summary): void {
        this.summary = summary;
        for (const card of [this.typed, this.answers, this.unknown, this.size, this.show, this.tests, this.take, this.board]) {
            card.update(summary);
        }
    }

    // One frame through the worker; then the next, where there is a camera.
    private async look(): Promise<void> {
        if (this.looking || !this.summary) {
            this.again = true;
            return;
        }
        const picture = this.picture.current();
        if (!picture) {
            setTimeout(() => void this.look(), PICTURE); // the camera has none yet, or nobody chose one
            return;
        }
        this.looking = true;
        this.again = false;
        const frame = grab(picture);
        const size = { width: frame.width, height: frame.height };
        const wanted = { where: this.picture.where(), heat: this.answers.heat() };
        const { labels } = this.summary;
        try {
            const look = await this.remote.ask("look", { frame, wanted }, [frame.data.buffer]);
            this.picture.found(look, labels, size);
            this.answers.found(look);
            this.speed(look.ms, picture.live);
            dataset.looked = look.said || "unknown";
            dataset.boxes = String(look.boxes.length);
            if (!this.first) {
                this.first = true;
                void this.fetchLexicon();
            }
        } catch (error) {
            this.picture.wait((error as Error).message);
        }
        this.looking = false;
        if (this.again) {
            void this.look();
        } else if (picture.live) {
            requestAnimationFrame(() => void this.look());
        }
    }

    // All words, now that the page can be used.
    private async fetchLexicon(): Promise<void> {
        try {
            const bytes = await besides((share) => this.typed.fetching(share));
            if (bytes) {
                await this.use(Promise.resolve(bytes.buffer));
            }
        } catch (error) {
            this.typed.trouble(S.words.broken((error as Error).message));
        }
        this.typed.fetching(null);
    }

    private async use(lexicon: Promise<ArrayBuffer>): Promise<void> {
        try {
            const bytes = new Uint8Array(await lexicon);
            this.update(await this.remote.ask("lexicon", bytes, [bytes.buffer]));
            this.typed.trouble("");
            dataset.lexicon = "whole";
            await this.look();
        } catch (error) {
            this.typed.trouble((error as Error).message);
        }
    }

    private speed(ms: number, live: boolean): void {
        const now = performance.now();
        if (live && now - this.last < 1000) {
            const rate = 1000 / (now - this.last);
            this.rate = this.rate ? 0.9 * this.rate + 0.1 * rate : rate;
        } else {
            this.rate = 0;
        }
        this.last = now;
        this.picture.speed([
            this.rate ? S.speed.here(this.rate, ms) : S.speed.once(ms),
            S.speed.board(CLOCK / this.about.cycles),
            S.speed.engine(this.about.simd, this.about.encoder),
        ]);
    }

    // While a button is held: a shot now and then; of a photo, which stays the same, one.
    private showing(): Showing {
        let held = "";
        let busy = false;
        const shot = async () => {
            const picture = this.picture.current();
            if (!held || busy || !picture) {
                return;
            }
            busy = true;
            dataset.showing = "yes";
            const label = held;
            try {
                const frame = grab(picture);
                this.update(await this.remote.ask("show", { label, frame }, [frame.data.buffer]));
                this.show.trouble(this.summary!.labels.length ? "" : S.show.needsWord);
                void this.look();
            } catch (error) {
                this.show.trouble((error as Error).message);
                held = "";
            }
            busy = false;
            delete dataset.showing;
            if (held && picture.live) {
                setTimeout(() => void shot(), PAUSE);
            }
        };
        return {
            start: (label) => {
                held = label;
                void shot();
            },
            stop: () => {
                held = "";
            },
        };
    }

    private async learned(op: "undo" | "forget"): Promise<void> {
        this.update(await this.remote.ask(op, null));
        await this.look();
    }

    private async files(): Promise<BoardFile[]> {
        const utf8 = new TextEncoder();
        const sources: Record<string, string> = JSON.parse(await textOf(block("package.json")));
        return [
            ...Object.entries(sources).map(([name, text]) => ({ path: `lib/tinyvlm/${name}`, data: utf8.encode(text) })),
            { path: "base.tvlm", data: await bytesOf(block("base.tvlm")) },
            { path: FILE, data: await this.remote.ask("file", null) },
        ];
    }
}

declare const VERSION: string; // vite.config.ts

const app = document.querySelector<HTMLElement>("#app")!;
start(app).catch((error: Error) => {
    const text = error.message === S.loading.old ? error.message : S.loading.failed(error.message);
    app.replaceChildren(h("p", { class: "boot trouble", role: "alert" }, text));
});
