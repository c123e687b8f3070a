# SPDX-License-Identifier: MIT
"""Build the offline text encoder's table, host/tinyvlm/data/lexicon.npz, in two steps.

    python -m tinyvlm.train.lexicon.build words --data ../shared/data    # minutes; any encoder
    python -m tinyvlm.train.lexicon.build project --run runs/base        # seconds; for one run

`words` chooses the names and gives each a vector in CLIP's text space, into a file outside the
package (--words, default runs/cache/words.npz; with --add, names that it has keep their vectors).
It needs `pip install -e '.[train,lexicon]'` and WordNet (`apt-get install wordnet`).

`project` takes them to the 256 dimensions of a run's encoder, rounds them to int8 and stores them
with the map itself, so that an open_clip text tower ends in the same space.  Without --run the map
stays that of the lexicon that ships.
"""

from __future__ import annotations

import argparse
import functools
import re
from pathlib import Path

import numpy as np

from tinyvlm.shipped import DATA
from tinyvlm.train import text
from tinyvlm.train.lexicon import kinds, words
from tinyvlm.words import lexicon
from tinyvlm.words.space import TextMap, normalize

COUNT = 27_600  # names from WordNet and everyday life; the text table's come on top
KINDS = {"clip": "exact", "ensemble": "ensemble", "estimated": "estimated"}  # text.py -> lexicon
BACK = {known: kind for kind, known in KINDS.items()}


def class_names(data: Path) -> dict[str, str]:
    """Class names of the training shards -> the plain names that training knows them by."""
    from tinyvlm.train import labels, shards

    texts = shards.index(shards.expand(str(data / "train" / "*.tar.gz"))).texts
    return {
        lexicon.canonical(name): labels.text_name(name)
        for name in texts
        if name != labels.UNLABELLED and not labels.BRAND.search(name.casefold())
    }


def _typed(name: str) -> bool:
    """Longer ones are captions, which nobody types."""
    return len(name.split()) <= lexicon.LONGEST


def step_words(args: argparse.Namespace) -> None:
    """Names, their vectors in CLIP's text space, and their kinds."""
    from tinyvlm.train.lexicon import wordnet
    from tinyvlm.train.lexicon.estimate import Sentences

    table = text.load_table(args.data / "text" / "clip-vit-b-32-openai.npz")
    pieces = functools.lru_cache(None)(Sentences().pieces)
    classes = class_names(args.data)
    chosen = words.choose(wordnet.read(), pieces, COUNT)
    corrected = kinds.read()
    wanted = {*chosen, *corrected, *text.MEANS_ELSE, *classes, *classes.values()}
    wanted = {name for name in wanted if _typed(name)}  # thousands of classes are captions
    if args.add:
        kept = wanted - corrected.keys() - table.vector.keys()
        with np.load(args.words) as known:
            for name, vector, kind in zip(
                known["names"], known["vectors"], known["kinds"], strict=True
            ):
                if name in kept:
                    table.vector[str(name)] = vector.astype(np.float32)
                    table.kind[str(name)] = BACK[lexicon.KINDS[kind]]
    text.add_estimates(table, sorted(wanted))
    estimated = {n: of for n, of in corrected.items() if table.kind.get(n) == "estimated"}
    kinds.correct(table.vector, estimated, table.centre)
    # Estimated vectors of spellings that have a better known name give way to that name's.
    for spelling, plain in classes.items():
        if table.kind.get(spelling) == "estimated":
            known = table.find(plain)
            table.vector[spelling], table.kind[spelling] = table.vector[known], table.kind[known]
    names = sorted(
        name
        for name in table.vector
        if _typed(name) and re.search("[a-z]", name) and not words.STOP & set(name.split())
    )
    args.words.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        args.words,
        names=np.array(names),
        vectors=np.stack([table.vector[name] for name in names]).astype(np.float16),
        kinds=np.array([lexicon.KINDS.index(KINDS[table.kind[n]]) for n in names], np.uint8),
    )
    print(f"{args.words}: {len(names)} names")


def text_map(run: Path | None) -> TextMap:
    """The map of a run, rounded as it is stored; or of the lexicon that ships."""
    if run is None:
        return lexicon.Lexicon.load(DATA / "lexicon.npz").text_space
    from tinyvlm.train import checkpoint

    state = checkpoint.load(run)
    return text.stored_map(state.centre, state.matrix)


def step_project(args: argparse.Namespace) -> None:
    """The table in the student's space."""
    with np.load(args.words) as file:
        names, vectors, kinds = list(file["names"]), file["vectors"], file["kinds"]
    space = text_map(args.run)
    z = space.project(normalize(vectors.astype(np.float32)))
    np.savez_compressed(
        args.out,
        names=np.frombuffer("\n".join(names).encode(), np.uint8),
        kinds=kinds,
        vectors=np.round(z * (127 / np.abs(z).max(1, keepdims=True))).astype(np.int8),
        centre=space.centre.astype(np.float16),
        projection=space.projection.astype(np.float16),
        space=np.array(space.name),
    )
    counts = ", ".join(f"{n} {k}" for k, n in zip(lexicon.KINDS, np.bincount(kinds), strict=True))
    size = args.out.stat().st_size
    print(f"{args.out}: {len(names)} names ({counts}), {size} bytes, {space.name}")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("step", choices=("words", "project"))
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--words", type=Path, default=Path("runs/cache/words.npz"))
    p.add_argument("--add", action="store_true", help="keep the vectors that --words has")
    p.add_argument("--run", type=Path, help="folder of a training run (default: the map shipped)")
    p.add_argument("--out", type=Path, default=DATA / "lexicon.npz")
    args = p.parse_args()
    {"words": step_words, "project": step_project}[args.step](args)


if __name__ == "__main__":
    main()
