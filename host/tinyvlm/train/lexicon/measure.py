# SPDX-License-Identifier: MIT
"""How good estimated vectors are: names that have one are estimated as if they had none.

    python -m tinyvlm.train.lexicon.measure --data ../shared/data

Retrieval@1 is how often the estimate's nearest true vector is the name's own. The last lines are
of the names in kinds.txt that CLIP has vectors of: as estimated, and moved towards their kinds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tinyvlm.train.lexicon import kinds
from tinyvlm.train.lexicon.estimate import Estimator, Meanings, Regression
from tinyvlm.train.text import TextTable, load_table
from tinyvlm.words.lexicon import singulars, squeeze
from tinyvlm.words.space import normalize

MEASURED = Path(__file__).with_name("measured.txt")


def families(texts: list[str], y: np.ndarray, meanings: Meanings) -> np.ndarray:
    """(n,) an index for each text, equal for spellings, synonyms and near copies of a name.

    None of a family is known when one of it is measured.
    """
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    y = normalize(y - y.mean(0))
    for i, j in zip(*np.where(np.triu(y @ y.T, 1) > 0.9), strict=True):
        parent[root(i)] = root(j)
    first: dict[object, int] = {}
    for i, text in enumerate(texts):
        parts = text.split(", ")
        keys: set[object] = {squeeze(f) for p in parts for f in (p, *singulars(p))}
        if len(parts) == 1 and text in meanings.wordnet.senses:
            keys.add(meanings.main(text))
        for key in keys:
            parent[root(i)] = root(first.setdefault(key, i))
    return np.array([root(i) for i in range(len(texts))])


def relation(name: str, known: set[int], meanings: Meanings) -> str:
    """How near the known names come to `name` in WordNet."""
    offset, net = meanings.main(name), meanings.wordnet
    if offset is None or name not in net.senses:
        return "not in WordNet"
    hypernyms = {a for a, steps in net.ancestors(offset).items() if 0 < steps <= 2}
    below = any(net.ancestors(k).get(offset, 9) <= 2 for k in known)
    if below or hypernyms & known:
        return "hypernym or hyponym known"
    if any(set(net.synsets[k].hypernyms) & set(net.synsets[offset].hypernyms) for k in known):
        return "sibling known"
    return "farther"


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % confidence interval of hits / n, in per cent."""
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return tuple(100 * (middle + s * half) / (1 + z * z / n) for s in (-1, 1))


def figures(hit: np.ndarray, cosine: np.ndarray) -> str:
    """Retrieval@1 with its interval, and the mean cosine, of some estimates."""
    low, high = interval(hit.sum(), len(hit))
    return (
        f"retrieval@1 {100 * hit.mean():5.1f} % ({low:.1f} ... {high:.1f})"
        f"  cosine {cosine.mean():.3f}"
    )


def compare(made: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of unit vectors: is the nearest of `truth` a row's own, and the cosine with that."""
    cosines = made @ truth.T
    return cosines.argmax(1) == np.arange(len(truth)), np.diag(cosines)


def held_out(
    estimator: Estimator, family: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What is known if no family of `test` is, and its centre; test's centred unit vectors, as
    estimated from that, and the true ones."""
    known = np.flatnonzero(~np.isin(family, family[test]))
    regression = Regression(estimator.known.take(known), estimator.y[known])
    centre = regression.centre
    made = normalize(regression(estimator.known.take(test)) - centre)
    return known, centre, made, normalize(estimator.y[test] - centre)


def measure(estimator: Estimator, texts: list[str], family: np.ndarray, names: list[str]) -> None:
    """Print retrieval@1 among `names` when their families are all unknown."""
    meanings = estimator.meanings
    test = np.array([texts.index(name) for name in names])
    known, _, made, truth = held_out(estimator, family, test)
    hit, cosine = compare(made, truth)
    seen = {meanings.main(texts[i]) for i in known} - {None}
    kinds = np.array([relation(name, seen, meanings) for name in names])
    print(f"{len(test)} names, {len(known)} others known; cosine is between centred vectors")
    for kind in ("all", *sorted(set(kinds))):
        mine = kinds == kind if kind != "all" else np.full(len(test), True)
        print(f"{kind:30}{mine.sum():5} names  {figures(hit[mine], cosine[mine])}")


def measure_kinds(
    estimator: Estimator,
    texts: list[str],
    family: np.ndarray,
    table: TextTable,
    without: list[str],
) -> None:
    """Print what kinds are worth for the names that have both kinds and a vector by CLIP."""
    row = {part: i for i, text in enumerate(texts) for part in text.split(", ")}
    row |= {text: i for i, text in enumerate(texts)}
    known = {
        name: have
        for name, words in kinds.read().items()
        if name in row
        and table.kind.get(name) == "clip"
        and name not in without
        and (have := [table.vector[word] for word in words if table.kind.get(word) == "clip"])
    }
    test = np.array([row[name] for name in known])
    _, centre, made, truth = held_out(estimator, family, test)
    middles = [kinds.middle(have, centre) for have in known.values()]
    moved = kinds.toward(made, np.stack(middles))
    for kind, vectors in (("with kinds, as estimated", made), ("... moved to them", moved)):
        print(f"{kind:30}{len(test):5} names  {figures(*compare(vectors, truth))}")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = p.parse_args()
    table = load_table(args.data / "text" / "clip-vit-b-32-openai.npz")
    estimator, texts = Estimator(table.rows), [text for text, _ in table.rows]
    family = families(texts, estimator.y, estimator.meanings)
    names = MEASURED.read_text().splitlines()
    measure(estimator, texts, family, names)
    measure_kinds(estimator, texts, family, table, names)


if __name__ == "__main__":
    main()
