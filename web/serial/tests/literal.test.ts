// SPDX-License-Identifier: MIT

import { expect, test } from "vitest";
import { literal } from "../literal";

test.each([
    ["None", null],
    ["True", true],
    ["-17", -17],
    ["4294967296", 4294967296],
    ["-1.5e-07", -1.5e-7],
    ["''", ""],
    [`"it's"`, "it's"],
    [`'a\\'b\\\\\\n\\t\\r"'`, 'a\'b\\\n\t\r"'],
    ["'K\\xe4fer \\u4f60\\U0001f41e Käfer'", "Käfer 你🐞 Käfer"],
    ["b'\\x00\\xffA\\n'", Uint8Array.of(0, 255, 65, 10)],
    ["()", []],
    ["(1,)", [1]],
    ["[1, (2, 'x'), []]", [1, [2, "x"], []]],
    ["{}", {}],
    ["{'a': 1, 'b': ('c', None)}", { a: 1, b: ["c", null] }],
    ["{'__proto__': 1}", Object.assign(Object.create(null), { ["__proto__"]: 1 })],
    [" 1 ", 1],
])("%s", (text, value) => {
    expect(JSON.stringify(literal(text))).toBe(JSON.stringify(value));
});

test.each(["", "(", "(1", "(1 2)", "'", "'a", "'\\x4'", "'\\uzzzz'", "'\\q'", "b'a", "{'a'}", "{1: 2}", "{'a': 1",
    "<obj>", "1 2", "Nonesense", "--1", "'\\U00110000'"])("%j is none", (text) => {
    expect(() => literal(text)).toThrow(SyntaxError);
});
