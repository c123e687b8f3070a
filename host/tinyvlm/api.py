# SPDX-License-Identifier: MIT
"""The device API on the PC: `device/tinyvlm` unchanged, plus pictures as PCs have them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import device
from .device import RGB888, Encoder
from .device import Frame as DeviceFrame
from .device import Heatmap as DeviceHeatmap
from .device import Vocab as DeviceVocab
from .files import write_atomic
from .shipped import DEFAULT_MODEL, encoder_for, model_path

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    import numpy as np
    from PIL.Image import Image

    Picture = str | Path | Image | np.ndarray | DeviceFrame | bytes | bytearray | memoryview

__all__ = [
    "Encoder",
    "Frame",
    "Heatmap",
    "Vocab",
    "classify",
    "classify_into",
    "detect",
    "embed",
    "heatmap",
    "info",
    "load",
    "pack",
    "profile",
    "selftest",
    "to_frame",
]


class Frame(DeviceFrame):
    """As on the boards; open() takes any picture, and notebooks show it."""

    def __init__(
        self, buffer: Any, width: int, height: int, format: int | str, stride: int = 0
    ) -> None:
        view = memoryview(buffer)
        if view.format in ("e", "f", "d"):  # a view of several dimensions gives no item
            raise ValueError("a buffer of floats; give the pixels as uint8, 0 ... 255")
        if not view.c_contiguous:
            raise ValueError(
                "the pixels do not lie one after the other; numpy.ascontiguousarray() copies them"
            )
        if view.nbytes and (view.ndim, view.itemsize) != (1, 1):  # OpenCV's rows: (h, w, 3)
            buffer = view.cast("B")
        super().__init__(buffer, width, height, format, stride)

    @classmethod
    def open(cls, path: str | Path) -> Frame:
        """Any picture that Pillow reads, upright. ValueError or OSError if it is none."""
        return to_frame(Path(path))

    def _repr_png_(self) -> bytes:
        from .picture import png

        return png(_image(self))


class _Seen:
    """What was seen in a picture: a notebook shows the picture with it."""

    _picture: Picture | None = None  # as it was given: a file is opened again when it is shown
    _labels: Sequence[str] = ()

    def _drawn(self, scores=(), boxes=(), heat=None) -> bytes | None:
        """A PNG; None if the picture is no longer there."""
        from .annotate import annotate
        from .picture import png

        try:
            image = _image(self._picture)
        except (OSError, ValueError):
            return None
        return png(annotate(image, scores, boxes, self._labels, heat))


Found = TypeVar("Found", bound=_Seen)


def _seen(found: Found, picture: Picture, vocab: Vocab) -> Found:
    found._picture, found._labels = picture, tuple(vocab.labels)
    return found


class Scores(_Seen, list[tuple[str, float]]):
    """What classify() answers: a list; notebooks show the picture with it."""

    def _repr_png_(self) -> bytes | None:
        return self._drawn(scores=self)


class Boxes(_Seen, list[tuple[str, float, tuple[int, int, int, int]]]):
    """What detect() answers: a list; notebooks show the picture with the boxes."""

    def _repr_png_(self) -> bytes | None:
        return self._drawn(boxes=self)


class Heatmap(_Seen, DeviceHeatmap):
    """As on the boards; notebooks show it over the picture."""

    def _repr_png_(self) -> bytes | None:
        rows = [[max(value, 0) for value in row] for row in self]  # below 0 is worth no shade
        return self._drawn(heat=rows)


class Vocab(DeviceVocab):
    """As on the boards; the path may be a Path, and add() takes any picture."""

    def __init__(self, path: str | Path | bytes) -> None:
        if not isinstance(path, (str, os.PathLike, bytes, bytearray, memoryview)):
            raise TypeError(
                f"a Vocab is read from a .tvp file; tinyvlm.pack({path!r:.60}) makes one of words"
            )
        super().__init__(str(path) if isinstance(path, os.PathLike) else path)

    def add(self, label: str, picture: Picture) -> int:
        """Show it; again with other pictures to average them. Returns how often it was shown."""
        _loaded(self)
        return super().add(label, to_frame(picture))

    def save(self, path: str | Path | None = None) -> int:
        """Write a .tvp file, all or nothing; to where it came from if `path` is left out."""
        return write_atomic(self._place(path), b"".join(self._pieces()))

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle, which take no memoryview: the prototypes as bytes."""
        held = self._held
        whole = type(held)(list(held.labels), bytes(held.vectors), held.learnt, held.sums)
        return self.__dict__ | {"_held": whole}

    def _repr_html_(self) -> str:
        from html import escape

        from .words.background import said

        learnt = self._held.learnt
        rows = "".join(
            f"<tr><td>{escape(label)}<td>{learnt[i][0] or '' if i in learnt else ''}"
            for i, label in enumerate(self.labels[:MOST])
        )
        more = f"<p>... and {len(self) - MOST} more</p>" if len(self) > MOST else ""
        unknown = f"; unknown below {said(self.threshold)}" if self.threshold else ""
        return (
            f"<p>{escape(repr(self))}{unknown}</p>"
            f"<table><tr><th>label<th>times shown{rows}</table>{more}"
        )


