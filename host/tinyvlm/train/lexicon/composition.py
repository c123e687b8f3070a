# SPDX-License-Identifier: MIT
"""Is a composed phrase nearer to what it says than its noun alone?

    python -m tinyvlm.train.lexicon.composition --data ../shared/data

Names: those of two and three words that CLIP has a vector of, composed as if they were not in the
lexicon. Captions: 500 of Flickr8k with CLIP's own text vectors. Photos: 1,273 of Flickr8k with
CLIP's own image vectors, and the photos of its test set with an encoder's. Of those that speak of
the noun, are those that say the colour, material or place nearer to the phrase than those that do
not? In per cent of pairs; 50 is chance. --text-encoder sentence: phrases by the sentence encoder.
"""

from __future__ import annotations

import argparse
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinyvlm import options
from tinyvlm.measure import labelled
from tinyvlm.measure.embedding import embed_all
from tinyvlm.shipped import DATA
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.lexicon import Lexicon, canonical
from tinyvlm.words.space import TextEncoder, UnknownPhrase, normalize

COLOUR = set("black white red brown yellow blue green orange pink grey purple tan golden".split())
MATERIAL = set(
    "wooden metal plastic leather brick stone concrete glass rubber steel paper denim".split()
)
PLACE = set(
    "beach snow street grass water field park mountain forest city pool desert kitchen river lake"
    " road sand garden".split()
)
LEAST = {"captions": 3, "photos": 5}  # texts or photos that a phrase needs, and that lack it
TEST = "flickr8k-test-*.tar.gz"  # of eval/


def composed(lexicon: Lexicon, name: str) -> np.ndarray | None:
    """What the lexicon would make of a name that it has, if it had it not."""
    row = lexicon.index.pop(name)
    try:
        return lexicon.encode(name).vector
    except UnknownPhrase:
        return None
    finally:
        lexicon.index[name] = row


def names(lexicon: Lexicon, count: int) -> tuple[int, list[tuple[float, float]]]:
    """How many names of `count` words there are, and retrieval@1 in per cent and cosine: of their
    last noun alone, and composed."""
    truth, made, head = [], [], []
    for name in list(lexicon.index):
        words = name.split()
        alone = lexicon.known(" ".join(words[1:])) if len(words) == count else None
        if alone is None or lexicon.kind(name) != "exact":
            continue
        if (vector := composed(lexicon, name)) is not None:
            truth.append(lexicon.encode(name).vector)
            made.append(vector)
            head.append(alone.vector)
    figures = []
    for vectors in map(np.stack, (head, made)):
        cosines = vectors @ np.stack(truth).T
        hit = 100 * (cosines.argmax(1) == np.arange(len(truth))).mean()
        figures.append((float(hit), float(np.diag(cosines).mean())))
    return len(truth), figures


def phrases(lexicon: Lexicon, words: list[str]) -> Iterator[tuple[str, str, str]]:
    """(kind, modifier, noun) of a caption's words."""
    for i, noun in enumerate(words):
        if noun in COLOUR | MATERIAL | PLACE or lexicon.known(noun) is None:
            continue
        before = words[i - 1] if i else ""
        if before in COLOUR | MATERIAL:
            yield "colour" if before in COLOUR else "material", before, noun
        for place in PLACE & set(words[i + 1 :]):
            yield "place", place, noun


def area(scores: np.ndarray, right: np.ndarray) -> float:
    """How often a right one has the higher score, in per cent of pairs."""
    return 100 * float((scores[right][:, None] > scores[~right][None]).mean())


