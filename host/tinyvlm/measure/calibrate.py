# SPDX-License-Identifier: MIT
"""How often is a frame named that shows none of the labels? Random vocabularies on real photos.

A trial is a vocabulary of a few random classes and frames of which every second one shows none
of them. The right answer to a frame is its label, or "unknown"; the scores are to be probabilities
of just these answers, so scales are fitted by maximum likelihood. Choices are made on
one half of the classes and measured on the other half.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ..shipped import DATA
from ..train import labels as known
from ..words.lexicon import Lexicon
from ..words.lint import prefixes
from ..words.prototypes import logit_scale
from ..words.space import normalize
from .held_out import SIZES, Photos

ROWS = (4, 8, 16)  # background words that are tried: 16 are 1 KB at 64 dimensions
MARGINS = (0.3, 0.5, 0.7)
ENOUGH = 0.005  # less right than the best by this share is as good: fewer words, lower threshold
TRIALS, FRAMES = 200, 40
SCALES = np.geomspace(3, 60, 40)
LIMITS = np.linspace(0, 1, 101)  # thresholds
BINS = 15  # of the calibration error
FLOOR = -8.0  # natural logarithm: no single frame decides a choice


def central_words(lexicon: Lexicon, count: int, steps: int = 20) -> list[str]:
    """`count` words, one in each region of the lexicon: nearest to the centres of k-means.

    Only words whose vectors are the teacher's own: they are the common ones, too.
    """
    names = [name for name in lexicon.index if lexicon.kind(name) == "exact"]
    rows = normalize(lexicon.vectors[[lexicon.index[n] for n in names]].astype(np.float32))
    some = rows[:: max(1, len(rows) // 6000)]
    centres = [some[0]]  # each next one where the others are farthest: no chance in it
    while len(centres) < count:
        centres.append(some[(some @ np.stack(centres).T).max(axis=1).argmin()])
    centres = np.stack(centres)
    for _ in range(steps):
        nearest = (some @ centres.T).argmax(axis=1)
        for k in np.unique(nearest):
            centres[k] = normalize(some[nearest == k].sum(axis=0))
    return list(dict.fromkeys(names[k] for k in (rows @ centres.T).argmax(axis=0)))


# -- trials -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trials:
    """Vocabularies of one size: classes (t, n); photos (t, m); right (t, m), n: none of them."""

    classes: np.ndarray
    photos: np.ndarray
    right: np.ndarray


def draw(photos: Photos, half: int, size: int, seed: int = 1) -> Trials:
    """Random vocabularies of classes of one half. A frame's class is drawn before its photo.

    Half of the labels, if there are as many, are words that the encoder never saw in training.
    """
    rng = np.random.default_rng((seed, half, size))
    mine = [i for i, name in enumerate(photos.classes) if zlib.crc32(name.encode()) % 2 == half]
    new = [i for i in mine if known.held_out(photos.classes[i])]
    count = min(size // 2 + 1, len(new))
    of = {i: np.flatnonzero(photos.label == i) for i in mine}
    trials = []
    while len(trials) < TRIALS:
        some = rng.choice(new, rng.integers(max(count - 1, 0), count + 1), replace=False)
        rest = rng.choice(np.setdiff1d(mine, new), size - len(some), replace=False)
        ids = np.append(some, rest).astype(int)
        if photos.ignore[np.ix_(ids, ids)].any():
            continue
        others = [i for i in mine if i not in ids and not photos.ignore[i, ids].any()]
        right = np.append(rng.integers(0, size, FRAMES // 2), [size] * (FRAMES // 2))
        shown = [ids[k] if k < size else rng.choice(others) for k in right]
        trials.append((ids, [rng.choice(of[i]) for i in shown], right))
    return Trials(*(np.array(part) for part in zip(*trials, strict=True)))


class Scores:
    """Cosines of all frames of some trials: with the labels, and with background words."""

    def __init__(self, photos: Photos, trials: Trials, words: np.ndarray, margin: float, dim: int):
        z = normalize(photos.embeddings[:, :dim].astype(np.float32))
        own = z @ normalize(photos.vectors[:, :dim]).T
        self.size = trials.classes.shape[1]
        self.right = trials.right.reshape(-1)
        frames = trials.photos[:, :, None]
        self.labels = own[frames, trials.classes[:, None]].reshape(-1, self.size)
        near = photos.vectors[trials.classes] @ words.T if len(words) else np.zeros((1, 1, 0))
        far = near.max(axis=1) < margin  # (t, words)
        cosines = z @ normalize(words[:, :dim]).T if len(words) else np.zeros((len(z), 0))
        cosines = np.where(far[:, None], cosines[trials.photos], -np.inf)
        self.background = cosines.reshape(len(self.right), cosines.shape[-1])

    def probabilities(self, scale: float) -> np.ndarray:
        """(frames, labels + 1): of each label, and of none."""
        labels, background = np.exp(scale * self.labels), np.exp(scale * self.background)
        both = np.concatenate([labels, background.sum(axis=1, keepdims=True)], axis=1)
        return both / both.sum(axis=1, keepdims=True)

    def loss(self, scale: float) -> float:
        """Mean negative log-likelihood of the right answers."""
        p = self.probabilities(scale)[np.arange(len(self.right)), self.right]
        return float(-np.maximum(np.log(np.maximum(p, 1e-30)), FLOOR).mean())


def fit_scale(scores: Scores) -> float:
    """The scale that makes the right answers likeliest."""
    return min((scores.loss(scale), float(scale)) for scale in SCALES)[1]


def rates(scores: Scores, scale: float) -> dict[str, np.ndarray]:
    """By threshold (LIMITS), shares: right answers of all frames; false_accept: named a label,
    of frames that show none; false_reject: not named any, of frames that show one.
    """
    p = scores.probabilities(scale)[:, : scores.size]
    best, top = p.argmax(axis=1), p.max(axis=1)
    nearest = scores.labels.max(axis=1) >= scores.background.max(axis=1, initial=-np.inf)
    named = (top[None] >= LIMITS[:, None]) & nearest  # as Vocab.match() has it
    shows = scores.right < scores.size
    right = np.where(shows, named & (best == scores.right), ~named)
    return {
        "right": right.mean(axis=1),
        "false_accept": named[:, ~shows].mean(axis=1),
        "false_reject": (~named[:, shows]).mean(axis=1),
    }


def calibration_error(scores: Scores, scale: float) -> float:
    """Expected calibration error of the best label's score: mean |score - share right| in bins."""
    p = scores.probabilities(scale)[:, : scores.size]
    top, right = p.max(axis=1), p.argmax(axis=1) == scores.right
    place = np.minimum((top * BINS).astype(int), BINS - 1)
    weight = np.bincount(place, minlength=BINS) / len(top)
    count = np.maximum(np.bincount(place, minlength=BINS), 1)
    gap = np.bincount(place, top - right, BINS) / count
    return float((weight * np.abs(gap)).sum())


