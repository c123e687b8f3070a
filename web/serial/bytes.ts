// SPDX-License-Identifier: MIT
//
// Bytes as boards and files have them: hex, base64, checksums, and what a .tvlm or .tvp begins with.

export function hex(bytes: Uint8Array): string {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function base64(bytes: Uint8Array): string {
    let letters = "";
    for (let at = 0; at < bytes.length; at += 4096) {
        letters += String.fromCharCode(...bytes.subarray(at, at + 4096));
    }
    return btoa(letters);
}

export function unbase64(text: string): Uint8Array {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
    for (let bit = 0; bit < 8; bit++) {
        value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    }
    return value;
});

export function crc32(bytes: Uint8Array): number {
    let crc = 0xffffffff;
    for (const byte of bytes) {
        crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
    }
    return ~crc >>> 0;
}

// As onboard/sums.py says it: [bytes, kind, hex].
export async function sum(bytes: Uint8Array, kind: string): Promise<string> {
    if (kind === "sha256") {
        return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes))));
    }
    return crc32(bytes).toString(16).padStart(8, "0");
}

// Is a .tvlm or .tvp complete, by its own CRC? As onboard/whole.py.
export function isWhole(data: Uint8Array): boolean {
    if (data.length < 24 || !["TVPR", "TVLM"].includes(String.fromCharCode(...data.subarray(0, 4)))) {
        return false;
    }
    const view = new DataView(data.buffer, data.byteOffset);
    const size = view.getUint32(8, true);
    return data.length >= size && crc32(data.subarray(16, size)) === view.getUint32(12, true);
}

// Of the encoder: both kinds of files name it.
export function fingerprint(data: Uint8Array): string {
    return hex(data.subarray(16, 24));
}
