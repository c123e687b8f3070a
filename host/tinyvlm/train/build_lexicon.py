# SPDX-License-Identifier: MIT
"""Build the offline text encoder's table, host/tinyvlm/data/lexicon.npz, for one training run.

    python -m tinyvlm.train.build_lexicon --run runs/first --data ../shared/data

Every name of the text table with its vector in the run's 256-dimensional text space (centred,
projected, length 1, stored as int8), and the projection itself, so that an open_clip text tower
ends in the same space.  The format is that of `tinyvlm.lexicon`; `estimated` marks names whose
CLIP vector is a regression from a sentence encoder (the names of training classes only).
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from tinyvlm.train import data, labels, text
from tinyvlm.train.export import load_run, text_space

LONGEST = 4  # words: longer names are captions, not things that people type


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--run", type=Path, default=Path("runs/first"))
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "data" / "lexicon.npz")
    args = p.parse_args()

    _, _, state = load_run(args.run)
    table = text.load_table(args.data / "text" / "clip-vit-b-32-openai.npz")
    images = data.load(args.data / "train", args.cache)
    spellings = {" ".join(n.lower().replace("_", " ").split()) for n in images.names}
    spellings = {s for s in spellings if not labels.BRAND.search(s) and s != data.UNLABELLED}
    text.add_estimates(table, sorted(spellings | {labels.text_name(s) for s in spellings}))
    space = text_space(state, table)
    # Estimated vectors of spellings that have a better known name give way to that name's.
    for spelling in spellings:
        key, plain = text.normalise(spelling), table.find(labels.text_name(spelling))
        if table.kind.get(key) == "estimated" and plain != key:
            table.vector[key], table.kind[key] = table.vector[plain], table.kind[plain]
    names = sorted(n for n in table.vector if len(n.split()) <= LONGEST and re.search("[a-z]", n))
    z = space.project(np.stack([table.vector[n] for n in names]))
    vectors = np.round(z * (127 / np.abs(z).max(1, keepdims=True))).astype(np.int8)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.out,
        names=np.frombuffer("\n".join(names).encode(), np.uint8),
        vectors=vectors,
        estimated=np.array([table.kind[n] == "estimated" for n in names]),
        centre=space.centre.astype(np.float16),
        projection=space.matrix.T.astype(np.float16),
        space=np.array(space.name),
    )
    print(f"{args.out}: {len(names)} names, {args.out.stat().st_size} bytes, {space.name}")


if __name__ == "__main__":
    main()
