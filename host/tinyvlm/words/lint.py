# SPDX-License-Identifier: MIT
"""Will these labels be told apart? What their text vectors say before any photo is taken.

Two labels are *likely confused* where the cosine of their vectors is CLOSE or more. At 64
dimensions fewer than one in a thousand pairs of the lexicon's words are as close (`share_above`).
A cosine means about the same at every prefix: `python -m tinyvlm.background` prints how many
photos land on the right one of two labels, by their cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .lexicon import Lexicon
from .space import millionths, normalize
from .vocabulary import Entry, plural

DIMS = (16, 32, 64, 128, 256)  # prefixes that training made good
CLOSE = 0.7
NEAREST, MOST = 10, 200  # pairs that are kept: even if far apart; even if there are more
SHOWN = 5  # warnings before "... and more"
BLOCK = 512  # rows of the similarity matrix at a time: 10,000 labels would fill 800 MB


@dataclass(frozen=True)
class Pair:
    """Two labels and the cosine of their vectors at each of `Lint.dims`."""

    first: str
    second: str
    cosines: tuple[float, ...]


@dataclass(frozen=True)
class Lint:
    """What `examine` found.

    dims: prefixes, the packed one among them; pairs: the nearest at `dim`, nearest first, those
    that are likely confused among them (MOST at most); confused: how many are, by prefix;
    suggested: the smallest prefix that keeps apart what the full vectors keep apart.
    """

    dim: int
    dims: tuple[int, ...]
    pairs: list[Pair]
    confused: dict[int, int]
    suggested: int

    def at(self, pair: Pair, dim: int) -> float:
        """The cosine of a pair at one of `dims`."""
        return pair.cosines[self.dims.index(dim)]

    @property
    def warnings(self) -> list[Pair]:
        """The pairs that are likely confused at the packed prefix."""
        return self.pairs[: self.confused[self.dim]]


def prefixes(dim: int, most: int) -> tuple[int, ...]:
    """The prefixes of a vector of `most` dimensions that are compared, `dim` among them."""
    return tuple(sorted({*(d for d in DIMS if d < most), dim, most}))


def examine(labels: Sequence[str], vectors: np.ndarray, dim: int) -> Lint:
    """Compare every label with every other. vectors: float (labels, most), dim <= most."""
    dims = prefixes(dim, vectors.shape[1])
    close = {d: _pairs(normalize(vectors[:, :d]), 0) for d in dims}
    nearest = _pairs(normalize(vectors[:, :dim]), NEAREST)
    first, second = np.divmod(nearest, len(labels))
    cosines = []
    for d in dims:
        rows = normalize(vectors[:, :d]).astype(np.float64)
        cosines.append(millionths(np.einsum("nd,nd->n", rows[first], rows[second])))
    table = np.stack(cosines)
    order = np.argsort(-table[dims.index(dim)], kind="stable")
    pairs = [
        Pair(labels[first[k]], labels[second[k]], tuple(float(x) for x in table[:, k]))
        for k in order
    ]
    good = [d for d in dims if not np.setdiff1d(close[d], close[dims[-1]]).size]
    return Lint(dim, dims, pairs, {d: len(close[d]) for d in dims}, good[0])


def _pairs(rows: np.ndarray, least: int) -> np.ndarray:
    """Pairs i < j as sorted indices i * n + j: all of cosine CLOSE or more; or, with `least`, the
    nearest: no fewer than that even if they are far apart, no more than MOST.
    """
    rows, count, found, scores = rows.astype(np.float64), len(rows), [], []
    floor = CLOSE if not least else -2.0
    for start in range(0, count, BLOCK):
        cosines = millionths(rows[start : start + BLOCK] @ rows.T)
        above = np.arange(count) > np.arange(start, start + len(cosines))[:, None]
        i, j = np.nonzero(above & (cosines >= floor))
        numbers, score = (i + start) * count + j, cosines[i, j]
        if least and len(score) > least:  # what is close, and never fewer than `least`
            limit = min(CLOSE, np.partition(score, -least)[-least])
            numbers, score = numbers[score >= limit], score[score >= limit]
        found.append(numbers)
        scores.append(score)
    numbers, score = np.concatenate(found), np.concatenate(scores)
    if least:
        keep = min(max(least, int((score >= CLOSE).sum())), MOST)
        numbers = numbers[np.argsort(-score, kind="stable")[:keep]]
    return np.sort(numbers)


def share_above(lexicon: Lexicon, limit: float, dim: int, words: int = 1500) -> float:
    """Share of pairs of the lexicon's words, every k-th of them, with a cosine above `limit`."""
    every = np.linspace(0, len(lexicon) - 1, min(words, len(lexicon))).astype(int)
    rows = normalize(lexicon.vectors[every, :dim].astype(np.float32))
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return float((cosines > limit).mean())


