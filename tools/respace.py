# SPDX-License-Identifier: MIT
"""An int8 encoder of one text space as a run in another, without training.

    python tools/respace.py old.tvlm --lexicon old-lexicon.npz --run logs/first --teacher soft \\
        --text-vectors clip-vit-b-32-openai.npz --train-data 'shards/*.tar' --out logs/respaced
    tinyvlm-train export --run logs/respaced --out new.tvlm --qat-steps 0 --centre 0

The head is linear, as are the maps of both spaces: the old 256 dimensions go to the new ones by
the linear map that is best, in the mean square, for vectors of the kind that the teacher and names
have. `--run` has the new space, `--lexicon` the old one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from tinyvlm.train import checkpoint, pretrained, shards, teacher_cache
from tinyvlm.train.student import Student
from tinyvlm.words.lexicon import Lexicon

SHARDS = 8  # of the teacher's vectors
RIDGE = 1e-4  # as a part of the mean diagonal


def best_map(old: np.ndarray, new: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(new dims, old dims): what takes old @ v to new @ v, for vectors v (n, 512)."""
    spread = vectors.T @ vectors / len(vectors)
    gram = old @ spread @ old.T
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.linalg.solve(gram, old @ spread @ new.T).T


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("encoder", type=Path)
    p.add_argument("--lexicon", type=Path, required=True, help="of the encoder's space")
    p.add_argument("--run", type=Path, required=True, help="a run in the new space")
    p.add_argument("--teacher", type=Path, required=True, help="folder of `tinyvlm-train cache`")
    p.add_argument("--text-vectors", type=Path, required=True)
    p.add_argument("--train-data", required=True)
    p.add_argument("--out", type=Path, required=True, help="folder of the new run")
    args = p.parse_args(argv)
    shape, state = pretrained.load(str(args.encoder))
    point = checkpoint.load(args.run)
    space = Lexicon.load(args.lexicon).text_space
    found = [np.load(args.text_vectors)["emb"].astype(np.float64) - space.centre]
    for path in shards.expand(args.train_data)[:SHARDS]:
        rows = teacher_cache.read(args.teacher, shards.stem(path)).image
        found.append(rows[np.any(rows, axis=1)].astype(np.float64))
    vectors = np.concatenate(found)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    old, new = space.projection.T.astype(np.float64), point.matrix.astype(np.float64)
    turn = torch.tensor(best_map(old, new, vectors))
    weight, bias = state["head.weight"].double(), state["head.bias"].double()
    state["head.weight"] = (turn @ weight.flatten(1))[:, :, None, None].float()
    state["head.bias"] = (turn @ bias).float()
    tensors, info = checkpoint.read(point.path)
    own = Student(shape).state_dict()
    student = {f"student.{key}": state.get(key, value) for key, value in own.items()}
    config = replace(point.config, student=shape, model=args.encoder.stem, epochs=0)
    info |= {"config": asdict(config), "epoch": 0, "step": 0}
    folder = args.out / checkpoint.FOLDER
    checkpoint.write(
        folder / checkpoint.LATEST, student | {key: tensors[key] for key in checkpoint.SPACE}, info
    )
    for name in ("index.json", "estimates.npz"):  # so that they need not be made again
        if (args.run / name).exists():
            shutil.copy(args.run / name, args.out / name)
    print(f"{args.out}: export it with tinyvlm-train export --qat-steps 0 --centre 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
