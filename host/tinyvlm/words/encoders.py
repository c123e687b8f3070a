# SPDX-License-Identifier: MIT
"""Text encoders by name: `lexicon` needs numpy alone, `open_clip:MODEL/TAG` runs a text tower.

The lexicon is the default and answers at once. Both end in the same space, see space.py.
"""

from __future__ import annotations

from pathlib import Path

from ..shipped import DATA
from .space import TextEncoder, load_space, space_beside


def create_text_encoder(spec: str, model: Path | None = None) -> TextEncoder:
    """`lexicon`, `lexicon:FILE.npz` or `open_clip:MODEL/TAG`. ValueError for anything else.

    model: the image encoder that the words are for; an open_clip tower takes the map beside it.
    """
    kind, _, rest = spec.partition(":")
    if kind == "lexicon":
        from .lexicon import Lexicon

        return Lexicon.load(Path(rest) if rest else DATA / "lexicon.npz")
    if kind == "open_clip" and "/" in rest:
        from .clip import OpenClipText

        name, _, tag = rest.partition("/")
        there = model is not None and space_beside(model).exists()
        return OpenClipText.create(name, tag, load_space(space_beside(model)) if there else None)
    raise ValueError(
        f"text encoder {spec!r}: use `lexicon` or `open_clip:MODEL/TAG`, "
        "for example open_clip:ViT-B-32/openai"
    )