# -- choosing ---------------------------------------------------------------------------------


def choose(photos: Photos, dim: int = 64) -> dict:
    """By size of the vocabulary: words, margin, and by prefix scale and threshold, with what they
    reach. That is the JSON. Words and margin are chosen at prefix `dim`.
    """
    lexicon, info = Lexicon.load(DATA / "lexicon.npz"), photos.model.graph.info
    most = photos.vectors.shape[1]
    dim = min(dim, most)
    sets = []
    for count in ROWS:
        words = central_words(lexicon, count)
        rows = np.array([lexicon.encode(word).vector for word in words], np.float32)
        sets += [(words, rows, margin) for margin in MARGINS]
    sizes = {}
    for size in SIZES:
        fit, check = (draw(photos, half, size) for half in (0, 1))
        tried = []
        for _, rows, margin in sets:
            scores = Scores(photos, fit, rows, margin, dim)
            tried.append(float(rates(scores, fit_scale(scores))["right"].max()))
        # the first that is good enough has the fewest words
        words, rows, margin = sets[next(i for i, x in enumerate(tried) if x > max(tried) - ENOUGH)]
        sizes[str(size)] = {
            "words": words,
            "margin": margin,
            "dims": {
                str(d): _at(photos, fit, check, rows, margin, d, logit_scale(info, d))
                for d in prefixes(dim, most)
            },
        }
    return {
        "encoder": info.get("name", "unnamed"),
        "fingerprint": photos.model.fingerprint.hex(),
        "data": {
            "sets": photos.sets,
            "photos": len(photos.label),
            "classes": len(photos.classes),
            "trials": f"{TRIALS} vocabularies of each size, {FRAMES} frames each",
        },
        "sizes": sizes,
        "pairs": pairs(photos),
    }


