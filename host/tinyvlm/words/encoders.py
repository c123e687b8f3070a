# SPDX-License-Identifier: MIT
"""Text encoders by name: `lexicon` needs numpy alone, `sentence` takes any English phrase with the
extra `words`, `open_clip:MODEL/TAG` runs a text tower.

The lexicon answers at once for the names that it has, `sentence` for all others; that is the
default where it is installed. All end in the same space, see space.py.
"""

from __future__ import annotations

from pathlib import Path

from ..shipped import DATA
from . import sentence
from .space import JOIN, TextEncoder, load_space, space_beside


def default_text_encoder() -> str:
    """`sentence` where its extra is installed, else `lexicon`."""
    return "sentence" if sentence.installed() else "lexicon"


def create_text_encoder(spec: str, model: Path | None = None) -> TextEncoder:
    """`lexicon`, `lexicon:FILE.npz`, `sentence`, `open_clip:MODEL/TAG`, or several of the last
    joined by `+`. ValueError if not one.

    model: the image encoder that the words are for; an open_clip tower takes the map beside it.
    """
    kind, _, rest = spec.partition(":")
    if kind == "lexicon":
        from .lexicon import Lexicon

        return Lexicon.load(Path(rest) if rest else DATA / "lexicon.npz")
    if spec == "sentence":
        return sentence.SentenceText.load()
    if kind == "open_clip" and "/" in rest:
        from .clip import OpenClipText

        first, *more = rest.split(JOIN)
        name, _, tag = first.partition("/")
        there = model is not None and space_beside(model).exists()
        space = load_space(space_beside(model)) if there else None
        return OpenClipText.create(name, tag, space, *more)
    raise ValueError(
        f"text encoder {spec!r}: use `lexicon`, `sentence` or `open_clip:MODEL/TAG`, "
        "for example open_clip:ViT-B-32/openai"
    )
