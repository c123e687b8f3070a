# SPDX-License-Identifier: MIT
"""The word list a maker writes: one label a line.

    # pets.txt
    cat
    dog: dog, puppy          <- shown as "dog", looked up as both phrases, averaged
    Meerschweinchen: guinea pig

Empty lines and everything after a `#` are ignored. Without a colon the label is its own phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .tvp import MAGIC, MAX_LABELS, MAX_TEXT

MAX_PHRASE = 1000  # bytes: no text encoder reads that much
MAX_PHRASES = 1000  # of a label
MAX_PROBLEMS = 100  # that are told
UNKNOWN = "unknown"  # what a frame is called that shows none of the labels
UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))  # soft hyphen, spaces of no width


@dataclass(frozen=True)
class Entry:
    """One label with the phrases that describe it, and the line it came from (from 1)."""

    label: str
    phrases: tuple[str, ...]
    line: int


class VocabularyError(ValueError):
    """All that is wrong with a list, one `file:line: sentence` per line of the message."""


def parse(raw: bytes, name: str = "vocabulary") -> list[Entry]:
    """Parse the bytes of a word list. VocabularyError lists every bad line by number."""
    if raw.startswith(MAGIC):
        raise VocabularyError(f"{name}: packed already; give the word list it was made from")
    if b"\0" in raw:  # UTF-16, or no text at all
        raise VocabularyError(f"{name}: not UTF-8; save the list as UTF-8 text")
    entries: list[Entry] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            problems.append(f"{name}:{number}: not UTF-8; save the list as UTF-8 text")
            continue
        text = unicodedata.normalize("NFC", text.split("#", 1)[0].translate(UNSEEN)).strip()
        if not text:
            continue
        problem = _problem(text)
        if problem is None:
            label, phrases = _split(text)
            key = _key(label)
            if key in seen:
                problem = f"{label!r} stands in line {seen[key]} already; remove one"
            elif len(entries) == MAX_LABELS:
                problem = f"more than {MAX_LABELS} labels, the most that fit into a file"
        if problem:
            problems.append(f"{name}:{number}: {problem}")
            if len(problems) == MAX_PROBLEMS or len(entries) == MAX_LABELS:
                break
            continue
        seen[key] = number
        entries.append(Entry(label, phrases, number))
    if not entries and not problems:
        problems.append(f"{name}: no labels in it; write one word or phrase a line")
    if problems:
        raise VocabularyError("\n".join(problems))
    return entries


def read(path: str | Path) -> list[Entry]:
    """Read and parse the word list at `path`."""
    return parse(Path(path).read_bytes(), str(path))


def plural(count: int, noun: str) -> str:
    """ "1 label", "2 labels"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _key(label: str) -> str:
    """Equal for labels that look equal: joiners and marks of direction are not seen either."""
    text = unicodedata.normalize("NFKC", label).casefold()
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def lines(words: Sequence[str], name: str) -> list[Entry]:
    """The same from Python: each word is what would stand in a line of the list."""
    if isinstance(words, (str, bytes, Mapping)):  # of the last, the keys alone would be taken
        example = '["cat", "dog: puppy"]'
        raise VocabularyError(f"{name}: give a list, such as {example}, not {words!r:.60}")
    for word in (words := list(words)):
        good = isinstance(word, str) and word.strip() and word.splitlines() == [word]
        if not good or word != word.encode(errors="ignore").decode():  # half a surrogate pair
            raise VocabularyError(f"{name}: {word!r:.60} is no word or phrase")
    return parse("\n".join(words).encode(), name)


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    label, colon, rest = text.partition(":")
    label = " ".join(label.split())
    if not colon:
        return label, (label,)
    phrases = (" ".join(phrase.split()) for phrase in rest.split(","))
    return label, tuple(dict.fromkeys(p for p in phrases if p))


def _problem(text: str) -> str | None:
    pieces = re.split("[:,]", text)
    if len(pieces) > MAX_PHRASES + 1 or max(map(len, pieces)) > MAX_PHRASE:
        return f"at most {MAX_PHRASES} phrases of {MAX_PHRASE} letters are possible in a line"
    label, phrases = _split(text)
    if not label:
        return "no label before the colon; write `label: phrase, phrase`"
    if not phrases:
        return f"{label!r} has no phrase after the colon; write `{label}: phrase, phrase`"
    if ":" in text.partition(":")[2]:
        return "two colons; write `label: phrase, phrase`"
    if ":" not in text and "," in text:
        words = [word for part in text.split(",") if (word := " ".join(part.split()))]
        lines = " / ".join(words)
        return f"several labels in a line? write {lines} in {len(words)} lines, or `label: {text}`"
    if _key(label) == UNKNOWN:
        return f"{label!r} is what a frame is called that shows none of the labels; rename it"
    for phrase in phrases:
        if not any(c.isalnum() for c in phrase):
            return f"{phrase!r} has no letters; write `{label}: other words for it`"
    if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in text):
        return "a control character; is this a text file?"
    if len(label.encode()) > MAX_TEXT:
        return f"the label has {len(label.encode())} bytes, at most {MAX_TEXT} fit"
    return None
