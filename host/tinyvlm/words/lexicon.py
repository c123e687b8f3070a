# SPDX-License-Identifier: MIT
"""The offline text encoder: a table of words and short noun phrases with their vectors.

A phrase is looked up as written, then without articles, then in the singular, then without minding
where words are joined (lawnmower, lawn-mower).  One that is not in the table is *composed*: the
mean of the longest names in it, all alike, which is nearer to CLIP's own vectors than any weight
on the last noun (tinyvlm.train.lexicon.composition measures it).  Unknown words are ignored and
named; a phrase whose last word is unknown is an error with suggestions.

File: an .npz with `names` (UTF-8, one a line), `kinds` uint8 (n,) as numbered in KINDS, `vectors`
int8 (n, dim), `centre` (teacher dim,), `projection` (teacher dim, dim) and `space`, the name of
the text space.  tinyvlm.train.lexicon makes it.
"""

from __future__ import annotations

import difflib
import heapq
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .space import Encoded, TextMap, UnknownPhrase, normalize

# Where a name's vector comes from: the teacher's own for just this name; its own from several
# prompts, moved to where single prompts lie; or a regression from a sentence encoder.
KINDS = ("exact", "ensemble", "estimated")
LONGEST = 4  # words of a name: no table has longer ones
# Words that no picture shows; they are left out before a phrase is taken apart.
ARTICLES = set(
    "a an the my your our his her its their this that some of with and in on at by to for from"
    " is are".split()
)
IRREGULAR = {  # ending of the plural -> of the singular: firemen, grandchildren, dormice
    "men": "man",
    "people": "person",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "oxen": "ox",
    "cacti": "cactus",
    "fungi": "fungus",
    "larvae": "larva",
}


def canonical(name: str) -> str:
    """'Computer_Keyboard ' -> 'computer keyboard': the form in which names are compared."""
    name = name.casefold().replace("_", " ").replace("-", " ").replace("’", "'")
    return " ".join(re.sub(r"[()]", " ", name).split())


def singulars(name: str) -> list[str]:
    """Guesses at the singular of an English noun, or of a phrase's last word, likeliest first."""
    guesses = [
        name.removesuffix(many) + one for many, one in IRREGULAR.items() if name.endswith(many)
    ]
    if len(name) < 3 or not name.endswith("s") or name.endswith("ss"):
        return guesses
    if name.endswith("ves"):  # leaves, knives; gloves need the rule below
        guesses += [name[:-3] + "f", name[:-3] + "fe"]
    guesses.append(name[:-1])
    if name.endswith("ies"):
        guesses.append(name[:-3] + "y")
    elif name.endswith("es"):
        guesses.append(name[:-2])
    return guesses


def squeeze(name: str) -> str:
    """The name without what is written in different ways: "rubik's cube" -> "rubikscube"."""
    return name.replace(" ", "").replace("'", "").replace(".", "")


