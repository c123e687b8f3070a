# SPDX-License-Identifier: MIT
"""tinyvlm-export MODEL.tvlm --tflite OUT.tflite: an encoder for other runtimes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import tflite, tvlm
from .files import explain, write_atomic


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-export", description="Write an encoder (.tvlm) as an int8 .tflite."
    )
    parser.add_argument("model", metavar="MODEL.tvlm", type=Path)
    parser.add_argument("--tflite", metavar="OUT.tflite", type=Path, required=True)
    parser.add_argument(
        "--dense", action="store_true", help="add the map of embeddings as a second output"
    )
    args = parser.parse_args(argv)
    try:
        graph = tvlm.read(args.model)
        data = tflite.to_bytes(graph, args.dense)
        write_atomic(args.tflite, data)
    except (ValueError, OSError, ImportError) as error:
        print(f"tinyvlm-export: {explain(error)}", file=sys.stderr)
        return 1
    height, width, _ = graph.input_shape
    dim = graph.shapes()[graph.embedding][2]
    print(f"{args.tflite}: {len(data)} bytes, {width}x{height} RGB as pixel - 128 -> {dim} int8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
