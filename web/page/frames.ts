// SPDX-License-Identifier: MIT
//
// From what can be drawn to what the encoder takes: pixels, not more of them than it looks at.

import type { Frame } from "./protocol";

const LIVE = 240; // shorter side of a frame of the camera: the encoder averages more away
const STILL = 480;

export interface Drawable {
    source: CanvasImageSource;
    width: number;
    height: number;
    live: boolean;
}

let canvas: HTMLCanvasElement | null = null;

export function grab({ source, width, height, live }: Drawable): Frame {
    const scale = Math.min(1, (live ? LIVE : STILL) / Math.min(width, height));
    const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    canvas ??= document.createElement("canvas");
    if (canvas.width !== w || canvas.height !== h) {
        [canvas.width, canvas.height] = [w, h];
    }
    const pen = canvas.getContext("2d", { willReadFrequently: true })!;
    pen.fillStyle = "white"; // what is transparent is white
    pen.fillRect(0, 0, w, h);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(source, 0, 0, w, h);
    return pen.getImageData(0, 0, w, h);
}

// A photo's pixels, turned as its EXIF says. Throws where the browser cannot read it.
export async function readPhoto(file: Blob): Promise<ImageBitmap> {
    return createImageBitmap(file);
}

export function drawable(bitmap: ImageBitmap): Drawable {
    return { source: bitmap, width: bitmap.width, height: bitmap.height, live: false };
}
