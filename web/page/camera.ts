// SPDX-License-Identifier: MIT
//
// The camera, and what to say where there is none.

import { S } from "./strings";

export interface Camera {
    id: string;
    stop(): void;
}

// Into `video`, which shows it then. An Error's message is a sentence with a way out.
export async function startCamera(
    video: HTMLVideoElement,
    id: string | null,
    onended: () => void,
): Promise<Camera> {
    if (!navigator.mediaDevices?.getUserMedia) {
        throw new Error(S.camera.insecure);
    }
    const which = id ? { deviceId: { exact: id } } : { facingMode: { ideal: "environment" } };
    let stream: MediaStream;
    try {
        stream = await navigator.mediaDevices.getUserMedia({
            audio: false,
            video: { ...which, width: { ideal: 640 }, height: { ideal: 480 } },
        });
    } catch (error) {
        throw new Error(why(error));
    }
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", onended);
    video.srcObject = stream;
    await video.play();
    return {
        id: track.getSettings().deviceId ?? "",
        stop() {
            track.removeEventListener("ended", onended);
            track.stop();
            video.srcObject = null;
        },
    };
}

// All cameras, once one was allowed: [id, name].
export async function cameras(): Promise<[string, string][]> {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all
        .filter(({ kind, deviceId }) => kind === "videoinput" && deviceId)
        .map(({ deviceId, label }, i) => [deviceId, label || S.picture.cameraNumber(i + 1)]);
}

export function why(error: unknown): string {
    const { name, message } = error as DOMException;
    const known: Record<string, string> = {
        NotAllowedError: S.camera.denied,
        SecurityError: S.camera.insecure,
        NotFoundError: S.camera.none,
        OverconstrainedError: S.camera.none,
        NotReadableError: S.camera.busy,
        AbortError: S.camera.busy,
    };
    return known[name] ?? S.camera.other(message || name);
}
