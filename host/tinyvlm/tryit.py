# SPDX-License-Identifier: MIT
"""tinyvlm-try: labels and boxes on pictures, or on what a webcam sees, by the boards' engine.

tinyvlm-try --vocab pets.tvp photo.jpg holiday/     # writes photo.jpg.tinyvlm.png, ...
tinyvlm-try --vocab pets.tvp --camera 0             # a window, until q (needs OpenCV)
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

import tinyvlm

from . import options
from .annotate import Boxes, Scores, annotate
from .files import check_folder, explain, write_atomic
from .measure.answers import encoder_of
from .measure.labelled import PICTURES
from .net.intake import MAX_SIDE
from .picture import rgb

MARK = ".tinyvlm.png"


def look(
    image: Image.Image, vocab: tinyvlm.Vocab, top: int, threshold: float | None
) -> tuple[Scores, Boxes]:
    """What a picture shows, and where, boxes in its pixels: one verdict, of whole and parts.

    A label counts with the better of what tinyvlm.classify and tinyvlm.detect say; "unknown" is
    said if neither finds one, and there is no box of a label that is not said.
    """
    factor = _factor(image)
    frame = tinyvlm.to_frame(image.reduce(factor))
    found = tinyvlm.detect(frame, vocab, threshold)
    boxes = [(label, score, tuple(factor * v for v in box)) for label, score, box in found]
    scores = tinyvlm.classify(frame, vocab, top)
    best: dict[str, float] = {}
    for label, score in [
        *(scores if scores[0][0] in vocab.labels else ()),
        *(b[:2] for b in boxes),
    ]:
        best[label] = max(score, best.get(label, 0))
    if best:
        scores = sorted(best.items(), key=lambda pair: -pair[1])[:top]
    said = [label for label, _ in scores]
    return scores, [box for box in boxes if box[0] in said]


def _factor(image: Image.Image) -> int:
    """How much smaller a picture must be for the engine, which a phone's 50 megapixels are not."""
    return -(-min(image.size) // MAX_SIDE)


# -- the command ------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    args = _arguments().parse_intermixed_args(argv)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # photos of 100 megapixels
    try:
        options.check_counts(args, top=1)
        if bool(args.pictures) == (args.camera is not None):
            raise ValueError("give pictures or folders of them, or --camera N")
        if args.out:
            check_folder(args.out)
        vocab = tinyvlm.Vocab(args.vocab)
        tinyvlm.load(args.model or encoder_of(vocab, args.vocab)[0])
        if args.threshold is not None:
            vocab.threshold = args.threshold
        problems = _watch(args, vocab) if args.camera is not None else _pictures(args, vocab)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"tinyvlm-try: {explain(error)}", file=sys.stderr)
        return 2
    return 2 if problems else 0


def _pictures(args: argparse.Namespace, vocab: tinyvlm.Vocab) -> int:
    """Writes a picture for every one that can be read; returns how many cannot be."""
    problems, written = 0, set()
    for path in list(_files(args.pictures)):
        try:
            with Image.open(path) as opened:
                image = rgb(opened)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            print(f"tinyvlm-try: {_why(path, error)}", file=sys.stderr)
            problems += 1
            continue
        shown, scores, boxes = _seen(args, vocab, image)
        output = _output(path, args.out, written)
        with BytesIO() as file:
            shown.save(file, "PNG")
            write_atomic(output, file.getvalue())
        where = {label: " at {},{} {}x{}".format(*box) for label, _, box in boxes}
        words = (f"{label} {score:.2f}{where.get(label, '')}" for label, score in scores)
        print(f"{path}: {', '.join(words) or 'none of the labels'} -> {output}")
    return problems


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return explain(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"{path}: too many pixels"
    if isinstance(error, UnidentifiedImageError):
        return f"{path}: no picture"
    return f"{path}: damaged or cut off ({error}); copy it again"


def _seen(
    args: argparse.Namespace, vocab: tinyvlm.Vocab, image: Image.Image
) -> tuple[Image.Image, Scores, Boxes]:
    scores, boxes = look(image, vocab, args.top, args.threshold)
    heat = None
    if args.heatmap and scores and scores[0][0] in vocab.labels:
        heat = tinyvlm.heatmap(image.reduce(_factor(image)), scores[0][0], vocab)
    return annotate(image, scores, boxes, vocab.labels, heat), scores, boxes


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The pictures that are meant: files as they are, and those that lie in folders."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = [p for p in sorted(path.iterdir()) if p.suffix.lower() in PICTURES]
        inside = [p for p in inside if not p.name.endswith(MARK)]
        if not inside:
            raise ValueError(f"{path}: no pictures ({', '.join(PICTURES)}) in it")
        yield from inside


def _output(path: Path, folder: Path | None, written: set[Path]) -> Path:
    """Where a picture goes; those of one name from several folders get numbers."""
    output, number = (folder or path.parent) / f"{path.name}{MARK}", 2
    while output in written:
        output = (folder or path.parent) / f"{path.name}-{number}{MARK}"
        number += 1
    written.add(output)
    return output


def _watch(args: argparse.Namespace, vocab: tinyvlm.Vocab) -> int:
    """Shows what the camera sees in a window, until q or Escape, or writes `--frames` pictures."""
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "--camera needs OpenCV: pip install opencv-python (pictures do without)"
        ) from None
    import numpy as np

    camera = cv2.VideoCapture(args.camera)
    try:
        if not camera.isOpened():
            raise ValueError(f"--camera {args.camera}: cannot be opened; try another number")
        count = 0
        while args.frames is None or count < args.frames:
            ok, pixels = camera.read()
            if not ok:
                raise ValueError(f"--camera {args.camera}: gave no picture; is it in use?")
            image = Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))  # BGR
            shown, scores, _ = _seen(args, vocab, image)
            count += 1
            if args.out:
                shown.save(args.out / f"camera-{count:04}{MARK}")
                print(", ".join(f"{label} {score:.2f}" for label, score in scores), flush=True)
                continue
            try:
                cv2.imshow("tinyvlm", np.asarray(shown)[:, :, ::-1])
                if cv2.waitKey(1) & 255 in (ord("q"), 27):
                    break
            except cv2.error:
                raise ValueError(
                    "this OpenCV cannot open a window; use --out DIR --frames N, or install "
                    "opencv-python instead of opencv-python-headless"
                ) from None
    finally:
        camera.release()
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-try", description="Draw labels and boxes on pictures, as a board sees them."
    )
    parser.add_argument("--vocab", required=True, metavar="FILE.tvp", help=options.PACKED)
    parser.add_argument(
        "pictures", nargs="*", type=Path, metavar="PICTURE", help="files, or folders of them"
    )
    parser.add_argument("--camera", type=int, metavar="N", help="a webcam, 0 for the first")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"default: beside each picture, as NAME{MARK}"
    )
    parser.add_argument(
        "--heatmap", action="store_true", help="tint the cells that look like the best label"
    )
    parser.add_argument("--top", type=int, default=3, help="scores to show (default: 3)")
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="least score (default: the vocabulary's)"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="with --camera: stop after N")
    options.model(parser, default=None, otherwise="the one that FILE.tvp was packed for")
    return parser


if __name__ == "__main__":
    sys.exit(main())
