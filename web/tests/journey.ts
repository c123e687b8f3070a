// SPDX-License-Identifier: MIT
//
// A visitor's way through the page, in Debian's Chromium: tests/test_web_page.py asserts what is
// noted here, tools/page_shots.py takes pictures on the way.
//
//     npx vite-node tests/journey.ts -- --page=FILE --work=DIR --out=DIR --studio=URL [--port=PTY] [--pictures] [--all]

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium, type Page } from "playwright-core";
import { bridge, standIn } from "../serial/bridge";

const { values: given } = parseArgs({
    args: process.argv.filter((one) => /^--\w/.test(one)),
    options: {
        page: { type: "string" }, work: { type: "string" }, out: { type: "string" }, port: { type: "string" },
        studio: { type: "string" },
        pictures: { type: "boolean" }, all: { type: "boolean" },
    },
});
const out = given.out!;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const seen = {
    errors: [] as string[], // on the console, or thrown
    requests: [] as string[], // that go elsewhere than into the page
    violations: [] as string[], // axe-core's
    steps: [] as string[],
    facts: {} as Record<string, unknown>,
};

const browser = await chromium.launch({
    executablePath: ["chromium", "chromium-browser"].map((name) => `/usr/bin/${name}`).find(existsSync),
    args: [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        `--use-file-for-fake-video-capture=${join(given.work!, "camera.y4m")}`,
    ],
});
const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1600, height: 1000 } });
const page = await context.newPage();
let served: Page | undefined; // by tinyvlm-studio
page.setDefaultTimeout(120_000);
watch(page);

function watch(page: Page): void {
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) {
            seen.errors.push(message.text());
        }
    });
    page.on("pageerror", (error) => seen.errors.push(error.message));
    page.on("request", (request) => {
        if (!/^(file|blob|data):/.test(request.url()) && !(page === served && request.url().startsWith(given.studio!))) {
            seen.requests.push(request.url());
        }
    });
}