def pack(
    words: Sequence[str],
    *,
    dim: int = 64,
    bits: int = 8,
    model: str | Path | None = None,
    unknown: str = "balanced",
    background: Sequence[str] = (),
    text_encoder: str | None = None,
) -> Vocab:
    """A vocabulary of words, as tinyvlm-pack makes it: pack(["cat", "dog: dog, puppy"], dim=64).

    words: what stands in the lines of a word list. model: the encoder that it is for, by name or
    file; the one that is loaded if left out. unknown: cautious, balanced, eager or off.
    background: words for what else the camera sees. text_encoder: as for tinyvlm-pack. Its
    save("pets.tvp") writes the board's file. ValueError says what is wrong with which word.
    """
    from .words import background as unknowns
    from .words import encoders, packing, tvp, vocabulary

    for name, value, known in (
        ("unknown", unknown, (*unknowns.KNOB, "off")),
        ("bits", bits, (8, 4)),
    ):
        if value not in known:
            raise ValueError(f"{name} {value!r}: use {', '.join(map(str, known))}")
    if model is None:
        model = getattr(device.encoder.default(), "path", DEFAULT_MODEL)
    made = packing.prepare(
        vocabulary.lines(words, "words"),
        Path(model_path(str(model))),
        dim=dim,
        text_encoder=text_encoder or encoders.default_text_encoder(),
        unknown=unknown,
        others=vocabulary.lines(background, "background") if background else None,
    )
    return Vocab(tvp.to_bytes(made.prototypes(dim, bits)))


def load(path: str | Path | None = None) -> Encoder:
    """Load the encoder that embed() and classify() use; without a path the one that ships.

    path: of a .tvlm file, or one of the names base, large, nano and max78000.
    """
    if path is None:
        path = DEFAULT_MODEL
    if isinstance(path, (str, os.PathLike)):
        path = str(model_path(str(path)))
    return device.load(path)


def embed(picture: Picture) -> array:
    """The embedding of a picture: array('b') of `dim` values; any prefix of it is one too."""
    return _loaded().embed_into(to_frame(picture), _new_embedding())


def classify(picture: Picture, vocab: Vocab, top: int = 3) -> Scores:
    """What is in the picture? A list of (label, score), best first, at most `top`.

    picture: path, PIL image, uint8 array (h, w, 3) or (h, w), tinyvlm.Frame, or a buffer of
    exactly the encoder's size. Uses the centred square, as the boards do. A notebook shows the
    picture with the list, which keeps what was given as `picture` for that.
    """
    return _seen(Scores(_loaded(vocab).classify(to_frame(picture), vocab, top)), picture, vocab)


def classify_into(picture: Picture, vocab: Vocab, scores: array) -> int:
    """Every label's probability into `scores`; returns the best one's index, -1 for unknown."""
    _loaded(vocab)
    return device.classify_into(to_frame(picture), vocab, scores)


