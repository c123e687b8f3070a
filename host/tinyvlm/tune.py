# SPDX-License-Identifier: MIT
"""tinyvlm-tune: measures a packed vocabulary on your own photos, and makes it fit them better.

    tinyvlm-tune pets.tvp photos/        # photos/cat/1.jpg, photos/other/1.jpg, ...
    mpremote cp pets-tuned.tvp :

What is measured is what the board would answer. Threshold, scale and "none of them" are fitted,
and photos shown to the labels if that helps; what is reported of the tuned file are answers to
photos that it was fitted without (measure/tune_folds.py).
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from . import options
from .files import explain, write_atomic
from .measure import sorted_photos, tune_page
from .measure.answers import Answers, ask, encoder_of, label_lines, matrix_lines, rates, worst
from .measure.tune_fit import Tuned
from .measure.tune_folds import Outcome, gained, tune
from .words import background, tvp
from .words.vocabulary import plural

WORST = 5  # mistakes that are printed
OFTEN = 3  # photos that show none and are called by one label: worth a hint
FEW = 30  # photos; of fewer the rates say little


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # photos of 100 megapixels
    try:
        _run(args, print)
    except (OSError, ValueError) as error:
        for line in explain(error).splitlines():
            _say(line)
        return 2
    return 0


def _run(args: argparse.Namespace, out: Callable[[str], None]) -> None:
    if args.vocab.is_dir():
        raise ValueError(
            f"{args.vocab}: a folder; the vocabulary comes first: tinyvlm-tune FILE.tvp FOLDER"
        )
    options.check_counts(args, shots=0, workers=1)
    p = tvp.read(args.vocab)
    model, encoder = encoder_of(p, args.vocab, [args.model] if args.model else [])
    output = args.output or (args.vocab if args.overwrite else _beside(args.vocab))
    found, remarks = sorted_photos.find(args.photos, p.labels, args.vocab.name)
    _check_outputs(args, output, model, found)
    photos, more = sorted_photos.embed(found, p.labels, model, args.workers, _bar("photos"))
    for line in [*remarks, *more, *_missing(photos)]:
        _say(line)
    size = f"{plural(len(p.labels), 'label')}, {plural(p.dim, 'dimension')}"
    out(f"{args.vocab}: {size}, for encoder {p.encoder}")
    out(_counts(args.photos, photos))
    why = "" if args.measure else _too_few(photos)
    if args.measure or why:
        before = ask(p, photos.embeddings, photos.target)
        _measured(out, args, before)
        _mistakes(out, photos, before)
        if why:
            out(f"\n{why}")
        _report(args, out, photos, before, None, [str(rates(before)), *[why] * bool(why)], [])
        return
    if not photos.count(len(p.labels)):
        _say(
            "no folder `other` with photos that show none of the labels: photos of the other "
            "labels stand in for them, which is a guess"
        )
    unknown = args.unknown or packed_with(p, model)
    outcome = _tuned(p, photos, unknown, args.shots)
    tuned = outcome.tuned
    _measured(out, args, outcome.before, outcome.after)
    said = _compared(outcome, args.vocab.name)
    _mistakes(out, photos, outcome.after if outcome.better else outcome.before)
    out("")
    for line in said:
        out(line)
    changes = _changes(p, tuned) if outcome.better else []
    for line in changes:
        out(f"  {line}")
    if outcome.better:
        size = tvp.write(tuned.prototypes, output)
        out(f"{output}: {size} bytes")
    after = outcome.after if outcome.better else None
    _report(args, out, photos, outcome.before, after, said, changes)


def _say(line: str) -> None:
    print(f"tinyvlm-tune: {line}", file=sys.stderr)


def _bar(what: str):
    return lambda things: tqdm(
        things, what, unit="photo", mininterval=1, leave=False, disable=None
    )


def _beside(vocab: Path) -> Path:
    return vocab.with_name(f"{vocab.stem}-tuned.tvp")


def _check_outputs(
    args: argparse.Namespace, output: Path, model: Path, photos: Sequence[sorted_photos.Photo]
) -> None:
    """OSError or ValueError if a file cannot be or must not be written."""
    taken = {photo.path: "one of the photos" for photo in photos} | {model: "the encoder"}
    if not (args.overwrite and output.resolve() == args.vocab.resolve()):
        taken[args.vocab] = "the vocabulary"
    hint = {"the vocabulary": ", or --overwrite to replace it"}
    files = [("-o", output), ("--report", args.report)]
    options.check_outputs(taken, files, "the tuned vocabulary", hint)


def packed_with(p: tvp.Prototypes, model: Path) -> str:
    """The word that tinyvlm-pack's --unknown had, as far as the thresholds tell; else balanced."""
    if not p.none and not p.threshold:
        return "off"
    for unknown in ("balanced", "cautious", "eager"):
        chosen = background.find(model, p.fingerprint, len(p.labels), unknown)
        if chosen and abs(chosen.threshold_at(p.dim) - p.threshold) < 1e-6:
            return unknown
    return "balanced"


def _tuned(p: tvp.Prototypes, photos: sorted_photos.Sorted, unknown: str, shots: int) -> Outcome:
    bar = tqdm(desc="fitting", unit="fit", mininterval=1, leave=False, disable=None)
    for step in tune(p, photos, unknown, shots):
        if isinstance(step, Outcome):
            bar.close()
            return step
        bar.total = bar.total or step
        bar.update()
    raise AssertionError("tune() ends with an Outcome")


# -- what is said -----------------------------------------------------------------------------


