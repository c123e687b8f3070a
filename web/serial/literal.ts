// SPDX-License-Identifier: MIT
//
// Values as Python's repr() prints them: what a board answers.
//
//     literal("('a', [1, None], b'\\x00')")    // ["a", [1, null], Uint8Array [0]]
//
// Lists and tuples become arrays, dicts objects, bytes Uint8Arrays.

export type Value = null | boolean | number | string | Uint8Array | Value[] | { [key: string]: Value };

const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t", "\\": "\\", "'": "'", '"': '"' };
const HEX: Record<string, number> = { x: 2, u: 4, U: 8 };
const WORDS: Record<string, Value> = { None: null, True: true, False: false };

// SyntaxError if it is not such a value, or if more follows.
export function literal(text: string): Value {
    let at = 0;

    function fail(): never {
        throw new SyntaxError(`no Python value at ${at}: ${text.slice(0, 60)}`);
    }

    function skip(): void {
        while (text[at] === " ") {
            at++;
        }
    }

    function take(letter: string): boolean {
        skip();
        const found = text[at] === letter;
        at += Number(found);
        return found;
    }

    function quoted(): string {
        const quote = text[at++];
        let found = "";
        while (text[at] !== quote) {
            if (at >= text.length) {
                fail();
            }
            if (text[at] !== "\\") {
                found += text[at++];
                continue;
            }
            const letter = text[at + 1];
            at += 2;
            if (letter in ESCAPES) {
                found += ESCAPES[letter];
            } else if (letter in HEX) {
                const digits = text.slice(at, at + HEX[letter]);
                const code = /^[0-9a-fA-F]+$/.test(digits) ? parseInt(digits, 16) : Infinity;
                if (digits.length < HEX[letter] || code > 0x10ffff) {
                    fail();
                }
                found += String.fromCodePoint(code);
                at += HEX[letter];
            } else {
                fail();
            }
        }
        at++;
        return found;
    }

    function items(end: string): Value[] {
        const found: Value[] = [];
        while (!take(end)) {
            found.push(value());
            if (!take(",") && text[at] !== end) {
                fail();
            }
        }
        return found;
    }

    function pairs(): { [key: string]: Value } {
        const found: { [key: string]: Value } = Object.create(null);
        while (!take("}")) {
            const key = value();
            if (typeof key !== "string" || !take(":")) {
                fail();
            }
            found[key] = value();
            if (!take(",") && text[at] !== "}") {
                fail();
            }
        }
        return found;
    }

    function value(): Value {
        skip();
        const first = text[at];
        if (first === "'" || first === '"') {
            return quoted();
        }
        if (first === "b" && (text[at + 1] === "'" || text[at + 1] === '"')) {
            at++;
            return Uint8Array.from(quoted(), (letter) => letter.charCodeAt(0));
        }
        for (const [open, close] of ["()", "[]"]) {
            if (take(open)) {
                return items(close);
            }
        }
        if (take("{")) {
            return pairs();
        }
        const word = /^(?:None|True|False|-?\d+(?:\.\d*)?(?:e[-+]?\d+)?)/.exec(text.slice(at, at + 40))?.[0] ?? fail();
        at += word.length;
        return word in WORDS ? WORDS[word] : Number(word);
    }

    const found = value();
    skip();
    return at === text.length ? found : fail();
}
