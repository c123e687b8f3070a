# SPDX-License-Identifier: MIT
"""Regions of a Markdown page that a command writes, between two comments of the page."""

from __future__ import annotations

from pathlib import Path

from ..files import write_atomic


def replace(page: Path, begin: str, end: str, text: str) -> None:
    """Put text between the page's two comments. ValueError if they are not there, once."""
    head, tail = _around(page, begin, end)
    write_atomic(page, f"{head}{begin}\n{text}\n{end}{tail}".encode())


def between(page: Path, begin: str, end: str) -> str:
    """What stands between the page's two comments."""
    head, tail = _around(page, begin, end)
    text = page.read_text(encoding="utf-8")
    return text[len(head) + len(begin) : len(text) - len(tail) - len(end)].strip("\n")


def check(page: Path, begin: str, end: str) -> None:
    """ValueError or OSError if `replace` could not write into this page."""
    _around(page, begin, end)


def _around(page: Path, begin: str, end: str) -> tuple[str, str]:
    head, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, tail = rest.partition(end)
    if not first or not last or begin in rest or end in tail:
        raise ValueError(f"{page}: needs the lines {begin} and {end}, once each and in this order")
    return head, tail
