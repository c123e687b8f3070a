// SPDX-License-Identifier: MIT
//
// What is drawn over the picture: the square that the encoder sees, heat, boxes.

import { colour } from "./colours";
import type { Look } from "./protocol";

interface Size {
    width: number;
    height: number;
}

// `canvas` lies over the whole stage; the picture is as large as fits into its middle.
export function drawOverlay(
    canvas: HTMLCanvasElement,
    picture: Size,
    frame: Size,
    look: Look | null,
    labels: readonly string[],
): void {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const pen = canvas.getContext("2d")!;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!picture.width || !frame.width) {
        return;
    }
    const scale = Math.min(width / picture.width, height / picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    const [left, top] = [(width - w) / 2, (height - h) / 2];
    const side = Math.min(w, h);
    const square = { x: left + (w - side) / 2, y: top + (h - side) / 2, side };
    pen.fillStyle = "rgba(0, 0, 0, 0.5)";
    if (w > h) {
        pen.fillRect(left, top, square.x - left, h);
        pen.fillRect(square.x + side, top, left + w - square.x - side, h);
    } else {
        pen.fillRect(left, top, w, square.y - top);
        pen.fillRect(left, square.y + side, w, top + h - square.y - side);
    }
    if (look?.heat) {
        drawHeat(pen, look.heat, square);
    }
    const to = w / frame.width;
    for (const box of look ? [...look.boxes].reverse() : []) {
        const at = [left + box.x0 * to, top + box.y0 * to] as const;
        const tag = `${box.label} ${Math.round(100 * box.score)} %`;
        drawBox(pen, at, [(box.x1 - box.x0) * to, (box.y1 - box.y0) * to], tag, colour(box.label, labels), {
            left,
            top,
            right: left + w,
        });
    }
}

function drawBox(
    pen: CanvasRenderingContext2D,
    [x, y]: readonly [number, number],
    [w, h]: readonly [number, number],
    tag: string,
    ink: string,
    within: { left: number; top: number; right: number },
): void {
    pen.lineWidth = 5;
    pen.strokeStyle = "rgba(0, 0, 0, 0.6)";
    pen.strokeRect(x, y, w, h);
    pen.lineWidth = 3;
    pen.strokeStyle = ink;
    pen.strokeRect(x, y, w, h);
    pen.font = "600 14px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const long = pen.measureText(tag).width + 22;
    const tx = Math.max(within.left, Math.min(x - 1, within.right - long));
    const ty = y + h - 22;
    pen.fillStyle = "rgba(0, 0, 0, 0.78)";
    pen.fillRect(tx, ty, long, 22);
    pen.fillStyle = ink;
    pen.fillRect(tx + 5, ty + 6, 10, 10);
    pen.fillStyle = "white";
    pen.fillText(tag, tx + 19, ty + 11.5);
}

let cells: HTMLCanvasElement | null = null;

// Clear where the least warm cell is, orange where the warmest is.
function drawHeat(
    pen: CanvasRenderingContext2D,
    { rows, cols, values }: NonNullable<Look["heat"]>,
    { x, y, side }: { x: number; y: number; side: number },
): void {
    cells ??= document.createElement("canvas");
    [cells.width, cells.height] = [cols, rows];
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const small = cells.getContext("2d")!;
    const pixels = small.createImageData(cols, rows);
    values.forEach((value, i) => pixels.data.set([255, 122, 0, (210 * (value - low)) / span], 4 * i));
    small.putImageData(pixels, 0, 0);
    pen.save();
    pen.beginPath();
    pen.rect(x, y, side, side);
    pen.clip();
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(cells, x, y, side, side);
    pen.restore();
}
