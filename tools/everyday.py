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
from itertools import chain
from pathlib import Path

import numpy as np

import tinyvlm
from tinyvlm import options
from tinyvlm.files import explain
from tinyvlm.measure import answers, held_out, labelled
from tinyvlm.measure.embedding import embed_all
from tinyvlm.measure.eval_table import markdown
from tinyvlm.shipped import ENCODERS, model_path
from tinyvlm.train import labels

WORDS = (
    "cat dog bird elephant person coffee motorcycle bicycle car flower temple clock banana"
    " keyboard tree chair horse house guitar shoe bottle cup apple pizza bus boat train airplane"
    " book hat fish shirt table"
).split()
KINDS = "thing", "active", "caption"
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


def photos(folder: Path) -> tuple[list[labelled.Sample], np.ndarray, np.ndarray]:
    """The photos that training holds out and that show a word; which word, and their kinds."""
    samples, words, kinds = [], [], []
    for path in chain.from_iterable(labelled.sets([str(folder)]).values()):
        for sample in labelled.read(path):
            if held_out.aside(path, sample):
                word, kind = shown(sample)
                if kind:
                    samples.append(sample)
                    words.append(WORDS.index(word))
                    kinds.append(kind)
    return samples, np.array(words), np.array(kinds)


def row(
    model: str,
    samples: list[labelled.Sample],
    target: np.ndarray,
    kind: np.ndarray,
    args: argparse.Namespace,
) -> list[str]:
    """One encoder's line of the table."""
    path = model_path(model)
    vocab = tinyvlm.pack(WORDS, dim=args.dim, model=model, unknown="off")
    found = list(embed_all(samples, path, {}, args.workers))
    good = np.array([not one.problem for one in found])
    target, kind = target[good], kind[good]
    embeddings = np.stack([one.embedding for one in found if not one.problem])
    said = answers.ask(vocab, embeddings, target).said
    right, called = 100 * (said == target), 100 * (said == WORDS.index(labels.PERSON))
    thing, active, caption = (kind == k for k in KINDS)
    shares = right[thing], called[thing], right[active], right[caption]
    return [path.stem, *(f"{share.mean():.1f}" for share in shares)]


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="a folder of training's shards")
    parser.add_argument("--model", nargs="+", default=list(ENCODERS), metavar="NAME|FILE.tvlm")
    options.dim(parser, "dimensions of the vocabularies")
    options.workers(parser)
    args = parser.parse_args(argv)
    try:
        options.check_counts(args, workers=1, dim=1)
        samples, target, kind = photos(args.data)
        rows = [row(model, samples, target, kind, args) for model in args.model]
    except (OSError, ValueError) as error:
        print(f"everyday: {explain(error)}", file=sys.stderr)
        return 2
    print(markdown([HEADER, *rows]))
    counts = "{}, {} and {} photos".format(*((kind == k).sum() for k in KINDS))
    print(f"\n{counts}, {args.dim} dimensions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
