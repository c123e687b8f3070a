# SPDX-License-Identifier: MIT
"""Prototypes: from the phrases of a word list to the quantized vectors of a .tvp file."""

from __future__ import annotations

import hashlib
import re

import numpy as np

from ..net import tvlm
from ..shipped import DEFAULT_DIM, extra
from . import background, tvp, vocabulary
from .lexicon import Lexicon
from .space import TextEncoder, UnknownPhrase, normalize

KNOWN = ("exact", "ensemble")  # kinds of the lexicon's vectors that are CLIP's own


def encode(
    entries: list[vocabulary.Entry],
    encoder: TextEncoder,
    model: tvlm.Encoder,
    prompts: tuple[str, ...] = (),
    name: str = "vocabulary",
) -> tuple[np.ndarray, list[str]]:
    """Unit vectors (entries, dim) and, per label, how its vector came about.

    A label's vector is the normalized mean of its phrases' vectors. ValueError if text encoder and
    image encoder do not share a space, or with all labels that cannot be encoded and their lines.
    """
    info = model.graph.info
    if encoder.space != info.get("text_space"):
        raise ValueError(
            f"{info.get('name')} was trained with another CLIP than {encoder.name} has "
            f"({info.get('text_space')}, not {encoder.space}); add --text-encoder "
            f"{info.get('text_encoder', 'lexicon:FILE.npz')}, or name another --model"
        )
    vectors, notes, problems = [], [], []
    for entry in entries:
        try:
            encoded = [encoder.encode(phrase, prompts) for phrase in entry.phrases]
        except UnknownPhrase as error:
            problems.append(f"{name}:{entry.line}: {error}")
            if len(problems) == vocabulary.MAX_PROBLEMS:  # looking for what was meant takes time
                problems.append("... and perhaps more")
                break
            continue
        vectors.append(normalize(np.mean([e.vector for e in encoded], axis=0)))
        notes.append(origin([e.how for e in encoded]))
    if problems:
        hint = "the lexicon is English; `Katze: cat` shows Katze and looks up cat"
        if isinstance(encoder, Lexicon):
            hint += f"; every English phrase is known after {extra('words')}"
        raise ValueError("\n".join([*problems, hint]))
    return np.stack(vectors), notes


def origin(hows: list[str]) -> str:
    """Where a label's vector comes from: "exact", or "3 phrases known, 1 estimated"."""
    if len(hows) == 1:
        return hows[0]
    known = sum(how in KNOWN for how in hows)
    parts = [f"{vocabulary.plural(known, 'phrase')} known"] if known else []
    if estimated := sum(how == "estimated" for how in hows):
        parts.append(f"{estimated} estimated")
    return ", ".join([*parts, *(how for how in hows if how not in (*KNOWN, "estimated"))])


def is_known(origin: str) -> bool:
    """Is nothing in it estimated, composed or found under another name?"""
    return origin in KNOWN or re.fullmatch(r"\d+ phrases? known", origin) is not None


def may_be_error(origin: str) -> bool:
    """Was a word ignored, or is another one likelier meant?"""
    return "did you mean" in origin or "not known and ignored" in origin


def build(
    labels: list[str],
    vectors: np.ndarray,
    model: tvlm.Encoder,
    *,
    dim: int = DEFAULT_DIM,
    bits: int = 8,
    text_encoder: str = "",
    prompts: tuple[str, ...] = (),
    chosen: background.Background | None = None,
    rivals: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> tvp.Prototypes:
    """Prototypes for labels: vectors (labels, any) cut to `dim` dimensions and quantized.

    chosen: scale, threshold, none and gains, made on photos; without it the scale is that of
    training, no threshold is set, and all words have the same gain. The first three are there
    for smaller prefixes, too, which the board may use.
    rivals, rows: background vectors (any count, any): that compete with the labels; that heat is
    seen against.
    """
    info = model.graph.info

    def at(dim: int) -> tuple[float, float]:
        if chosen:
            return chosen.scale_at(dim), chosen.threshold_at(dim)
        return logit_scale(info, dim), 0.0

    known = chosen.dims if chosen else map(int, info.get("logit_scale", ()))
    dims = [*(d for d in sorted(known) if d < dim), dim]
    scale, threshold = at(dim)
    none = [chosen.none_at(d) for d in dims] if chosen and chosen.none_at(dim) is not None else []
    gains = chosen.gains(vectors) if chosen else ()
    more = [part for part in (rivals, rows) if part is not None]
    both = np.concatenate([vectors, *more]) if more else vectors
    return tvp.Prototypes(
        labels=labels,
        vectors=tvp.quantize(both[:, :dim], bits),
        fingerprint=model.fingerprint,
        encoder=info.get("name", "unnamed"),
        text_encoder=text_encoder,
        prompt=_said(prompts),
        bits=bits,
        logit_scale=scale,
        threshold=threshold,
        background=len(both) - len(vectors),
        prefixes=[(d, *at(d)) for d in dims[:-1]],
        none=none,
        rivals=0 if rivals is None else len(rivals),
        learnt={i: (0, tvp.WORD, float(x)) for i, x in enumerate(gains) if x != 1},
    )


def _said(prompts: tuple[str, ...]) -> str:
    """The prompts as one string of a `.tvp`: if they are too long, how many and which."""
    text = " | ".join(prompts)
    if len(text.encode()) <= tvp.MAX_TEXT:
        return text
    return f"{len(prompts)} prompts, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def logit_scale(info: dict, dim: int) -> float:
    """The factor on cosines that training found for `dim` dimensions, or between two it tried."""
    known = {int(key): value for key, value in info.get("logit_scale", {}).items()} or {64: 20.0}
    return background.interpolate(known, dim)
