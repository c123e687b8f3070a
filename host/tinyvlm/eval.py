# SPDX-License-Identifier: MIT
"""tinyvlm-eval: zero-shot accuracy of encoders, by the int8 engine, on labelled photos.

    tinyvlm-eval --data ../shared/data/eval --json results.json --plots plots
    tinyvlm-eval --data mine=photos/ pets='pets-*.tar' --model mine.tvlm nano.tvlm --table
    tinyvlm-eval --data mine=photos/ --vocab pets.tvp              # what the board would answer
    tinyvlm-eval --results results.json --markdown docs/models.md     # tables and plots again

Class names become prototypes as `tinyvlm-pack` makes them; every photo goes through the frame
intake and the engine that the boards run. What is measured is defined in metrics.py and
pointing.py, the forms of data in labelled.py, how sets are told apart in eval_sets.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import __version__, options
from .files import check_folder, explain, write_atomic
from .measure import eval_captions as captions
from .measure import eval_naming as naming
from .measure import eval_sets as sets
from .measure import labelled
from .measure.eval_table import confusion_lines, summary, tables
from .net import tvlm
from .shipped import DEFAULT_MODEL
from .words import tvp, vocabulary
from .words.encoders import create_text_encoder


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_args(argv)
    try:
        _check(args)
        results = _load(args.results) if args.results else _measured(args)
        text = json.dumps(results, indent=1, ensure_ascii=False)
        if args.json not in (None, "-"):
            write_atomic(args.json, (text + "\n").encode())
        if args.plots:
            from .measure.plots import draw

            draw(results, args.plots)
        if args.markdown:
            from .measure.eval_card import rewrite

            rewrite(args.markdown, results)
    except (OSError, ValueError, ImportError) as error:
        for line in explain(error).splitlines():
            _say(line)
        return 2
    if args.json == "-":
        print(text)
    elif "answers" in results:
        from .measure.eval_answers import mistake_lines, table

        print(table(results["answers"]))
        if not args.table and (lines := mistake_lines(results["answers"])):
            print(f"\n{lines}")
    else:
        print(tables(results))
        if not args.table:
            if len({report["fingerprint"] for report in results["reports"]}) > 1:
                print("\n" + summary(results))
            print("\n" + confusion_lines(results["reports"]))
    return 0


def _say(line: str) -> None:
    print(f"tinyvlm-eval: {line}", file=sys.stderr)


def _measured(args: argparse.Namespace) -> dict:
    """What words are worth, or what a board answers with a packed vocabulary."""
    packed = args.vocab and args.vocab.read_bytes().startswith(tvp.MAGIC)
    return _answers(args) if packed else _run(args)


def _answers(args: argparse.Namespace) -> dict:
    """One vocabulary on every set with class names."""
    from .measure import eval_answers
    from .measure.answers import encoder_of

    if args.markdown or args.plots:
        raise ValueError("--markdown and --plots are for words, not for a packed vocabulary")
    p = tvp.read(args.vocab)
    models = [] if args.model == [DEFAULT_MODEL] else args.model
    file, encoder = encoder_of(p, args.vocab, models)
    every = [sets.index(name, paths) for name, paths in labelled.sets(args.data).items()]
    named = [labels for labels in every if not labels.captions and not labels.boxes]
    if not named:
        raise ValueError("no set with class names is among them")
    found = [
        eval_answers.evaluate(p, args.vocab, file, encoder, labels, args.workers)
        for labels in named
    ]
    head = {"software": f"tinyvlm {__version__}", "text_encoder": p.text_encoder}
    return head | {"answers": found, "reports": []}


def _run(args: argparse.Namespace) -> dict:
    """Every encoder on every set. Names and files are checked before any photo is decoded."""
    from .measure.eval_encoders import facts

    text = create_text_encoder(args.text_encoder, args.model[0])
    prompts = tuple(args.prompt or ())
    words = {e.label: e.phrases for e in vocabulary.read(args.vocab)} if args.vocab else {}
    encoders = {file: tvlm.load(file) for file in args.model}
    imagenet = _imagenet(args)
    clip = _clip(args, text)
    every = [sets.index(name, paths) for name, paths in labelled.sets(args.data).items()]
    named, captioned = _jobs(every, text, encoders, prompts, words, args.caption_vectors)
    how = {"dim": args.dim, "workers": args.workers, "imagenet": imagenet}
    reports = [report for job in named for report in naming.evaluate(*job, **how)]
    found = [captions.evaluate(*job, args.workers) for job in captioned]
    return {
        "software": f"tinyvlm {__version__}",
        "text_encoder": text.name,
        "prompts": list(prompts),
        "encoders": [facts(file, encoder) for file, encoder in encoders.items()],
        "reports": reports,
        "captions": found,
        "clip": clip,
    }


def _jobs(every, text, encoders, prompts, words, table) -> tuple[list[tuple], list[tuple]]:
    """What to measure: (file, encoder, set, words), and the same with captions. ValueError if
    nothing is left; sets and classes that are left out are named on stderr, once."""
    named, captioned, said = [], [], {}
    for file, encoder in encoders.items():
        for labels in every:
            if labels.captions:
                made = captions.encode(labels, text, encoder, table)
                if made.vectors:
                    captioned.append((file, encoder, labels, made))
                said[captions.left_out(labels, made)] = None
            elif labels.boxes:
                said[sets.not_for_naming(labels)] = None
            else:
                found = sets.encode(labels, text, encoder, prompts, words)
                said[sets.left_out(labels, found)] = None
                if len(found.classes) > 1 or not found.missing:
                    named.append((file, encoder, labels, found))
    lines = [line for line in said if line]
    if not named and not captioned:
        raise ValueError("\n".join([*lines, "nothing is left to evaluate"]))
    for line in lines:
        _say(line)
    return named, captioned


def _imagenet(args: argparse.Namespace) -> list[str] | None:
    if not args.imagenet_labels:
        return None
    from .measure.overlap import read

    return read(args.imagenet_labels)


def _clip(args: argparse.Namespace, text) -> dict | None:
    if not args.clip:
        return None
    from .measure.truncation import measure

    return measure(*args.clip, text.text_space)


def _load(path: Path) -> dict:
    """What --json wrote. ValueError if it is something else."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if not {"software", "text_encoder", "reports"} <= results.keys():
            raise ValueError("reports are missing")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not what tinyvlm-eval --json writes ({error})") from None
    return results