@dataclass
class Lexicon:
    """Phrase -> vector by table and composition. `index` maps a name to its row."""

    index: dict[str, int]
    kinds: np.ndarray
    vectors: np.ndarray
    text_space: TextMap
    name: str = "lexicon"

    @classmethod
    def load(cls, path: str | Path) -> Lexicon:
        """Read the table. ValueError if `path` is not a lexicon, or only a part of one."""
        try:
            with np.load(path) as table:
                names = bytes(table["names"]).decode("utf-8").split("\n")
                space = TextMap(
                    str(table["space"]),
                    table["centre"].astype(np.float32),
                    table["projection"].astype(np.float32),
                )
                kinds, vectors = table["kinds"], table["vectors"]
                if not len(names) == len(kinds) == len(vectors):
                    raise ValueError("names, kinds and vectors differ in length")
                known = kinds.dtype == np.uint8 and kinds.ndim == 1 and kinds.max() < len(KINDS)
                if not known:
                    raise ValueError(f"its kinds are not 0 to {len(KINDS) - 1}, one a name")
        except FileNotFoundError:
            raise
        # zipfile's and zlib's own come from a half-written file, TypeError from a bare array
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as e:
            raise ValueError(f"{path}: damaged or not complete ({e}); copy it again") from e
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            raise ValueError(f"{path}: not a tinyvlm lexicon ({error})") from error
        return cls({name: row for row, name in enumerate(names)}, kinds, vectors, space)

    @property
    def space(self) -> str:
        """Name of the text space, to be compared with the encoder's."""
        return self.text_space.name

    def __len__(self) -> int:
        return len(self.index)

    def kind(self, name: str) -> str:
        """One of KINDS. KeyError if the name is not in the table."""
        return KINDS[self.kinds[self.index[name]]]

    def encode(self, phrase: str, prompts: tuple[str, ...] = ()) -> Encoded:
        """Vector of a phrase. The prompts are already in the table, so they are not used."""
        if (known := self.known(phrase)) is not None:
            return known
        words, content = self._split(phrase)
        names, ignored = self._parts(content)
        if names and content[-1] not in ignored:
            return self._compose(names, ignored)
        raise UnknownPhrase(f"{phrase!r} is not in the lexicon{self._suggest(words, content)}")

    def known(self, phrase: str) -> Encoded | None:
        """Vector of a phrase that is in the table, under this spelling or a like one."""
        # Words are joined only when nothing else helps: "a corn" is no acorn.
        for joined in (False, True):
            for candidate in self._split(phrase):
                if (name := self._lookup(candidate, joined)) is not None:
                    how = self.kind(name)
                    same = name == phrase.casefold()
                    return Encoded(self._row(name), how if same else f"{how} ({name})")
        return None

    @staticmethod
    def _split(phrase: str) -> tuple[list[str], list[str]]:
        words = canonical(phrase).split()
        return words, [word for word in words if word not in ARTICLES] or words

    def _parts(self, words: list[str]) -> tuple[list[str], list[str]]:
        """The longest names of the table in a phrase, from its begin; and the words in none. Each
        once."""
        names, ignored, at = [], [], 0
        while at < len(words):
            ends = range(min(len(words), at + LONGEST), at, -1)
            tries = ((joined, end) for joined in (False, True) for end in ends)
            found = ((self._lookup(words[at:end], joined), end) for joined, end in tries)
            name, end = next((pair for pair in found if pair[0]), (None, at + 1))
            if name is None:
                ignored.append(words[at])
            else:
                names.append(name)
            at = end
        return list(dict.fromkeys(names)), list(dict.fromkeys(ignored))

    def _compose(self, names: list[str], ignored: list[str]) -> Encoded:
        note = f"composed of {' + '.join(names)}" if len(names) > 1 else f"using {names[0]!r}"
        if ignored:
            words = " and ".join(map(repr, ignored))
            verb = "is" if len(ignored) == 1 else "are"
            note = f"{words} {verb} not known and ignored; {note}"
        return Encoded(normalize(np.sum([self._row(name) for name in names], axis=0)), note)

    def _lookup(self, words: list[str], joined: bool = False) -> str | None:
        """The table's name for these words: as they are, or with the last one in the singular."""
        name = " ".join(words)
        for form in (name, *singulars(name)):
            found = self._squeezed.get(squeeze(form)) if joined else form
            if found in self.index:
                return found
        return None

    @cached_property
    def _squeezed(self) -> dict[str, str]:
        return {squeeze(name): name for name in self.index}

    def _row(self, name: str) -> np.ndarray:
        return normalize(self.vectors[self.index[name]].astype(np.float32))

    def _suggest(self, words: list[str], content: list[str]) -> str:
        known = [name for word in content if (name := self._lookup([word])) is not None]
        asked = dict.fromkeys([" ".join(words), *content[-1:]])  # a single word is both
        alike = dict.fromkeys(known + [name for word in asked for name in self.near(word)])
        if alike:
            return f"; did you mean {', '.join(list(alike)[:4])}?"
        return "; write `label: other words for it`, or use --text-encoder sentence"

    def near(self, word: str, count: int = 3) -> list[str]:
        """Names spelled like `word`. The exact comparison is slow: it gets the 100 names with
        the most pairs of letters in common."""
        pairs = {word[i : i + 2] for i in range(len(word) - 1)}

        def common(name: str) -> float:
            return sum(pair in name for pair in pairs) - abs(len(name) - len(word)) / 2

        return difflib.get_close_matches(
            word, heapq.nlargest(100, self.index, key=common), count, 0.75
        )
