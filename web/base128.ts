// SPDX-License-Identifier: MIT
//
// Bytes as text of an HTML file: seven bits a letter, so 8/7 of the bytes where base64 takes 4/3.
//
// A letter is the code point 0 ... 127 of seven bits, the first bit of the bytes the highest. Three
// cannot stand in a <script>: NUL and CR, which a parser changes, and "<". Each of them and the
// letter after it are one letter of two bytes: 256 + 128 * (0, 1, 2) + the second letter.

const MARKED = [0, 13, 60];

export function toText(bytes: Uint8Array): string {
    const letters: number[] = [];
    let bits = 0;
    let held = 0;
    let marked = -1;
    const put = (seven: number) => {
        if (marked >= 0) {
            letters.push(256 + 128 * marked + seven);
            marked = -1;
        } else if ((marked = MARKED.indexOf(seven)) < 0) {
            letters.push(seven);
        }
    };
    for (const byte of bytes) {
        held = (held << 8) | byte;
        bits += 8;
        while (bits >= 7) {
            bits -= 7;
            put((held >> bits) & 127);
        }
        held &= (1 << bits) - 1;
    }
    if (bits) {
        put((held << (7 - bits)) & 127);
    }
    if (marked >= 0) {
        put(0); // seven bits too many: more than any byte needs, so they are dropped
    }
    const pieces: string[] = [];
    for (let at = 0; at < letters.length; at += 8192) {
        pieces.push(String.fromCharCode(...letters.slice(at, at + 8192)));
    }
    return pieces.join("");
}

export function fromText(text: string, size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    let at = 0;
    let bits = 0;
    let held = 0;
    const put = (seven: number) => {
        held = (held << 7) | seven;
        bits += 7;
        if (bits >= 8) {
            bits -= 8;
            if (at < size) {
                bytes[at++] = held >> bits;
            }
            held &= (1 << bits) - 1;
        }
    };
    for (let i = 0; i < text.length; i++) {
        const letter = text.charCodeAt(i);
        if (letter > 127) {
            put(MARKED[(letter - 256) >> 7]);
            put(letter & 127);
        } else {
            put(letter);
        }
    }
    return bytes;
}
