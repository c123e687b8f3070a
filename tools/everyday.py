# SPDX-License-Identifier: MIT
"""How photos are named among 33 everyday words: things, and people apart.

    python tools/everyday.py ../shared/data/train --model base large nano max78000

The photos are those that training holds out. What a photo shows is its class, a hypernym of it
among the words, or the first of the words in its caption, where a man is a person, too. The words
are packed with the defaults, and every photo gets one of them (--unknown off).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import tinyvlm
from tinyvlm import options
from tinyvlm.files import explain
from tinyvlm.measure import answers, labelled
from tinyvlm.measure.embedding import embed_all
from tinyvlm.measure.eval_table import markdown
from tinyvlm.shipped import ENCODERS, model_path
from tinyvlm.train import labels

WORDS = (
    "cat dog bird elephant person coffee motorcycle bicycle car flower temple clock banana"
    " keyboard tree chair horse house guitar shoe bottle cup apple pizza bus boat train airplane"
    " book hat fish shirt table"
).split()
HEADER = (
    "encoder",
    "things: right",
    "... called person",
    "sports, clothes: person",
    "captions of people: person",
)


def shown(sample: labelled.Sample) -> tuple[str, str]:
    """(what a photo shows as one of WORDS, the kind of photo), both "" if it shows none."""
    people = {*labels.PEOPLE, labels.PERSON}
    if sample.captions:
        found = labels.subject(sample.captions[0], people.union(WORDS)) or ""
        return (labels.PERSON, "caption") if found in people else (found, "thing" if found else "")
    name = labels.text_name(sample.name)
    if name in WORDS:
        return name, "thing"
    names = [name, *WORDS]
    above = [names[i] for i in np.flatnonzero(labels.hypernyms(names)[0][0])]
    word = above[0] if above else ""
    return word, ("active" if word == labels.PERSON else "thing") if word else ""


def photos(paths: list[Path], kinds: Counter) -> Iterator[labelled.Sample]:
    """The photos that training holds out and that show a word, named "KIND WORD"."""
    for path in paths:
        for sample in labelled.read(path):
            key = sample.where.rpartition(": ")[2]
            if labels.held_out_image(f"{labelled.stem(path)}/{key}", sample.name):
                word, kind = shown(sample)
                if kind:
                    kinds[kind] += 1
                    yield replace(sample, name=f"{kind} {word}", box=None)


def row(model: str, paths: list[Path], args: argparse.Namespace, kinds: Counter) -> list[str]:
    """One encoder's line of the table."""
    path = model_path(model)
    vocab = tinyvlm.pack(WORDS, dim=args.dim, model=model, unknown="off")
    kind, target, embeddings = [], [], []
    for found in embed_all(photos(paths, kinds), path, {}, args.workers):
        if not found.problem:
            kind.append(found.name.partition(" ")[0])
            target.append(WORDS.index(found.name.partition(" ")[2]))
            embeddings.append(found.embedding)
    said = answers.ask(vocab, np.stack(embeddings), np.array(target)).said
    kind, target, person = np.array(kind), np.array(target), WORDS.index(labels.PERSON)
    right, called = 100 * (said == target), 100 * (said == person)
    thing, active, caption = (kind == k for k in ("thing", "active", "caption"))
    shares = right[thing], called[thing], right[active], right[caption]
    return [path.stem, *(f"{share.mean():.1f}" for share in shares)]


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="a folder of training's shards")
    parser.add_argument("--model", nargs="+", default=list(ENCODERS), metavar="NAME|FILE.tvlm")
    parser.add_argument("--dim", type=int, default=64, help="dimensions (default: 64)")
    options.workers(parser)
    args = parser.parse_args(argv)
    try:
        options.check_counts(args, workers=1, dim=1)
        paths = [path for found in labelled.sets([str(args.data)]).values() for path in found]
        rows, kinds = [], Counter()
        for model in args.model:
            kinds = Counter()
            rows.append(row(model, paths, args, kinds))
    except (OSError, ValueError) as error:
        print(f"everyday: {explain(error)}", file=sys.stderr)
        return 2
    print(markdown([HEADER, *rows]))
    counts = f"{kinds['thing']}, {kinds['active']} and {kinds['caption']} photos"
    print(f"\n{counts}, {args.dim} dimensions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