# -- what tinyvlm-pack prints -----------------------------------------------------------------


def summary(lint: Lint) -> list[str]:
    """One line if all is well, the pairs to mind if not. Nothing for a single label."""
    if not lint.pairs:
        return []
    if not lint.warnings:
        best = lint.pairs[0]
        line = f"nearest: {best.first} and {best.second}, cosine {lint.at(best, lint.dim):.2f}"
        line += "; none likely confused"
        if lint.suggested < lint.dim:
            line += f"; --dim {lint.suggested} would do"
        return [line]
    lines = [f"likely confused, cosine {CLOSE:g} or more:"]
    lines += [f"  {_warning(lint, pair)}" for pair in lint.warnings[:SHOWN]]
    if (more := lint.confused[lint.dim] - SHOWN) > 0:
        lines.append(f"  ... and {more} more; --explain lists them")
    return lines


def _warning(lint: Lint, pair: Pair) -> str:
    text = f"{pair.first} and {pair.second} {lint.at(pair, lint.dim):.2f}"
    for dim in lint.dims:
        if dim > lint.dim and lint.at(pair, dim) < CLOSE:
            return f"{text}; {lint.at(pair, dim):.2f} with --dim {dim}"
    return f"{text}; use one label for both, or other words (`label: phrase, phrase`)"


def table(lint: Lint, sizes: dict[int, int]) -> list[str]:
    """The nearest pairs at every prefix, how many are confused, and bytes of the file."""
    names = [f"{pair.first}, {pair.second}" for pair in lint.pairs]
    width = max(map(len, [*names, "likely confused pairs"]))
    heads = [f"{d}*" if d == lint.dim else str(d) for d in lint.dims]
    rows = [("cosine at", heads)]
    for name, pair in zip(names, lint.pairs, strict=True):
        rows.append((name, [f"{cosine:.2f}" for cosine in pair.cosines]))
    rows.append(("likely confused pairs", [str(lint.confused[d]) for d in lint.dims]))
    rows.append(("bytes", [str(sizes[d]) for d in lint.dims]))
    lines = [f"{name:{width}}" + "".join(f"{cell:>7}" for cell in cells) for name, cells in rows]
    last = f"*: packed; the smallest that keeps all apart: --dim {lint.suggested}"
    if left := lint.confused[lint.suggested]:
        pairs = f"{plural(left, 'pair')} stay{'s' * (left == 1)}"
        last = (
            f"*: packed; the smallest that keeps apart what {lint.dims[-1]} dimensions do: "
            f"--dim {lint.suggested}; {pairs} likely confused"
        )
    return [*lines, last]


def origins(
    entries: Sequence[Entry],
    notes: Sequence[str],
    vectors: np.ndarray,
    gains: Sequence[float],
    lexicon: Lexicon,
) -> list[str]:
    """One line a label: how its vector came about, its gain, and the words nearest to it."""
    rows, names = normalize(lexicon.vectors.astype(np.float32)), list(lexicon.index)
    width = max(len(entry.label) for entry in entries)
    lines = []
    for entry, note, vector, gain in zip(entries, notes, vectors, gains, strict=True):
        cosines = rows @ vector
        near = [names[k] for k in np.argsort(-cosines)[: 3 + len(entry.phrases)]]
        near = [name for name in near if name not in entry.phrases][:3]
        words = ", ".join(f"{name} {cosines[lexicon.index[name]]:.2f}" for name in near)
        lines.append(f"{entry.label:{width}}  {note}; gain {gain:.2f}; near it: {words}")
    return lines
