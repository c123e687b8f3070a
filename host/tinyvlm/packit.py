# SPDX-License-Identifier: MIT
"""tinyvlm-pack: from a word list to a prototype file for the board.

tinyvlm-pack pets.txt                  # writes pets.tvp beside it
mpremote cp pets.tvp :
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import options
from .files import explain, write_atomic
from .words import background, lint, report, tvp, vocabulary
from .words.encoders import create_text_encoder
from .words.lexicon import Lexicon
from .words.packing import prepare
from .words.prototypes import is_known, may_be_error
from .words.vocabulary import plural

STDIN = Path("-")
MOST = 5  # labels without a vector of just their own that are named


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    args.vocab = args.vocab or args.list
    try:
        lines = _run(args)
    except (OSError, ValueError) as error:
        for line in explain(error).splitlines():
            print(f"tinyvlm-pack: {line}", file=sys.stderr)
        return 2
    if not args.quiet:
        print("\n".join(lines))
    return 0


def _run(args: argparse.Namespace) -> list[str]:
    """Writes the files; returns what there is to say."""
    prompts, output = _prompts(args), args.output
    if args.vocab == STDIN:
        if not output:
            raise ValueError("a list from standard input has no name; give one with -o FILE.tvp")
        entries = vocabulary.parse(sys.stdin.buffer.read(), "standard input")
        name = "standard input"
    else:
        output, name = output or args.vocab.with_suffix(".tvp"), str(args.vocab)
        entries = vocabulary.read(args.vocab)
    taken = {args.vocab: "the word list", args.model: "the encoder"}
    options.check_outputs(taken, [("-o", output), ("--report", args.report)], "the packed file")
    made = prepare(
        entries,
        args.model,
        dim=args.dim,
        text_encoder=args.text_encoder,
        unknown=args.unknown,
        prompts=prompts,
        others=vocabulary.read(args.background) if args.background else None,
        names=(name, str(args.background)),
        option="--",
    )
    if not made.chosen and args.unknown != "off":
        _remark(
            f"nothing is known about unknown for {args.model.name}: every frame gets a label "
            "(python -m tinyvlm.background measures it; --unknown off is silent)"
        )
    if made.left_out:
        said = "; ".join(f"{word} ({why})" for word, why in list(made.left_out.items())[:MOST])
        _remark(f"left out of the background, as they would take a label's frames: {said}")
    vectors, notes = made.vectors, made.notes
    prototypes = made.prototypes(args.dim, args.bits)
    size = tvp.write(prototypes, output)
    found = lint.examine(made.labels, vectors, args.dim)
    sizes = {}
    if args.explain or args.report:
        sizes = {dim: len(tvp.to_bytes(made.prototypes(dim, args.bits))) for dim in found.dims}
    lines = _said(args, output, prototypes, size, notes)
    if made.chosen:
        lines.append(_promise(made.chosen.rates_at(args.dim), args.unknown))
    lines += lint.summary(found)
    if args.explain:
        table = made.text if isinstance(made.text, Lexicon) else create_text_encoder("lexicon")
        lines += ["", *lint.origins(entries, notes, vectors, prototypes.gains(), table)]
        lines += ["", *lint.table(found, sizes)]
        if args.background:
            lines += ["", f"background: {', '.join(made.words) or 'none of the words'}"]
            lines += [f"  without {word}: {why}" for word, why in made.left_out.items()]
    if args.report:
        facts = report.Facts(output.name, prototypes, size, notes, made.words, sizes)
        write_atomic(args.report, report.page(facts, vectors, found).encode())
        lines.append(f"report: {args.report}")
    return lines


def _prompts(args: argparse.Namespace) -> tuple[str, ...]:
    """The templates that the text encoder uses."""
    for prompt in args.prompt or ():
        head, found, tail = prompt.partition("{}")
        if not found or any(brace in head + tail for brace in "{}"):
            raise ValueError(
                f"--prompt {prompt!r}: needs one {{}} and no other brace, "
                'as in "a photo of a {}"'
            )
    if args.prompt and not args.text_encoder.startswith("open_clip"):
        _remark(f"the {args.text_encoder} has its prompts built in; --prompt is not used")
        return ()
    return tuple(args.prompt or ())


def _promise(rates: dict[str, float], unknown: str) -> str:
    """What to expect, in frames of a hundred."""
    right, missed, wrong, named = (round(rates[name]) for name in background.RATES)
    if unknown == "off":
        return (
            f"of 100 frames that show one of these, about {right} are named right; none is unknown"
        )
    return (
        f"of 100 frames that show one of these, about {right} are named right, {missed} unknown, "
        f"{wrong} wrong; of 100 that show none, {named} are named"
    )


def _said(
    args: argparse.Namespace,
    output: Path,
    prototypes: tvp.Prototypes,
    size: int,
    notes: list[str],
) -> list[str]:
    noted = [
        (label, note)
        for label, note in zip(prototypes.labels, notes, strict=True)
        if not is_known(note)
    ]
    if len(noted) > MOST:
        noted.sort(key=lambda one: not may_be_error(one[1]))
    odd = [f"  {label}: {note}" for label, note in noted]
    if len(odd) > MOST:
        odd[MOST:] = [f"  ... and {len(odd) - MOST} more; --explain lists them"]
    labels = ", ".join(prototypes.labels[:20]) + (", ..." if len(prototypes.labels) > 20 else "")
    if prototypes.threshold:
        labels += f"; unknown if no score reaches {background.said(prototypes.threshold)}"
    return ([] if args.explain else odd) + [
        f"{output}: {plural(len(prototypes.labels), 'label')} x {plural(args.dim, 'dimension')} x "
        f"{args.bits} bits, "
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
    words = parser.add_mutually_exclusive_group(required=True)
    said = f"{options.LIST}; -: stdin"
    words.add_argument("list", nargs="?", type=Path, metavar="LIST.txt", help=said)
    words.add_argument("--vocab", type=Path, metavar="LIST.txt", help="the same")
    options.output(parser, "FILE.tvp", "beside the list, with the suffix .tvp")
    options.dim(parser, "dimensions per label, any prefix of the embedding")
    parser.add_argument(
        "--bits", type=int, choices=(8, 4), default=8, help="bits per dimension (default: 8)"
    )
    options.prompt(parser)
    options.text_encoder(parser)
    options.model(parser, "the encoder on the board")
    options.unknown(parser, "balanced", "balanced")
    parser.add_argument(
        "--background",
        type=Path,
        metavar="LIST.txt",
        help="words for what else the camera sees; a frame nearer to one of them is unknown",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print how each label got its vector, and the nearest pairs at every dimension",
    )
    options.report(parser, "the similarity of all labels")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing if all is well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
