// SPDX-License-Identifier: MIT
//
// The picture: camera or photo, what was found in it, and where pictures come from.

import { type Camera, cameras, startCamera } from "./camera";
import { colour } from "./colours";
import { card, complaints, h, say, set } from "./dom";
import { chosen, type Photo } from "./files";
import { type Drawable, drawable, readPhoto } from "./frames";
import { drawOverlay } from "./overlay";
import type { Look } from "./protocol";
import { percent, S } from "./strings";

const OVER = 3; // labels that stand on the picture
const WORTH = 0.01; // a score that is worth a line there
const MOST = 60; // photos in the strip
const LARGEST = 1600; // pixels of a side that are shown of a photo
const CALM = 2000; // ms between two answers that a screen reader is told of, while the camera runs

export interface PictureCard {
    element: HTMLElement;
    current(): Drawable | null;
    where(): boolean;
    found(look: Look, labels: readonly string[], frame: { width: number; height: number }): void;
    offer(photos: Photo[]): void;
    speed(lines: string[]): void;
    wait(text: string): void;
}

// changed: another picture, or another wish, so that somebody looks again.
export function pictureCard(samples: { name: string; file: Blob }[], changed: () => void): PictureCard {
    const video = h("video", { muted: true, playsinline: true, hidden: true, "aria-label": S.picture.live });
    video.muted = true;
    const photo = h("canvas", { class: "photo", role: "img", "aria-label": S.picture.heading });
    const overlay = h("canvas", { class: "overlay", "aria-hidden": "true" });
    const over = h("ol", { class: "over", "aria-hidden": "true" });
    const verdict = h("p", { class: "hearing", role: "status" });
    const { trouble, complain } = complaints();
    const speed = h("p", { class: "speed" });
    const strip = h("ul", { class: "strip", "aria-label": S.picture.strip });

    let camera: Camera | null = null;
    let told = 0; // when the verdict was last said
    let still: ImageBitmap | null = null;
    let last: [Look, readonly string[], { width: number; height: number }] | null = null;

    const start = h("button", { type: "button", class: "primary", onclick: () => void toggle() }, S.picture.camera);
    const which = h("select", { "aria-label": S.picture.whichCamera, hidden: true, onchange: () => void go(which.value) });
    const where = h("input", { type: "checkbox", onchange: changed });

    async function toggle(): Promise<void> {
        if (camera) {
            stop();
            useFirst();
        } else {
            await go(null);
        }
    }

    async function go(id: string | null): Promise<void> {
        start.disabled = true;
        complain("");
        try {
            camera?.stop();
            camera = null;
            camera = await startCamera(video, id, () => {
                stop();
                useFirst();
                complain(S.camera.ended);
            });
            still?.close();
            still = null;
            video.hidden = false;
            photo.hidden = true;
            mark(null);
            const all = await cameras();
            which.replaceChildren(...all.map(([value, name]) => h("option", { value }, name)));
            which.value = camera?.id ?? "";
            which.hidden = all.length < 2;
        } catch (error) {
            stop();
            if (!still) {
                useFirst();
            }
            complain((error as Error).message);
        }
        start.disabled = false;
        say(start, camera ? S.picture.stopCamera : S.picture.camera);
        changed();
    }

    function stop(): void {
        camera?.stop();
        camera = null;
        video.hidden = true;
        photo.hidden = false;
        which.hidden = true;
        say(start, S.picture.camera);
    }

    async function show(file: Blob, name: string, button: HTMLButtonElement): Promise<void> {
        complain(""); // at once, so that what is said meanwhile stays
        let bitmap: ImageBitmap;
        try {
            bitmap = await readPhoto(file);
        } catch {
            complain(S.picture.badPhoto(name));
            button.closest("li")?.remove();
            return;
        }
        stop();
        still?.close();
        still = bitmap;
        const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
        [photo.width, photo.height] = [Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale)];
        photo.getContext("2d")!.drawImage(bitmap, 0, 0, photo.width, photo.height);
        set(photo, { "aria-label": S.picture.still(name) });
        mark(button);
        changed();
    }

    function mark(button: HTMLButtonElement | null): void {
        for (const other of strip.querySelectorAll("button")) {
            set(other, { "aria-pressed": String(other === button) });
        }
    }

    function thumb(file: Blob, name: string, title: string): HTMLLIElement {
        const url = URL.createObjectURL(file);
        const button = h(
            "button",
            { type: "button", "aria-pressed": "false", title: name, onclick: () => void show(file, name, button) },
            h("img", { src: url, alt: title, loading: "lazy", width: 96, height: 72 }),
        );
        return h("li", {}, button);
    }

    function useFirst(): void {
        strip.querySelector("button")?.click();
    }

    const input = (more: Record<string, string | boolean>) => {
        const element = h("input", {
            type: "file",
            hidden: true,
            ...more,
            onchange: () => made.offer(chosen(element)),
        });
        return element;
    };
    const files = input({ multiple: true, accept: "image/*", "data-test": "photos" });
    const folder = input({ webkitdirectory: true, multiple: true });

    strip.append(...samples.map(({ name, file }) => thumb(file, name, S.picture.sample(name))));

    const stage = h("div", { class: "stage" }, video, photo, overlay, over);
    const made: PictureCard = {
        element: card(
            "picture",
            S.picture.heading,
            { class: "card picture" },
            stage,
            verdict,
            trouble,
            h(
                "div",
                { class: "row" },
                start,
                which,
                h("button", { type: "button", onclick: () => files.click() }, S.picture.photos),
                h("button", { type: "button", onclick: () => folder.click() }, S.picture.folder),
                h("label", { class: "check", title: S.picture.whereHint }, where, h("span", {}, S.picture.where)),
                files,
                folder,
            ),
            strip,
            h("p", { class: "hint" }, h("span", { class: "drop" }, S.picture.drop), S.picture.square),
            speed,
        ),
        current() {
            if (camera) {
                const { videoWidth: width, videoHeight: height, readyState } = video;
                return width && readyState >= 2 ? { source: video, width, height, live: true } : null;
            }
            return still && drawable(still);
        },
        where: () => where.checked,
        found(look, labels, frame) {
            last = [look, labels, frame];
            redraw();
            const named = look.scores
                .filter(({ label }) => label)
                .filter(({ score }, i) => !i || score >= WORTH);
            const rows = look.said || !labels.length ? named : [{ label: "", score: NaN }, ...named];
            over.replaceChildren(
                ...rows.slice(0, OVER).map(({ label, score }, i) =>
                    h(
                        "li",
                        { class: i ? "" : "first" },
                        h("i", { style: `background:${colour(label, labels)}` }),
                        h("b", {}, label || S.answers.unknown),
                        label && ` ${percent(score)}`, // unknown is what no score reaches
                    ),
                ),
            );
            const now = performance.now();
            if (!camera || now - told > CALM) {
                told = now;
                say(verdict, !labels.length ? S.answers.none : look.said || S.answers.verdictUnknown);
            }
        },
        offer(photos) {
            if (!photos.length) {
                complain(S.picture.noPhotos);
                return;
            }
            const some = photos.slice(0, MOST);
            strip.prepend(...some.map(({ file }) => thumb(file, file.name, S.picture.own(file.name))));
            strip.scrollLeft = 0;
            useFirst();
        },
        speed: (lines) => speed.replaceChildren(...lines.map((line) => h("span", {}, line))),
        wait: (text) => say(verdict, text),
    };

    function redraw(): void {
        const now = made.current();
        if (now && last) {
            const [look, labels, frame] = last;
            drawOverlay(overlay, now, frame, look, labels);
        }
    }
    new ResizeObserver(redraw).observe(stage);
    useFirst();
    return made;
}