def _check(args: argparse.Namespace) -> None:
    """What would otherwise fail only after minutes of work."""
    options.check_counts(args, dim=1, workers=1)
    if len({model.resolve() for model in args.model}) < len(args.model):
        raise ValueError("--model: the same file is given twice")
    if args.plots:
        from .measure import plots  # noqa: F401

        args.plots.mkdir(parents=True, exist_ok=True)
    if args.markdown:
        from .measure import eval_card

        eval_card.check(args.markdown)
    check_folder(Path(args.json or "-").parent)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-eval",
        description="Zero-shot accuracy, retrieval and pointing of encoders on labelled photos.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data",
        nargs="+",
        metavar="[NAME=]PATTERN",
        help="shards, a folder of shards, or a folder with one folder a class; what has the same "
        "name (default: of the folder, or of the shards without -NNN) is one set; sets with "
        "captions are measured by image-text retrieval, STEM-unseen-classes.json beside them "
        "says which classes to report apart, too",
    )
    source.add_argument(
        "--results",
        type=Path,
        metavar="FILE.json",
        help="measure nothing: tables and plots of what --json wrote",
    )
    options.model(parser, "encoders to compare", several=True)
    parser.add_argument(
        "--vocab",
        type=Path,
        metavar="LIST.txt|FILE.tvp",
        help="other words for class names, `name: phrase, phrase` a line, as for tinyvlm-pack; or "
        "a packed vocabulary: what a board would answer with it, unknown included, where classes "
        "that are no label count as none",
    )
    options.text_encoder(parser, "lexicon")
    options.prompt(parser)
    parser.add_argument(
        "--caption-vectors",
        type=Path,
        metavar="FILE.npz",
        help="CLIP's vectors of the captions (captions, emb), better than what a lexicon composes",
    )
    parser.add_argument(
        "--imagenet-labels",
        type=Path,
        metavar="FILE",
        help="ImageNet's class names, one a line: count the classes that are among them",
    )
    parser.add_argument(
        "--clip",
        type=Path,
        nargs=2,
        metavar=("IMAGES.npz", "NAMES.npz"),
        help="real CLIP vectors of labelled images and of names: what they are worth when cut",
    )
    options.dim(parser, "dimensions used for the confusions")
    options.workers(parser)
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write all figures; without FILE they are printed instead of the table",
    )
    parser.add_argument(
        "--table", action="store_true", help="print the Markdown tables alone, no confusions"
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="PAGE.md",
        help="write all tables into this page, between its two tinyvlm-eval comments",
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="draw accuracy against dimension and bytes, and the memory of an STM32H743 "
        "(needs matplotlib)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
