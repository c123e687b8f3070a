# SPDX-License-Identifier: MIT
"""tinyvlm-pack: from a word list to a prototype file for the board.

tinyvlm-pack --vocab pets.txt          # writes pets.tvp beside it
mpremote cp pets.tvp :
"""

from __future__ import annotations

import argparse
import errno
import sys
from pathlib import Path

import numpy as np

from . import background, lint, report, tvlm, tvp, vocabulary
from .files import check_folder, explain, write_atomic
from .lexicon import Lexicon
from .text import (
    DEFAULT_MODEL,
    TextEncoder,
    UnknownPhrase,
    create_text_encoder,
    model_path,
    normalize,
)

MOST = 5  # labels without a vector of just their own that are named


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
            f"{info.get('name')} was aligned to {info.get('text_space')!r}; use a matching "
            f"--model or --text-encoder ({info.get('text_encoder', 'lexicon:FILE.npz')})"
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
        hint = "the lexicon is English; `Katze: cat` shows Katze and looks up cat"
        raise ValueError("\n".join([*problems, hint]))
    return np.stack(vectors), notes


def build(
    labels: list[str],
    vectors: np.ndarray,
    model: tvlm.Encoder,
    *,
    dim: int = 64,
    bits: int = 8,
    text_encoder: str = "",
    prompts: tuple[str, ...] = (),
    chosen: background.Background | None = None,
    rows: np.ndarray | None = None,
) -> tvp.Prototypes:
    """Prototypes for labels: vectors (labels, any) cut to `dim` numbers and quantized.

    chosen: scale and threshold, made on photos; without it the scale is that of training, and no
    threshold is set. Both are there for smaller prefixes, too, which the board may use. rows:
    background vectors (any number, any).
    """
    info = model.graph.info

    def at(dim: int) -> tuple[float, float]:
        if chosen:
            return chosen.scale_at(dim), chosen.threshold_at(dim)
        return logit_scale(info, dim), 0.0

    known = chosen.logit_scale if chosen else map(int, info.get("logit_scale", ()))
    scale, threshold = at(dim)
    both = vectors if rows is None else np.concatenate([vectors, rows])
    return tvp.Prototypes(
        labels=labels,
        vectors=tvp.quantize(both[:, :dim], bits),
        fingerprint=model.fingerprint,
        encoder=info.get("name", "unnamed"),
        text_encoder=text_encoder,
        prompt=" | ".join(prompts),
        bits=bits,
        logit_scale=scale,
        threshold=threshold,
        background=len(both) - len(vectors),
        prefixes=[(d, *at(d)) for d in sorted(known) if d < dim],
    )


def logit_scale(info: dict, dim: int) -> float:
    """The factor on cosines that training found for `dim` numbers, or between two it tried."""
    known = {int(key): value for key, value in info.get("logit_scale", {}).items()} or {64: 20.0}
    return background.interpolate(known, dim)


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        lines = _run(args)
    except (OSError, ValueError) as error:
        for line in explain(error).splitlines():
            print(f"tinyvlm-pack: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinyvlm-pack: interrupted", file=sys.stderr)
        return 2
    if not args.quiet:
        print("\n".join(lines))
    return 0