def detect(picture: Picture, vocab: Vocab, threshold: float | None = None) -> Boxes:
    """What is in the picture, and where? A list of (label, score, (x, y, width, height)).

    Best first. A notebook shows the picture with the boxes.
    """
    _loaded(vocab)
    return _seen(Boxes(device.detect(to_frame(picture), vocab, threshold)), picture, vocab)


def heatmap(picture: Picture, label: str | int, vocab: Vocab) -> Heatmap:
    """How much of a label is where: a small grid, `h[row][column]`, that prints as a picture.

    A notebook shows it over the picture.
    """
    _loaded(vocab)
    found = device.heatmap(to_frame(picture), label, vocab)
    made = Heatmap(found.label, found.box, found.height, found.width, found.values)
    return _seen(made, picture, vocab)


def info() -> device.about.Info:
    """What runs here: encoder, where its weights live, arena. Print it."""
    _loaded()
    return device.info()


def profile(picture: Picture | None = None) -> device.about.Profile:
    """Run the encoder once and say what each layer costs, in us. Print it."""
    _loaded()
    return device.profile(None if picture is None else to_frame(picture))


def selftest() -> bool:
    """True, if this PC computes what the encoder's file says; RuntimeError if it does not."""
    _loaded()
    return device.selftest()


def to_frame(picture: Picture) -> Frame:
    """A Frame of any picture. ValueError or OSError says what cannot be read."""
    if isinstance(picture, (str, os.PathLike)):
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(picture) as image:
                return to_frame(image)
        except UnidentifiedImageError as error:
            raise ValueError(f"{picture}: not a picture that Pillow can read") from error
        except Image.DecompressionBombError:
            raise ValueError(f"{picture}: too many pixels; make it smaller first") from None
    if hasattr(picture, "convert") and hasattr(picture, "tobytes"):  # a PIL image
        from .picture import rgb

        image = rgb(picture)
        return Frame(image.tobytes(), image.width, image.height, RGB888)
    if hasattr(picture, "__array_interface__"):
        return _array_frame(picture)
    return picture  # a Frame or a buffer: the device package knows what to do


def _image(picture: Picture) -> Image:
    """A PIL image of any picture."""
    from PIL import Image

    from .net.intake import decode

    frame = to_frame(picture)
    if not isinstance(frame, DeviceFrame):
        frame = device.frame.as_frame(frame, _loaded().size)
    pixels = decode(frame.buffer, frame.width, frame.height, frame.format, frame.stride)
    return Image.fromarray(pixels)


def _array_frame(picture: np.ndarray) -> Frame:
    import numpy as np

    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8:
        raise ValueError(f"an array of {pixels.dtype}; give uint8 pixels, 0 ... 255")
    if pixels.ndim == 2:
        return Frame(pixels.tobytes(), pixels.shape[1], pixels.shape[0], device.GRAY8)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return Frame(pixels.tobytes(), pixels.shape[1], pixels.shape[0], RGB888)
    raise ValueError(f"an array of shape {pixels.shape}; give (h, w, 3) RGB or (h, w) gray")


MOST = 100  # labels that a notebook shows


def _loaded(vocab: DeviceVocab | None = None) -> Encoder:
    """The encoder that is loaded; else the one that ships for `vocab`, else the default one.

    ValueError if another one than the vocabulary's is loaded.
    """
    encoder, wanted = device.encoder.default(), getattr(vocab, "fingerprint", None)
    if encoder and wanted in (None, encoder.fingerprint):
        return encoder
    ships = encoder_for(wanted) if wanted else None
    if encoder and ships:
        raise ValueError(
            f"{vocab.path} was packed for encoder {ships.stem}, {encoder.name} is loaded; "
            f'tinyvlm.load("{ships.stem}") first, or pack the words again'
        )
    return encoder or load(ships)


def _new_embedding() -> array:
    from array import array

    return array("b", bytes(_loaded().dim))
