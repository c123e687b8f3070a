# SPDX-License-Identifier: MIT
"""Where things are that lie beside the code: encoders and lexicon that ship, the source tree."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.resolve().parents[1]  # the source tree, if this is no installed wheel
DATA = PACKAGE / "data"
DEFAULT_MODEL = DATA / "base.tvlm"  # the encoder that is used where none is named


def model_path(name: str) -> Path:
    """The file of an encoder: `name` itself, or base, nano, max78000 for those that ship."""
    shipped = DATA / f"{name}.tvlm"
    return shipped if Path(name).suffix != ".tvlm" and shipped.exists() else Path(name)