def _counts(folder: Path, photos: sorted_photos.Sorted) -> str:
    counts = [f"{photos.count(i)} {label}" for i, label in enumerate(photos.labels[:12])]
    more = ", ..." if len(photos.labels) > 12 else ""
    return (
        f"{folder}: {plural(len(photos.paths), 'photo')}: {', '.join(counts)}{more}; "
        f"{photos.count(len(photos.labels))} that show none"
    )


def _missing(photos: sorted_photos.Sorted) -> list[str]:
    lines = [label for i, label in enumerate(photos.labels) if not photos.count(i)]
    remarks = []
    if lines:
        names = ", ".join(lines[:5]) + (", ..." if len(lines) > 5 else "")
        remarks.append(f"no photos of {names}: what is said about the others is without them")
    return remarks


def _too_few(photos: sorted_photos.Sorted) -> str:
    counts = [photos.count(i) for i in range(len(photos.labels) + 1)]
    if sum(count > 1 for count in counts) < 2 or not any(count > 1 for count in counts[:-1]):
        return (
            "tuning needs two photos of a label, and two more of another one or of none: nothing "
            "was tuned"
        )
    return ""


def _measured(
    out, args: argparse.Namespace, before: Answers, after: Answers | None = None
) -> None:
    out(f"\nwhat the board answers with {args.vocab.name}:")
    for line in matrix_lines(before):
        out(line)
    out(str(rates(before)))
    if after is not None:
        out("\nheld out, each photo by a file that was tuned without it:")
        for line in matrix_lines(after):
            out(line)
        out(str(rates(after)))
    out("")
    for line in label_lines(before, after):
        out(line)


def _mistakes(out, photos: sorted_photos.Sorted, answers: Answers) -> None:
    every = worst(answers)
    if every:
        out("\nworst mistakes:")
    for i in every[:WORST]:
        out(f"  {photos.paths[i]}: {answers.name(answers.said[i])} {answers.score[i]:.2f}")


def _compared(outcome: Outcome, name: str) -> list[str]:
    better, worse = gained(outcome.before, outcome.after)
    right = f"{plural(better, 'answer')} became right by tuning"
    lines = [f"{right}, {worse} became wrong (held out)"]
    if outcome.stand_in:
        first, last = (rates(answers) for answers in outcome.stand_in)
        lines.append(
            f"with their own label taken away, {first.named} of {first.none} photos are named, "
            f"tuned {last.named}"
        )
    if hint := _cousin(outcome.after if outcome.better else outcome.before):
        lines.append(hint)
    if len(outcome.before.target) < FEW:
        lines.append(
            f"{len(outcome.before.target)} photos are few: one answer is "
            f"{100 / len(outcome.before.target):.0f} % of them"
        )
    if not outcome.better:
        lines.append(f"nothing better than {name} was found; no file is written")
    return lines


def _cousin(answers: Answers) -> str:
    """What to do if one label takes many of the photos that show none."""
    none = len(answers.labels)
    said = answers.said[answers.target == none]
    counts = np.bincount(said[said < none], minlength=none)
    most = int(counts.argmax())
    if counts[most] < max(OFTEN, len(said) / 5):
        return ""
    return (
        f"{counts[most]} of {len(said)} photos that show none are called {answers.labels[most]}: "
        "pack what they show as a label, too, or name it in tinyvlm-pack's --background"
    )


def _changes(p: tvp.Prototypes, tuned: Tuned) -> list[str]:
    q = tuned.prototypes
    values = (
        ("threshold", background.said(p.threshold), background.said(q.threshold)),
        ("scale", f"{p.logit_scale:.1f}", f"{q.logit_scale:.1f}"),
        ("none of them", _none(p), _none(q)),
    )
    fitted = ", ".join(f"{what} {old} -> {new}" for what, old, new in values if old != new)
    lines = [fitted] if fitted else []
    if tuned.shown:
        lines.append(f"{plural(tuned.shown, 'photo')} shown to the labels")
    return lines


def _none(p: tvp.Prototypes) -> str:
    return f"{p.none[-1]:.2f}" if p.none else "off"


def _report(args, out, photos, before, after, said, changes) -> None:
    if args.report is None:
        return
    facts = tune_page.Facts(
        args.vocab.name, str(args.photos), photos.paths, before, after, said, changes
    )
    write_atomic(args.report, tune_page.page(facts).encode())
    out(f"report: {args.report}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-tune",
        description="Measure a packed vocabulary on your own photos, and make it fit them better.",
    )
    parser.add_argument("vocab", type=Path, metavar="FILE.tvp", help=options.PACKED)
    parser.add_argument(
        "photos",
        type=Path,
        metavar="FOLDER",
        help="a folder of photos for each label, called like it, and one called other (or "
        "unknown) for photos that show none of them",
    )
    options.output(parser, "FILE.tvp", "FILE-tuned.tvp beside it")
    parser.add_argument(
        "--overwrite", action="store_true", help="the tuned file may replace FILE.tvp itself"
    )
    options.unknown(
        parser, None, "what the file was packed with, if that can be told, else balanced"
    )
    parser.add_argument(
        "--shots",
        type=int,
        default=65535,
        metavar="N",
        help="photos of each label that may be shown to it, at most; 0: none (default: all, if "
        "that helps)",
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure alone: tune nothing and write no .tvp"
    )
    options.report(parser, "matrix and mistakes")
    options.model(parser, default=None, otherwise="the one of these that it was packed for")
    options.workers(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
