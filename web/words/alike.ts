// SPDX-License-Identifier: MIT
//
// Names that are spelled like a word: Python's difflib.get_close_matches, which is Ratcliff and
// Obershelp's measure, and the cheap one that picks what it looks at.

/** Of `names`, `count` at most that are spelled like `word`, likest first. */
export function near(word: string, names: string[], count = 3): string[] {
    return closeMatches(word, candidates(word, names, 100), count, 0.75);
}

/** The names with the most pairs of letters in common; of equal ones, those that stand first. */
function candidates(word: string, names: string[], count: number): string[] {
    const letters = [...word];
    const pairs = [...new Set(letters.slice(1).map((c, i) => letters[i] + c))];
    const scores = names.map((name) => {
        let common = 0;
        for (const pair of pairs) {
            common += name.includes(pair) ? 1 : 0;
        }
        return common - Math.abs(name.length - letters.length) / 2; // names are ASCII
    });
    const order = names.map((_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
    return order.slice(0, count).map((i) => names[i]);
}

function closeMatches(word: string, names: string[], count: number, cutoff: number): string[] {
    const matcher = new Matcher([...word]), found: { name: string; score: number }[] = [];
    for (const name of names) {
        const score = matcher.ratio([...name], cutoff);
        if (score >= cutoff) {
            found.push({ name, score });
        }
    }
    found.sort((a, b) => b.score - a.score || (a.name < b.name ? 1 : -1));
    return found.slice(0, count).map((one) => one.name);
}

class Matcher {
    private where = new Map<string, number[]>();
    private counts = new Map<string, number>();

    constructor(private b: string[]) {
        b.forEach((c, j) => {
            this.where.set(c, [...(this.where.get(c) ?? []), j]);
            this.counts.set(c, (this.counts.get(c) ?? 0) + 1);
        });
        if (b.length >= 200) { // difflib does not look for what is everywhere
            const most = Math.floor(b.length / 100) + 1;
            for (const [c, places] of this.where) {
                if (places.length > most) {
                    this.where.delete(c);
                }
            }
        }
    }

    /** Twice the letters that match, of all; 0 if a bound shows that `cutoff` is out of reach. */
    ratio(a: string[], cutoff: number): number {
        const all = a.length + this.b.length;
        const share = (matches: number) => (all ? (2 * matches) / all : 1);
        if (share(Math.min(a.length, this.b.length)) < cutoff) {
            return 0;
        }
        const left = new Map(this.counts);
        let common = 0;
        for (const c of a) {
            const have = left.get(c) ?? 0;
            left.set(c, have - 1);
            common += have > 0 ? 1 : 0;
        }
        return share(common) < cutoff ? 0 : share(this.matching(a, 0, a.length, 0, this.b.length));
    }

    /** Letters in the longest common run, and in those left and right of it. */
    private matching(a: string[], alow: number, ahigh: number, blow: number, bhigh: number): number {
        const { i, j, size } = this.longest(a, alow, ahigh, blow, bhigh);
        if (!size) {
            return 0;
        }
        let total = size;
        if (alow < i && blow < j) {
            total += this.matching(a, alow, i, blow, j);
        }
        if (i + size < ahigh && j + size < bhigh) {
            total += this.matching(a, i + size, ahigh, j + size, bhigh);
        }
        return total;
    }

    private longest(a: string[], alow: number, ahigh: number, blow: number, bhigh: number) {
        let i = alow, j = blow, size = 0, before = new Map<number, number>();
        for (let at = alow; at < ahigh; at++) {
            const now = new Map<number, number>();
            for (const to of this.where.get(a[at]) ?? []) {
                if (to < blow) {
                    continue;
                }
                if (to >= bhigh) {
                    break;
                }
                const run = (before.get(to - 1) ?? 0) + 1;
                now.set(to, run);
                if (run > size) {
                    [i, j, size] = [at - run + 1, to - run + 1, run];
                }
            }
            before = now;
        }
        while (i > alow && j > blow && a[i - 1] === this.b[j - 1]) {
            [i, j, size] = [i - 1, j - 1, size + 1];
        }
        while (i + size < ahigh && j + size < bhigh && a[i + size] === this.b[j + size]) {
            size++;
        }
        return { i, j, size };
    }
}
