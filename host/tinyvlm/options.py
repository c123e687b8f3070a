# SPDX-License-Identifier: MIT
"""Options that several commands have, said once: one name means one thing, and fails in one way.

options.model(parser)                      # adds --model
options.check_counts(args, workers=1)      # ValueError: --workers 0: must be 1 or more
"""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .files import check_folder
from .shipped import DEFAULT_DIM, DEFAULT_MODEL, ENCODERS, model_path
from .words.background import KNOB
from .words.encoders import default_text_encoder

LIST = "one label a line; `label: phrase, phrase` for synonyms; # comments"
PACKED = "a vocabulary from tinyvlm-pack"
UNKNOWN = (*KNOB, "off")


def model(
    parser: argparse.ArgumentParser,
    what: str = "the encoder",
    default: Path | None = DEFAULT_MODEL,
    otherwise: str = "base",
    several: bool = False,
) -> None:
    """--model; several: a list. default None: `otherwise` says which one is taken."""
    parser.add_argument(
        "--model",
        type=model_path,
        nargs="+" if several else None,
        default=[default] if several else default,
        metavar="MODEL",
        help=f"{what}: {', '.join(ENCODERS)} or FILE.tvlm (default: {otherwise})",
    )


def text_encoder(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--text-encoder: who knows the words. default: the best that is installed."""
    said = default or "sentence where that is installed, else lexicon"
    parser.add_argument(
        "--text-encoder",
        default=default or default_text_encoder(),
        metavar="ENCODER",
        help="lexicon (offline), sentence (any English phrase, offline; needs the extra `words`) "
        f"or open_clip:MODEL/TAG (default: {said})",
    )


def prompt(parser: argparse.ArgumentParser) -> None:
    """--prompt: sentences around the words."""
    parser.add_argument(
        "--prompt",
        action="append",
        metavar="TEMPLATE",
        help='for open_clip, e.g. "a photo of a {}"; repeat to average',
    )


def unknown(parser: argparse.ArgumentParser, default: str | None, otherwise: str) -> None:
    """--unknown; `otherwise` says what is taken without it."""
    parser.add_argument(
        "--unknown",
        choices=UNKNOWN,
        default=default,
        help="when a frame shows none of the labels: cautious names few such frames, balanced "
        f"more, eager many; off names every frame (default: {otherwise})",
    )


def dim(parser: argparse.ArgumentParser, what: str) -> None:
    """--dim; `what` says what the dimensions are for."""
    parser.add_argument(
        "--dim", type=int, default=DEFAULT_DIM, help=f"{what} (default: %(default)s)"
    )


def workers(parser: argparse.ArgumentParser) -> None:
    """--workers, of whatever embeds photos."""
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="photos embedded at the same time (default: one a core)",
    )


def output(parser: argparse.ArgumentParser, metavar: str, otherwise: str) -> None:
    """-o, --output; `otherwise` says where to without it."""
    parser.add_argument("-o", "--output", type=Path, metavar=metavar, help=f"default: {otherwise}")


def report(parser: argparse.ArgumentParser, what: str) -> None:
    """--report: a page of one file; `what` is on it."""
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help=f"write a page with {what}, one file, no network",
    )


# -- what is wrong with them ------------------------------------------------------------------


def check_counts(args: argparse.Namespace, **least: int) -> None:
    """ValueError if an option is less than it may be."""
    for name, count in least.items():
        if getattr(args, name) < count:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} {getattr(args, name)}: must be {count} or more")


def check_outputs(
    taken: Mapping[Path, str],
    outputs: Sequence[tuple[str, Path | None]],
    made: str,
    hints: Mapping[str, str] | None = None,
) -> None:
    """OSError or ValueError, before any work, if a file cannot be or must not be written.

    taken: files that must stay, and what they are; outputs: options with their files, the first
    of which is `made`. hints: what else to do if the first one's place is taken by that.
    """
    taken = {path.resolve(): what for path, what in taken.items()}
    for number, (option, path) in enumerate(outputs):
        if path is None:
            continue
        check_folder(path.parent)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder; give the name of a file", str(path))
        if what := taken.get(path.resolve()):
            more = "" if number else (hints or {}).get(what, "")
            raise ValueError(f"{path} is {what}; give another name with {option}{more}")
        taken[path.resolve()] = made