// One step is done: is it good for everybody, and how does it look?
async function step(name: string): Promise<void> {
    seen.steps.push(name);
    for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(axe);
        const found = await page.evaluate(() => (globalThis as never as { axe: Axe }).axe.run());
        for (const { id, nodes } of found.violations) {
            seen.violations.push(`${name}, ${colorScheme}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
        }
        for (const width of given.all ? [360, 1600] : []) {
            await page.setViewportSize({ width, height: 1000 });
            await page.screenshot({ path: join(out, `${name}-${width}-${colorScheme}.png`), fullPage: true });
        }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1600, height: 1000 });
}

interface Axe {
    run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

const section = (heading: string) => page.locator("section", { has: page.getByRole("heading", { name: heading, exact: true, level: 2 }) });
const button = (name: string | RegExp) => page.getByRole("button", { name, exact: true });
const looked = (label: string) =>
    page.waitForFunction((label) => document.documentElement.dataset.looked === label, label);
const type = (text: string) => page.getByLabel("What can be in front of the camera?").fill(text);
const number = async (text: Promise<string | null>) => Number(/\d+/.exec((await text) ?? "")![0]);

const pull = given.port ? await standIn(page, bridge(given.port)) : null;

// 1. It opens: from disk, with a photo and words.
const start = Date.now();
await page.goto(`file://${given.page}`);
await page.waitForFunction(() => document.documentElement.dataset.looked);
seen.facts.first_label_ms = Date.now() - start;
seen.facts.first_label = await page.evaluate(() => document.documentElement.dataset.looked);
seen.facts.title = await page.title();
await page.setViewportSize({ width: 900, height: 1000 }); // the narrowest with two cards in a row
seen.facts.broken = await page.locator(".answers b").evaluateAll((names) =>
    names.filter((name) => name.getClientRects().length > 1).map((name) => name.textContent));
await step("opened");

// 2. Words, over the camera's picture.
await button("Camera").click();
await type("cat\ncoffee: coffee, espresso\nflower, rocket");
await looked("cat");
await looked("coffee");
await looked("cat");
seen.facts.labels = await section("Answers").locator("li b").allTextContents();
seen.facts.over = await page.locator(".over li").first().textContent();
seen.facts.speed = await page.locator(".speed").textContent();
await step("camera");

// 3. Where, and heat.
await page.getByLabel("Where", { exact: true }).check();
await button("Heat map of cat").click();
await page.waitForFunction(() => Number(document.documentElement.dataset.boxes) > 0);
seen.facts.boxes = Number(await page.evaluate(() => document.documentElement.dataset.boxes));
seen.facts.heat = await button("Heat map of cat").getAttribute("aria-pressed");
await button("Stop camera").click();
await looked("cat");
await step("where");
if (given.pictures) {
    await page.setViewportSize({ width: 1600, height: 1000 });
    await page.screenshot({ path: join(out, "page.png") });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 1000 });
    await page.screenshot({ path: join(out, "page-phone.png") });
    await page.setViewportSize({ width: 1600, height: 1000 });
    await page.emulateMedia({ colorScheme: "light" });
}
await button("Heat map of cat").click();
await page.getByLabel("Where", { exact: true }).uncheck();

// 4. Other sizes, another care, words that are taken for each other, one that nobody knows.
await type("cat\nkitten\ncup\nmug\nxyzzyfrob");
await section("Size").getByText("Words that will be confused").waitFor();
seen.facts.confused = await section("Size").locator(".pairs li").allTextContents();
seen.facts.problems = await page.locator("#words-problems li").allTextContents();
const size = async () => number(section("Size").locator("output").textContent().then((text) => text!.split(",")[1]));
seen.facts.bytes_64 = await size();
await page.getByLabel("Dimensions of each word").fill("16");
await section("Size").getByText("16 dimensions").waitFor();
seen.facts.bytes_16 = await size();
await page.getByLabel("Least score that counts").fill("0.9");
await section("Unknown").getByText("0.90").waitFor();
await step("words");
await button("As fitted").click();
await page.getByLabel("Dimensions of each word").fill("64");
await section("Size").getByText("64 dimensions").waitFor();

// 5. The file, as tinyvlm-pack makes it.
await type("cat\ncoffee: coffee, espresso\nflower\nrocket");
await page.waitForFunction(() => document.querySelectorAll(".answers li").length === 5);
await download("packed.tvp");

async function download(name: string, from = page): Promise<void> {
    const coming = from.waitForEvent("download");
    await from.getByRole("button", { name: /^Download words.tvp/ }).click();
    const found = await coming;
    seen.facts.download = found.suggestedFilename();
    await found.saveAs(join(out, name));
}

// 6. Show it: a photo is one shot, the camera many; and undo.
await page.locator(".strip button").nth(4).click();
await page.getByLabel("Its name").or(page.getByLabel("Show something that has no word")).fill("my coins");
await section("Show it").getByRole("button", { name: "Show it" }).click();
await section("Show it").getByRole("status").getByText("my coins: 1 shot").waitFor();
await looked("my coins");
await button("Camera").click();
await page.waitForFunction(() => document.querySelector("video")!.videoWidth > 0);
const hold = button("Show it: hold for cat");
await hold.scrollIntoViewIfNeeded();
const at = (await hold.boundingBox())!;
await page.mouse.move(at.x + at.width / 2, at.y + at.height / 2);
await page.mouse.down();
await section("Show it").getByRole("status").getByText(/cat: [3-9] shots/).waitFor();
await page.mouse.up();
const quiet = () => page.waitForFunction(() => !document.documentElement.dataset.showing);
await quiet();
const held = () => number(section("Show it").getByText(/shots? in all/).textContent().then((text) => text!.split(";")[1]));
const before = await held();
await hold.press("Enter");
await section("Show it").getByText(`${before + 1} shots in all`).waitFor();
await quiet();
seen.facts.shots = before;
await step("shown");
await button("Undo the last").click();
await section("Show it").getByText(`${before} shots in all`).waitFor();
await button("Stop camera").click();
await download("shown.tvp");
await button("Forget all").click();

// 7. A folder a word.
await type("cat\ncoffee\nflower\nrocket");
await page.waitForFunction(() => document.querySelectorAll(".answers li").length === 5);
await page.locator("input[data-test=tests]").setInputFiles(join(given.work!, "photos"));
await section("Test").locator("table").waitFor();
seen.facts.rates = await section("Test").locator(".verdict").allTextContents();
seen.facts.matrix = await section("Test").locator("tbody tr").evaluateAll((rows) =>
    rows.map((row) => Array.from(row.children, (cell) => cell.textContent)),
);
seen.facts.columns = await section("Test").locator("thead th").allTextContents();
await step("tested");

// 8. A photo is dropped; then a file that is none.
const coffee = readFileSync(join(given.work!, "photos", "coffee", "coffee.png")).toString("base64");
const transfer = await page.evaluateHandle((text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const found = new DataTransfer();
    found.items.add(new File([bytes], "coffee.png", { type: "image/png" }));
    return found;
}, coffee);
await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
await looked("coffee");
await page.locator("input[data-test=photos]").setInputFiles({
    name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no photo"),
});
await page.getByText("broken.png cannot be read").waitFor();
await step("broken");

// 9. The camera is unplugged.
await button("Camera").click();
await page.waitForFunction(() => document.querySelector("video")!.videoWidth > 0);
await page.evaluate(() => {
    const [track] = (document.querySelector("video")!.srcObject as MediaStream).getVideoTracks();
    track.dispatchEvent(new Event("ended"));
});
await page.locator(".strip button[aria-pressed=true]").waitFor(); // the photo in its place
seen.facts.ended = await page.locator(".picture .trouble").textContent();

// 10. The board.
if (pull) {
    await button("Connect board").click();
    await section("Board").locator("dd").first().waitFor();
    seen.facts.board = await section("Board").locator("dd").allTextContents();
    await button("Copy to the board").click();
    await section("Board").getByRole("status").getByText("Self-test passed").waitFor({ timeout: 600_000 });
    seen.facts.selftest = await section("Board").getByRole("status").textContent();
    await download("deployed.tvp");
    await button("Run detect.py").click();
    await section("Board").getByText("detect.py has ended").waitFor({ timeout: 600_000 });
    seen.facts.log = await section("Board").getByRole("log").textContent();
    await step("board");
    await type("temple\ncat");
    await page.waitForFunction(() => document.querySelectorAll(".answers li").length === 3);
    await button("Copy to the board").click();
    await section("Board").getByText("words.tvp: temple, cat").waitFor({ timeout: 600_000 });
    await button("Run detect.py").click();
    await section("Board").getByText("detect.py has ended").waitFor({ timeout: 600_000 });
    seen.facts.swapped = await section("Board").getByRole("log").textContent();
    await pull();
    await section("Board").getByRole("alert").filter({ hasText: "unplugged" }).waitFor();
    seen.facts.unplugged = await section("Board").getByRole("alert").textContent();
    await step("unplugged");
} else {
    seen.facts.board_text = await section("Board").textContent();
}

// 11. A browser that has neither serial ports nor, at this address, a camera.
const other = await context.newPage();
watch(other);
await other.addInitScript(() => {
    for (const name of ["serial", "mediaDevices"]) {
        Object.defineProperty(navigator, name, { value: undefined });
    }
});
await other.goto(`file://${given.page}`);
await other.getByRole("button", { name: "Camera", exact: true }).click();
seen.facts.no_camera = await other.getByRole("alert").first().textContent();
seen.facts.no_serial = await other.locator("section[aria-labelledby=board]").textContent();

// 12. Words whose vectors are not in the page: from disk a sentence, and lexicon.bin helps; a page
// that tinyvlm-studio serves fetches it by itself, once it is of use.
const rare = "parasite\ndeck tennis: deck tennis, silverback\npeach orchard\nthe glass sponge";
await type(rare);
const lacking = page.locator("#words-problems li");
await lacking.nth(3).waitFor();
seen.facts.lacking = await lacking.allTextContents();
seen.facts.part = await section("Words").locator(".hint").first().textContent();
await step("lacking");
for (const file of ["broken.bin", "lexicon.bin"]) {
    await page.locator("input[data-test=lexicon]").setInputFiles(join(given.work!, file));
    if (file === "broken.bin") {
        await section("Words").getByRole("alert").filter({ hasText: "damaged" }).waitFor();
    }
}
await lacking.first().waitFor({ state: "detached" });
await download("chosen.tvp");

served = await context.newPage();
watch(served);
const asked: string[] = [];
served.on("request", (request) => {
    asked.push(request.url().startsWith("blob:") ? "" : new URL(request.url()).pathname);
});
await served.goto(given.studio!);
await served.waitForFunction(() => document.documentElement.dataset.lexicon === "whole");
seen.facts.asked = asked.filter((path) => path && !path.startsWith("image/"));
seen.facts.looked_before = await served.evaluate(() => document.documentElement.dataset.looked);
await served.getByLabel("What can be in front of the camera?").fill(rare);
await served.waitForFunction(() => document.querySelectorAll(".answers li").length === 5);
seen.facts.served_problems = await served.locator("#words-problems li").allTextContents();
await download("served.tvp", served);

writeFileSync(join(out, "journey.json"), JSON.stringify(seen, null, 1));
await browser.close();
