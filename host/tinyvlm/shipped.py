# SPDX-License-Identifier: MIT
"""Where things are that lie beside the code: encoders and lexicon that ship, the source tree."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.resolve().parents[1]  # the source tree, if this is no installed wheel
DATA = PACKAGE / "data"
EXAMPLES = PACKAGE / "examples"  # programs for boards: a link to device/examples
ENCODERS = ("base", "large", "nano", "max78000")  # those that ship
DEFAULT_MODEL = DATA / "base.tvlm"  # the encoder that is used where none is named
DEFAULT_DIM = 64  # the dimensions of a vocabulary where none are named


def model_path(name: str) -> Path:
    """The file of an encoder: `name` itself, or that of one of ENCODERS."""
    shipped = DATA / f"{name}.tvlm"
    return shipped if Path(name).suffix != ".tvlm" and shipped.exists() else Path(name)


def encoder_for(fingerprint: bytes) -> Path | None:
    """The file of the encoder that ships and has this fingerprint, which lies at byte 16 of it."""
    for path in map(model_path, ENCODERS):
        with open(path, "rb") as file:
            if file.read(24)[16:] == fingerprint:
                return path
    return None


def extra(name: str) -> str:
    """The line that installs an extra of this package, which is in no index: never by its name."""
    if (CHECKOUT / "pyproject.toml").is_file():
        here = "." if Path.cwd() == CHECKOUT else CHECKOUT
        return f"pip install -e '{here}[{name}]'"
    from importlib.metadata import PackageNotFoundError, requires

    mark = f'extra == "{name}"'
    try:
        every = [line.partition(";") for line in requires("tinyvlm") or []]
    except PackageNotFoundError:
        every = []
    wanted = [f"'{what.strip()}'" for what, _, when in every if when.strip() == mark]
    return " ".join(["pip install", *wanted])
