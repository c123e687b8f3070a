// SPDX-License-Identifier: MIT

import { expect, test } from "vitest";
import { type Answered, count, matrix, mistakes, truthOf } from "../page/confusion";

const LABELS = ["cat", "Straßenbahn", "coffee mug"];

test.each([
    ["cat", "cat"],
    ["CAT ", "cat"],
    ["coffee_mug", "coffee mug"],
    ["straßenbahn", "Straßenbahn"],
    ["other", ""],
    ["", ""],
])("a folder %j shows %j", (folder, label) => {
    expect(truthOf(folder, LABELS)).toBe(label);
});

const answer = (truth: string, said: string, score = 0.5): Answered => ({
    photo: { file: null as never, folder: truth },
    truth,
    said,
    score,
});
const ANSWERS = [
    answer("cat", "cat"),
    answer("cat", "", 0.8),
    answer("cat", "coffee mug", 0.4),
    answer("coffee mug", "cat", 0.9),
    answer("", "cat", 0.6),
    answer("", ""),
];

test("what is right, unknown, wrong, and named though it shows none", () => {
    expect(count(ANSWERS)).toEqual({ shown: 4, right: 1, unknown: 1, wrong: 2, none: 2, named: 1 });
});

test("rows and columns are what was shown and said", () => {
    const { rows, columns, cells } = matrix(ANSWERS, LABELS);
    expect(rows).toEqual(["cat", "coffee mug", ""]);
    expect(columns).toEqual(["cat", "coffee mug", ""]);
    expect(cells).toEqual([[1, 1, 1], [1, 0, 0], [1, 0, 1]]);
});

test("the surest mistake is the first, and one that was not named the last", () => {
    expect(mistakes(ANSWERS).map(({ score }) => score)).toEqual([0.9, 0.6, 0.4, 0.8]);
});
