# SPDX-License-Identifier: MIT
"""What a board answers with one `.tvp` to labelled sets of photos: tinyvlm-eval --vocab pets.tvp.

Photos of classes that are no label of the vocabulary show none of them: "unknown" is right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..net import tvlm
from ..words import tvp
from .answers import Answers, ask, rates
from .eval_naming import embed, identity
from .eval_sets import Labels
from .eval_table import markdown
from .sorted_photos import match

PAIRS = 20  # mistakes in the JSON


def evaluate(
    p: tvp.Prototypes, vocab: Path, file: Path, encoder: tvlm.Encoder, labels: Labels, workers: int
) -> dict:
    """All that is measured of one vocabulary on one set, as JSON has it.

    ValueError if no class of the set is a label of the vocabulary.
    """
    number = {name: i for i, name in enumerate(p.labels)} | {
        "": len(p.labels),
        None: len(p.labels),
    }
    target = {name: number[match(name, p.labels)] for name in labels.classes}
    if min(target.values(), default=len(p.labels)) == len(p.labels):
        raise ValueError(
            f"{labels.name}: no class of it is a label of {vocab.name}; it has "
            f"{', '.join(labels.classes[:5])}{', ...' if len(labels.classes) > 5 else ''}"
        )
    seen, skipped = embed(file, labels, {}, labels.classes, workers)
    embeddings = np.stack([found.embedding for found in seen])
    answers = ask(p, embeddings, np.array([target[found.name] for found in seen]))
    found = rates(answers)
    cent = {name: round(value, 2) for name, value in found.cent().items()}
    return identity(file, encoder, labels) | {
        "vocabulary": vocab.name,
        "labels": len(p.labels),
        "dim": p.dim,
        "threshold": round(p.threshold, 3),
        "photos": found.shown,
        **cent,
        "none": found.none,
        "named": cent["named"] if found.none else None,
        "skipped": skipped,
        "mistakes": mistakes(answers),
    }


def mistakes(answers: Answers) -> list[dict]:
    """What photos show, what they were called, how many of how many; the most frequent first."""
    counts, none = answers.matrix(), len(answers.labels)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(i), none + 1) for i in order if counts.flat[i]]
    return [
        {
            "shows": answers.labels[a] if a < none else "none of them",
            "called": answers.name(b),
            "photos": int(counts[a, b]),
            "of": int(totals[a]),
        }
        for a, b in pairs
    ]


def table(found: list[dict]) -> str:
    """A line a set; per cent of the photos that show a label, and of those that show none."""
    lines = [["set", "photos", "right", "unknown", "wrong", "show none", "of these named"]]
    for at in found:
        named = "" if at["named"] is None else f"{at['named']:.1f}"
        shares = (f"{at[key]:.1f}" for key in ("right", "unknown", "wrong"))
        lines.append([at["set"], f"{at['photos']:,}", *shares, f"{at['none']:,}", named])
    at = found[0]
    title = (
        f"{at['vocabulary']}, {at['labels']} labels at {at['dim']} dimensions, encoder "
        f"{at['encoder']} ({at['fingerprint']}); what the board answers, per cent:"
    )
    return f"{title}\n\n{markdown(lines)}"


def mistake_lines(found: list[dict], most: int = 5) -> str:
    """The most frequent mistakes of each set."""
    return "\n".join(
        f"{at['set']}: "
        + ", ".join(
            f"{pair['shows']} called {pair['called']} ({pair['photos']} of {pair['of']})"
            for pair in at["mistakes"][:most]
        )
        for at in found
        if at["mistakes"]
    )
