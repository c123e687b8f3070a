# SPDX-License-Identifier: MIT
"""What another rounding does to answers: a firmware whose kernels are not exact.

    python tools/rounding.py ../shared/data/eval/pacs-photo-000.tar.gz [--photos 500]

Every photo goes through the exported .tflite twice: by LiteRT's reference kernels, which round as
our engine does, and by its default ones (XNNPACK), which round once where ours round twice. It
prints how far the embeddings are apart and how many answers change.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np

import tinyvlm
from tinyvlm.measure import labelled
from tinyvlm.net import intake, tflite, tvlm
from tinyvlm.picture import rgb
from tinyvlm.shipped import model_path


def interpreters(data: bytes):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    for kind in (OpResolverType.BUILTIN_REF, OpResolverType.AUTO):
        one = Interpreter(model_content=data, experimental_op_resolver_type=kind)
        one.allocate_tensors()
        yield one


def run(interpreter, image: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("shards", nargs="+", type=Path)
    parser.add_argument("--encoder", default="base")
    parser.add_argument("--photos", type=int, default=500, help="of each shard (default: 500)")
    args = parser.parse_args()
    graph = tvlm.read(model_path(args.encoder))
    side = graph.input_shape[0]
    pair = list(interpreters(tflite.to_bytes(graph)))
    for shard in args.shards:
        samples = list(labelled.read(shard))
        step = max(1, len(samples) // args.photos)
        words = sorted({sample.name for sample in samples})
        vocab = tinyvlm.pack(words, dim=64, model=args.encoder)
        bits = cosine = changed = score = count = 0
        for sample in islice(samples, 0, None, step):
            pixels = np.asarray(rgb(sample.image()))
            image = intake.frame_to_input(pixels.tobytes(), *pixels.shape[1::-1], size=side)
            ours, theirs = (run(one, image) for one in pair)
            bits += np.mean(ours != theirs)
            both = ours.astype(float), theirs.astype(float)
            cosine += both[0] @ both[1] / np.linalg.norm(both[0]) / np.linalg.norm(both[1])
            first, second = (vocab.match(out.copy(), 1)[0] for out in (ours, theirs))
            changed += first[0] != second[0]
            score = max(score, abs(first[1] - second[1]) if first[0] == second[0] else 0)
            count += 1
        name = labelled.set_name(shard)
        print(
            f"{name}, {len(words)} words: {changed} of {count} answers change, "
            f"other best scores by at most {score:.2f}; of an embedding's numbers "
            f"{100 * bits / count:.0f} % differ, mean cosine {cosine / count:.4f}"
        )


if __name__ == "__main__":
    main()