def told_apart(
    lexicon: Lexicon, text: TextEncoder, kind: str, texts: list[list[str]], seen: np.ndarray
) -> list[str]:
    """Lines, one for colours, materials, places. texts: captions of each row of `seen`.

    lexicon: knows what is a noun; text: makes the vectors.
    """
    words = [[re.sub(r"[^\w\s]", " ", canonical(t)).split() for t in many] for many in texts]
    found = defaultdict(set)
    for row, many in enumerate(words):
        for sentence in many:
            for phrase in phrases(lexicon, sentence):
                found[phrase].add(row)
    said = [{word for sentence in many for word in sentence} for many in words]
    results = defaultdict(list)
    for (of, modifier, noun), rows in sorted(found.items()):
        others = {i for i, s in enumerate(said) if noun in s and modifier not in s}
        if min(len(rows), len(others)) < LEAST[kind]:
            continue
        order = np.array([*sorted(rows), *sorted(others)])
        right = np.arange(len(order)) < len(rows)
        both = [text.encode(p).vector for p in (noun, f"{modifier} {noun}")]
        results[of].append([len(rows), *(area(seen[order] @ v, right) for v in both)])
    lines = []
    for of, table in sorted(results.items()):
        count, head, whole = np.array(table).T
        head, whole = (np.average(x, weights=count) for x in (head, whole))
        lines.append(
            f"{kind}, {of:9} {len(table):3} phrases, {count.sum():4.0f} times  "
            f"noun alone {head:.1f} %  phrase {whole:.1f} %"
        )
    return lines


def photos(data: Path) -> tuple[list[list[str]], np.ndarray]:
    """Captions and CLIP's image vectors of the photos of Flickr8k that have both."""
    with np.load(data / "clip" / "clip-image-pairs.npz") as table:
        row = {str(key): i for i, key in enumerate(table["keys"])}
        vectors = normalize(table["emb"].astype(np.float32))
    texts, rows = [], []
    for path in sorted((data / "train").glob("flickr8k-*.tar.gz")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, kind = member.name.rpartition(".")
                if kind == "json" and key in row:
                    texts.append(json.load(tar.extractfile(member))["captions"])
                    rows.append(row[key])
    return texts, vectors[rows] - vectors.mean(0)


def embedded(data: Path, model: Path, workers: int) -> tuple[list[list[str]], np.ndarray]:
    """Captions and an encoder's vectors of the photos of Flickr8k's test set."""
    shards = sorted((data / "eval").glob(TEST))
    if not shards:
        raise SystemExit(f"{data / 'eval'}: no {TEST} in it")
    samples = (sample for path in shards for sample in labelled.read(path))
    found = [one for one in embed_all(samples, model, {}, workers) if not one.problem]
    vectors = np.stack([one.embedding for one in found]).astype(np.float32)
    return [list(one.captions) for one in found], normalize(vectors)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.model(p)
    options.text_encoder(p, "lexicon")
    options.workers(p)
    args = p.parse_args(argv)
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    text = create_text_encoder(args.text_encoder)
    texts, seen = embedded(args.data, args.model, args.workers)
    print(f"{len(texts)} photos of Flickr8k's test set, by {args.model.stem}:")
    print(*told_apart(lexicon, text, "photos", texts, seen), sep="\n")
    for count in (2, 3):
        number, figures = names(lexicon, count)
        alone, whole = (f"retrieval@1 {hit:.1f} % cosine {cos:.3f}" for hit, cos in figures)
        print(f"names of {count} words  {number:4}  noun alone {alone}  composed {whole}")
    with np.load(args.data / "clip" / "flickr8k-caption-text-embeddings.npz") as table:
        sentences = [[str(caption)] for caption in table["captions"]]
        truth = lexicon.text_space.project(normalize(table["emb"].astype(np.float32)))
    truth = normalize(truth - truth.mean(0))
    print(f"{len(truth)} captions by CLIP:")
    print(*told_apart(lexicon, text, "captions", sentences, truth), sep="\n")
    texts, seen = photos(args.data)
    seen = normalize(seen @ lexicon.text_space.projection)
    print(f"{len(seen)} photos by CLIP:")
    print(*told_apart(lexicon, text, "photos", texts, seen), sep="\n")


if __name__ == "__main__":
    main()
