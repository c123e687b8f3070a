# SPDX-License-Identifier: MIT
"""tinyvlm-export MODEL.tvlm --tflite OUT.tflite: an encoder for other runtimes.

--max78000 OUT.tvlm: for a MAX78000's accelerator, without what only CPUs need: half the flash.
--cmsis-nn OUT.tvlm: for firmware with Arm's CMSIS-NN in it, which uses it where it lies.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .files import explain, write_atomic
from .net import tflite, tvlm
from .shipped import model_path


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-export", description="Write an encoder (.tvlm) for another runtime."
    )
    parser.add_argument("model", metavar="MODEL.tvlm", type=model_path)
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--tflite", metavar="OUT.tflite", type=Path, help="int8, for LiteRT")
    kinds.add_argument(
        "--max78000", metavar="OUT.tvlm", type=Path, help="for the accelerator of a MAX78000"
    )
    kinds.add_argument(
        "--cmsis-nn", metavar="OUT.tvlm", type=Path, help="for firmware with CMSIS-NN in it"
    )
    parser.add_argument(
        "--dense", action="store_true", help="add the map of embeddings as a second output"
    )
    args = parser.parse_args(argv)
    out = args.tflite or args.max78000 or args.cmsis_nn
    try:
        graph = tvlm.read(args.model)
        if args.max78000:
            data = tvlm.to_bytes(graph, cpu=False)
        elif args.cmsis_nn:
            data = tvlm.to_bytes(graph, library=True)
        else:
            data = tflite.to_bytes(graph, args.dense)
        write_atomic(out, data)
    except (ValueError, OSError, ImportError) as error:
        print(f"tinyvlm-export: {explain(error)}", file=sys.stderr)
        return 1
    height, width, _ = graph.input_shape
    dim = graph.shapes()[graph.embedding][2]
    image = f"{width}x{height} RGB as pixel - 128"
    print(f"{out}: {len(data)} bytes, {image} -> {dim} int8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
