# SPDX-License-Identifier: MIT
"""From a word list to prototypes, for tinyvlm-pack and tinyvlm.pack() alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..net import tvlm
from . import background, tvp, vocabulary
from .encoders import create_text_encoder
from .prototypes import build, encode
from .space import TextEncoder, normalize


@dataclass(frozen=True)
class Packing:
    """Words with their unit vectors, for one encoder. notes: how each label got its vector.

    chosen: what was fitted for vocabularies of this size, None if nothing was. words, left_out:
    of the maker's own background, those that compete with the labels, and why others do not.
    """

    labels: list[str]
    vectors: np.ndarray
    notes: list[str]
    model: tvlm.Encoder
    text: TextEncoder
    prompts: tuple[str, ...]
    chosen: background.Background | None
    rows: np.ndarray | None
    words: list[str] = field(default_factory=list)
    rivals: np.ndarray | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    def prototypes(self, dim: int, bits: int = 8) -> tvp.Prototypes:
        """What the file holds, with `dim` dimensions of `bits` bits."""
        return build(
            self.labels,
            self.vectors,
            self.model,
            dim=dim,
            bits=bits,
            text_encoder=self.text.name,
            prompts=self.prompts,
            chosen=self.chosen,
            rivals=self.rivals,
            rows=self.rows,
        )


def prepare(
    entries: list[vocabulary.Entry],
    model: Path,
    *,
    dim: int,
    text_encoder: str,
    unknown: str = "balanced",
    prompts: tuple[str, ...] = (),
    others: list[vocabulary.Entry] | None = None,
    names: tuple[str, str] = ("words", "background"),
    option: str = "",
) -> Packing:
    """Encode a word list. ValueError says all that is wrong with it.

    model: the image encoder's file; others: background words of the maker's own. names: of the
    two lists, and option: what stands before an option's name, for messages.
    """
    encoder = tvlm.load(model)
    most = encoder.graph.shapes()[encoder.graph.embedding][2]
    if not 1 <= dim <= most:
        name = encoder.graph.info.get("name", "unnamed")
        raise ValueError(f"{option}dim {dim}: {name} has 1 ... {most} dimensions")
    text = create_text_encoder(text_encoder, model)
    vectors, notes = encode(entries, text, encoder, prompts, names[0])
    vectors, labels = normalize(vectors[:, :most]), [entry.label for entry in entries]
    chosen = background.find(model, encoder.fingerprint, len(labels), unknown)
    rows = chosen.rows(text, vectors, prompts)[1] if chosen else None
    made = Packing(labels, vectors, notes, encoder, text, prompts, chosen, rows)
    if not others:
        return made
    if unknown == "off":
        raise ValueError(f"{option}background needs unknown; leave out {option}unknown off")
    found, _ = encode(others, text, encoder, prompts, names[1])
    found, words = normalize(found[:, :most]), [entry.label for entry in others]
    left_out = background.left_out(labels, vectors, words, found)
    keep = [i for i, word in enumerate(words) if word not in left_out]
    return replace(made, words=[words[i] for i in keep], rivals=found[keep], left_out=left_out)
