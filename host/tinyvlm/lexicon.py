# SPDX-License-Identifier: MIT
"""The offline text encoder: a table of words and short noun phrases with their vectors.

A phrase is looked up as written, then without articles, then in the singular. One that is not in
the table is *composed*: its head noun (the longest known ending) weighs most, known words before
it pull the vector their way. A phrase whose head is unknown is an error with suggestions.

File: an .npz with `names` (UTF-8, one a line), `vectors` int8 (n, dim), `centre` (teacher dim,),
`projection` (teacher dim, dim) and `space`, the name of the text space.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .text import Encoded, TextSpace, UnknownPhrase, normalize

HEAD_WEIGHT = 0.7  # a "red car" is a car first
ARTICLES = {"a", "an", "the", "my", "your", "our", "some", "of", "with", "and", "in", "on"}


@dataclass
class Lexicon:
    """Phrase -> vector by table and composition. `index` maps a name to its row."""

    index: dict[str, int]
    vectors: np.ndarray
    text_space: TextSpace
    name: str = "lexicon"

    @classmethod
    def load(cls, path: str | Path) -> Lexicon:
        """Read the table. ValueError if `path` is not a lexicon."""
        try:
            with np.load(path) as table:
                names = bytes(table["names"]).decode("utf-8").split("\n")
                space = TextSpace(
                    str(table["space"]),
                    table["centre"].astype(np.float32),
                    table["projection"].astype(np.float32),
                )
                vectors = table["vectors"]
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{path}: not a tinyvlm lexicon ({error})") from error
        return cls({name: row for row, name in enumerate(names)}, vectors, space)

    @property
    def space(self) -> str:
        """Name of the text space, to be compared with the encoder's."""
        return self.text_space.name

    def __len__(self) -> int:
        return len(self.index)

    def encode(self, phrase: str, prompts: tuple[str, ...] = ()) -> Encoded:
        """Vector of a phrase. The prompts are already in the table, so they are not used."""
        words = phrase.casefold().replace("_", " ").replace("-", " ").split()
        content = [word for word in words if word not in ARTICLES] or words
        for candidate in (words, content):
            if (name := self._lookup(candidate)) is not None:
                exact = name == phrase.casefold()
                return Encoded(self._row(name), "exact" if exact else f"exact ({name})")
        for start in range(1, len(content)):
            head = self._lookup(content[start:])
            if head is not None:
                return self._compose(content[:start], head)
        raise UnknownPhrase(f"{phrase!r} is not in the lexicon{self._suggest(phrase, content)}")

    def _compose(self, words: list[str], head: str) -> Encoded:
        known = [name for word in words if (name := self._lookup([word])) is not None]
        ignored = [word for word in words if self._lookup([word]) is None]
        note = f"composed of {' + '.join([*known, head])}"
        if ignored:
            note += f", without {', '.join(ignored)}"
        vector = self._row(head)
        if known:
            side = normalize(np.mean([self._row(name) for name in known], axis=0))
            vector = normalize(HEAD_WEIGHT * vector + (1 - HEAD_WEIGHT) * side)
        return Encoded(vector, note)

    def _lookup(self, words: list[str]) -> str | None:
        """The table's name for these words: as they are, or with the last one in the singular."""
        if not words:
            return None
        for last in (words[-1], *_singulars(words[-1])):
            name = " ".join([*words[:-1], last])
            for spelling in (name, name.replace(" ", "-"), name.replace(" ", "")):
                if spelling in self.index:
                    return spelling
        return None

    def _row(self, name: str) -> np.ndarray:
        return normalize(self.vectors[self.index[name]].astype(np.float32))

    def _suggest(self, phrase: str, words: list[str]) -> str:
        near = difflib.get_close_matches(phrase.casefold(), self.index, 3, 0.75)
        near += difflib.get_close_matches(words[-1], self.index, 3, 0.75)
        near = list(dict.fromkeys(near))[:4]
        if near:
            return f"; did you mean {', '.join(near)}?"
        return "; write `label: other words for it`, or use --text-encoder open_clip:..."


def _singulars(word: str) -> list[str]:
    """Guesses at the singular of an English noun, likeliest first."""
    if not word.endswith("s") or word.endswith("ss") or len(word) < 4:
        return []
    guesses = [word[:-1]]
    if word.endswith("ies"):
        guesses.insert(0, word[:-3] + "y")
    elif word.endswith("ves"):
        guesses += [word[:-3] + "f", word[:-3] + "fe"]
    if word.endswith("es"):
        guesses.append(word[:-2])
    return guesses
