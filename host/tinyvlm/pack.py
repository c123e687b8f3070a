# SPDX-License-Identifier: MIT
"""tinyvlm-pack: from a word list to a prototype file for the board.

tinyvlm-pack --vocab pets.txt          # writes pets.tvp beside it
mpremote cp pets.tvp :
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from . import tvlm, tvp, vocabulary
from .files import explain
from .text import DEFAULT_MODEL, TextEncoder, UnknownPhrase, create_text_encoder, normalize


def encode(
    entries: list[vocabulary.Entry],
    encoder: TextEncoder,
    model: tvlm.Encoder,
    prompts: tuple[str, ...] = (),
    name: str = "vocabulary",
) -> tuple[np.ndarray, list[str]]:
    """Unit vectors (entries, dim) and, per label, how its vector came about.

    A label's vector is the normalised mean of its phrases' vectors. ValueError if text encoder and
    image encoder do not share a space, or with all labels that cannot be encoded and their lines.
    """
    info = model.graph.info
    if encoder.space != info.get("text_space"):
        raise ValueError(
            f"the text encoder {encoder.name} speaks {encoder.space!r}, the encoder "
            f"{info.get('name')} was aligned to {info.get('text_space')!r}; use a matching --model"
        )
    vectors, notes, problems = [], [], []
    for entry in entries:
        try:
            encoded = [encoder.encode(phrase, prompts) for phrase in entry.phrases]
        except UnknownPhrase as error:
            problems.append(f"{name}:{entry.line}: {error}")
            continue
        vectors.append(normalize(np.mean([e.vector for e in encoded], axis=0)))
        notes.append("; ".join(e.how for e in encoded))
    if problems:
        raise ValueError("\n".join(problems))
    return np.stack(vectors), notes


def build(
    entries: list[vocabulary.Entry],
    encoder: TextEncoder,
    model: tvlm.Encoder,
    *,
    dim: int = 64,
    bits: int = 8,
    prompts: tuple[str, ...] = (),
    name: str = "vocabulary",
) -> tuple[tvp.Prototypes, list[str]]:
    """Prototypes for `entries`: vectors cut to `dim` numbers and quantized; notes as in encode."""
    info = model.graph.info
    model_name = info.get("name", "unnamed")
    most = model.graph.shapes()[model.graph.embedding][2]
    if not 1 <= dim <= most:
        raise ValueError(f"--dim {dim}: {model_name} has 1 ... {most} dimensions")
    vectors, notes = encode(entries, encoder, model, prompts, name)
    prototypes = tvp.Prototypes(
        labels=[entry.label for entry in entries],
        vectors=tvp.quantize(vectors[:, :dim], bits),
        fingerprint=model.fingerprint,
        encoder=model_name,
        text_encoder=encoder.name,
        prompt=" | ".join(prompts),
        bits=bits,
        logit_scale=logit_scale(info, dim),
    )
    return prototypes, notes


def logit_scale(info: dict, dim: int) -> float:
    """The factor on cosines that training found for `dim` numbers, or between two it tried."""
    known = {int(key): value for key, value in info.get("logit_scale", {}).items()} or {64: 20.0}
    dims = sorted(known)
    return float(np.interp(np.log(dim), np.log(dims), [known[d] for d in dims]))


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        for prompt in args.prompt or ():
            if prompt.count("{}") != 1:
                raise ValueError(f'--prompt {prompt!r}: needs one {{}}, as in "a photo of a {{}}"')
        if args.prompt and args.text_encoder.startswith("lexicon"):
            print(
                "tinyvlm-pack: the lexicon has its prompts built in; --prompt is not used",
                file=sys.stderr,
            )
        entries = vocabulary.read(args.vocab)
        model = tvlm.load(args.model)
        prototypes, notes = build(
            entries,
            create_text_encoder(args.text_encoder),
            model,
            dim=args.dim,
            bits=args.bits,
            prompts=tuple(args.prompt or ()),
            name=str(args.vocab),
        )
        output = args.output or args.vocab.with_suffix(".tvp")
        size = tvp.write(prototypes, output)
    except (OSError, ValueError) as error:
        for line in explain(error).splitlines():
            print(f"tinyvlm-pack: {line}", file=sys.stderr)
        return 2
    for label, note in zip(prototypes.labels, notes, strict=True):
        if set(note.split("; ")) != {"exact"}:
            print(f"  {label}: {note}")
    print(
        f"{output}: {len(prototypes.labels)} labels x {args.dim} dimensions x {args.bits} bits, "
        f"{size} bytes, for encoder {prototypes.encoder} ({prototypes.fingerprint.hex()})"
    )
    print(", ".join(prototypes.labels[:20]) + (", ..." if len(prototypes.labels) > 20 else ""))
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-pack",
        description="Pack a word list into a prototype file (.tvp) for the board.",
    )
    parser.add_argument(
        "--vocab",
        type=Path,
        required=True,
        metavar="LIST.txt",
        help="one label a line; `label: phrase, phrase` for synonyms; # comments",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.tvp",
        help="default: beside the list, with the suffix .tvp",
    )
    parser.add_argument(
        "--dim",
        type=int,
        default=64,
        help="numbers per label, any prefix of the embedding (default: 64)",
    )
    parser.add_argument(
        "--bits", type=int, choices=(8, 4), default=8, help="bits per number (default: 8)"
    )
    parser.add_argument(
        "--prompt",
        action="append",
        metavar="TEMPLATE",
        help='for open_clip, e.g. "a photo of a {}"; repeat to average',
    )
    parser.add_argument(
        "--text-encoder",
        default="lexicon",
        metavar="ENCODER",
        help="lexicon (default, offline) or open_clip:MODEL/TAG",
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=DEFAULT_MODEL,
        metavar="FILE.tvlm",
        help="the image encoder on the board (default: the one that ships)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
