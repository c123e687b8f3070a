// SPDX-License-Identifier: MIT
//
// A colour a label: Okabe and Ito's, which colour-blind readers tell apart. Never the only sign.

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

export function colour(label: string, labels: readonly string[]): string {
    const number = labels.indexOf(label);
    return number < 0 ? "#777777" : COLOURS[number % COLOURS.length];
}
