// SPDX-License-Identifier: MIT
//
// What was said of photos whose folder tells what they show, counted as tinyvlm-tune counts.

import type { Photo } from "./files";

export interface Answered {
    photo: Photo;
    truth: string; // a label, or "" for none of them
    said: string; // a label, or "" for unknown
    score: number;
}

interface Counts {
    shown: number;
    right: number;
    unknown: number;
    wrong: number;
    none: number;
    named: number;
}

// The label that a folder is called like; "" if it is none.
export function truthOf(folder: string, labels: readonly string[]): string {
    const same = (text: string) => text.normalize("NFC").toLowerCase().replace(/[_-]/g, " ").trim();
    return labels.find((label) => same(label) === same(folder)) ?? "";
}

export function count(answers: readonly Answered[]): Counts {
    const shows = answers.filter(({ truth }) => truth);
    const none = answers.filter(({ truth }) => !truth);
    return {
        shown: shows.length,
        right: shows.filter(({ truth, said }) => truth === said).length,
        unknown: shows.filter(({ said }) => !said).length,
        wrong: shows.filter(({ truth, said }) => said && truth !== said).length,
        none: none.length,
        named: none.filter(({ said }) => said).length,
    };
}

// Rows: labels that were shown, "" last; columns: labels that were shown or said, "" last.
export function matrix(answers: readonly Answered[], labels: readonly string[]) {
    const has = (names: string[]) => [...labels, ""].filter((label) => names.includes(label));
    const rows = has(answers.map(({ truth }) => truth));
    const columns = has([...answers.map(({ said }) => said), ...rows, ""]);
    const cells = rows.map((row) =>
        columns.map((column) => answers.filter(({ truth, said }) => truth === row && said === column).length),
    );
    return { rows, columns, cells };
}

// The surest first: these are the mistakes that a threshold does not mend.
export function mistakes(answers: readonly Answered[]): Answered[] {
    const sure = ({ said, score }: Answered) => (said ? score : -1);
    return answers.filter(({ truth, said }) => truth !== said).sort((a, b) => sure(b) - sure(a));
}