def _at(
    photos: Photos,
    fit: Trials,
    check: Trials,
    rows: np.ndarray,
    margin: float,
    dim: int,
    trained: float,
) -> dict:
    """Scale and threshold for one prefix, from one half; what they reach on the other half."""
    chosen_on, scores = (Scores(photos, trials, rows, margin, dim) for trials in (fit, check))
    plain = Scores(photos, check, rows[:0], margin, dim)
    scale = fit_scale(chosen_on)
    good = rates(chosen_on, scale)["right"]
    limit = int(np.argmax(good > good.max() - ENOUGH))  # the lowest that is good enough
    found = rates(scores, scale)
    steps = range(0, len(LIMITS), 5)
    return {
        "logit_scale": round(scale, 2),
        "threshold": round(float(LIMITS[limit]), 2),
        **{name: _cent(values[limit]) for name, values in found.items()},
        "right_without": _cent(rates(plain, trained)["right"][0]),
        "error_before": _cent(calibration_error(plain, trained)),
        "error_after": _cent(calibration_error(scores, scale)),
        "curve": [[_cent(values[i]) for values in found.values()] for i in steps],
    }


def _cent(share: float) -> float:
    return round(100 * float(share), 1)


def pairs(photos: Photos, edges: tuple[float, ...] = (-1, 0.3, 0.5, 0.6, 0.7, 0.8, 1.01)) -> dict:
    """Per cent of photos that are nearer to their own word than to another one, by prefix and by
    the cosine of the two words; None under 100 photos.
    """
    result: dict = {"cosine below": list(edges[1:])}
    most, every = photos.vectors.shape[1], np.arange(len(photos.label))
    for dim in prefixes(min(64, most), most):
        rows = normalize(photos.vectors[:, :dim])
        scores = normalize(photos.embeddings[:, :dim].astype(np.float32)) @ rows.T
        won = scores[every, photos.label][:, None] > scores
        counts = ~photos.ignore[photos.label]
        counts[every, photos.label] = False
        cosine = (rows @ rows.T)[photos.label]
        result[str(dim)] = []
        for low, high in zip(edges, edges[1:], strict=False):
            chosen = counts & (cosine >= low) & (cosine < high)
            share = _cent(won[chosen].mean()) if chosen.sum() >= 100 else None
            result[str(dim)].append(share)
    return result


def table(found: dict) -> str:
    """What `choose` found, as text: per cent, on the half of the classes it was not chosen on."""
    lines = []
    for size, at in found["sizes"].items():
        words = ", ".join(at["words"])
        lines.append(f"{size} labels: background (cosine below {at['margin']:g}): {words}")
    lines.append(
        "labels dim  scale threshold  right (without)  false accept  false reject  "
        "calibration error before, after"
    )
    for size, at in found["sizes"].items():
        for dim, row in at["dims"].items():
            lines.append(
                f"{size:>6} {dim:>3} {row['logit_scale']:6.1f} {row['threshold']:9.2f} "
                f"{row['right']:6.1f}    {row['right_without']:6.1f} {row['false_accept']:13.1f} "
                f"{row['false_reject']:13.1f} {row['error_before']:25.1f} "
                f"{row['error_after']:6.1f}"
            )
    below = found["pairs"]["cosine below"]
    lines.append("own word before another, by the cosine of the two words below")
    lines.append("   dim" + "".join(f"{edge:7.1f}" for edge in below))
    for dim, shares in list(found["pairs"].items())[1:]:
        cells = ("      -" if x is None else f"{x:7.1f}" for x in shares)
        lines.append(f"{dim:>6}" + "".join(cells))
    return "\n".join(lines)