def _run(args: argparse.Namespace) -> list[str]:
    """Writes the files; returns what there is to say."""
    prompts = tuple(args.prompt or ())
    for prompt in prompts:
        if prompt.count("{}") != 1:
            raise ValueError(f'--prompt {prompt!r}: needs one {{}}, as in "a photo of a {{}}"')
    if prompts and args.text_encoder.startswith("lexicon"):
        _remark("the lexicon has its prompts built in; --prompt is not used")
    output = args.output or args.vocab.with_suffix(".tvp")
    _check_outputs(args, output)
    entries, model = vocabulary.read(args.vocab), tvlm.load(args.model)
    most = model.graph.shapes()[model.graph.embedding][2]
    if not 1 <= args.dim <= most:
        name = model.graph.info.get("name", "unnamed")
        raise ValueError(f"--dim {args.dim}: {name} has 1 ... {most} dimensions")
    text = create_text_encoder(args.text_encoder, args.model)
    vectors, notes = encode(entries, text, model, prompts, str(args.vocab))
    vectors = normalize(vectors[:, :most])
    labels = [entry.label for entry in entries]
    chosen, words, rows = None, [], None
    if args.unknown:
        chosen = background.find(args.model, model.fingerprint, len(labels))
        if chosen:
            words, rows = chosen.rows(text, vectors, prompts)
        else:
            _remark(
                f"no background words for {args.model.name}: every frame gets a label "
                "(python -m tinyvlm.background chooses them; --no-unknown is silent)"
            )

    def made(dim: int) -> tvp.Prototypes:
        return build(
            labels,
            vectors,
            model,
            dim=dim,
            bits=args.bits,
            text_encoder=text.name,
            prompts=prompts,
            chosen=chosen,
            rows=rows,
        )

    prototypes = made(args.dim)
    size = tvp.write(prototypes, output)
    found = lint.examine(labels, vectors, args.dim)
    sizes = {}
    if args.explain or args.report:
        sizes = {dim: len(tvp.to_bytes(made(dim))) for dim in found.dims}
    lines = _said(args, output, prototypes, size, notes) + lint.summary(found)
    if args.explain:
        table = text if isinstance(text, Lexicon) else create_text_encoder("lexicon")
        lines += ["", *lint.origins(entries, notes, vectors, table)]
        lines += ["", *lint.table(found, sizes)]
        if words:
            lines += ["", f"background: {', '.join(words)}"]
    if args.report:
        facts = report.Facts(output.name, prototypes, size, notes, words, sizes)
        write_atomic(args.report, report.page(facts, vectors, found).encode())
        lines.append(f"report: {args.report}")
    return lines


def _check_outputs(args: argparse.Namespace, output: Path) -> None:
    """OSError or ValueError, before anything is written, if a file cannot be or must not be."""
    taken = {args.vocab.resolve(): "the word list", args.model.resolve(): "the encoder"}
    for option, path in (("-o", output), ("--report", args.report)):
        if path is None:
            continue
        check_folder(path.parent)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder; give the name of a file", path)
        if what := taken.get(path.resolve()):
            raise ValueError(f"{path} is {what}; give another name with {option}")
        taken[path.resolve()] = "the packed file"


def _said(
    args: argparse.Namespace,
    output: Path,
    prototypes: tvp.Prototypes,
    size: int,
    notes: list[str],
) -> list[str]:
    odd = [
        f"  {label}: {note}"
        for label, note in zip(prototypes.labels, notes, strict=True)
        if not set(note.split("; ")) <= {"exact", "ensemble"}
    ]
    if len(odd) > MOST and not args.explain:
        odd[MOST:] = [f"  ... and {len(odd) - MOST} more; --explain lists them"]
    labels = ", ".join(prototypes.labels[:20]) + (", ..." if len(prototypes.labels) > 20 else "")
    if prototypes.background:
        labels += f"; unknown if no score reaches {prototypes.threshold:.2f}"
    return ([] if args.explain else odd) + [
        f"{output}: {len(prototypes.labels)} labels x {args.dim} dimensions x {args.bits} bits, "
        f"{size} bytes, for encoder {prototypes.encoder} ({prototypes.fingerprint.hex()})",
        labels,
    ]


def _remark(text: str) -> None:
    print(f"tinyvlm-pack: {text}", file=sys.stderr)


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
        type=model_path,
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="the encoder on the board: base (default), nano, max78000 or FILE.tvlm",
    )
    parser.add_argument(
        "--unknown",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="add background prototypes, so that a frame may show none of the labels (default)",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print how each label got its vector, and the nearest pairs at every dimension",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page with the similarity of all labels, one file, no network",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing if all is well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
