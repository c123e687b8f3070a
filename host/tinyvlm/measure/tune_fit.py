# SPDX-License-Identifier: MIT
"""Fitting a packed vocabulary to photos: scale, none, threshold and shown prototypes.

Scale and the cosine of "none of them" are those with which the right answers are likeliest, all
labels together counting as much as none. The threshold costs least: the share of photos of a label
that are not called by it, the mean over the labels, plus a price times the share of photos of none
that are named. Steps are smoothed, and a few imagined photos hold to what the file has, so that
two photos a label move little and five hundred decide alone. A photo that was shown is compared
with the prototype without it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..device.tvp import NOTHING
from ..device.vocab import GAIN, WORD
from ..words import tvp
from ..words.space import normalize
from .answers import opened
from .sorted_photos import Sorted

# Of naming a photo that shows none, where missing one that shows a label costs 1. The words are
# tinyvlm-pack's, and so is their meaning, about: the slopes of its curves at its thresholds.
COSTS = {"cautious": 1.5, "balanced": 0.5, "eager": 0.2, "off": 0.0}
SCALES, NONES = np.geomspace(3, 60, 31), np.linspace(-0.2, 0.96, 59)
LIMITS = np.linspace(0, 0.98, 50)  # thresholds
SOFT_SCORE, SOFT_COSINE = 0.04, 0.015  # width of the smoothed steps
IMAGINED = 4.0  # photos that hold to the file's own values
CHANGE = 0.5  # photos that must be gained for showing them
ENOUGH = 1000  # photos that scale and none are fitted on; the threshold on all


@dataclass(frozen=True)
class Tuned:
    """The vocabulary after fitting. shown: photos that were added to the prototypes."""

    prototypes: tvp.Prototypes
    shown: int
    cost: float


@dataclass(frozen=True)
class Frames:
    """Cosines of photos with a vocabulary's labels and rivals, at one prefix.

    target: the label of each, their count for none.
    """

    labels: np.ndarray
    rivals: np.ndarray
    target: np.ndarray

    @property
    def none(self) -> np.ndarray:
        return self.target == self.labels.shape[1]

    def take(self, some: np.ndarray) -> Frames:
        """The same of some photos."""
        return Frames(self.labels[some], self.rivals[some], self.target[some])

    def weights(self) -> np.ndarray:
        """1 in all for photos of labels, the same for each label; 1 in all for those of none."""
        size = self.labels.shape[1]
        counts = np.bincount(self.target, minlength=size + 1)
        each = 1 / np.maximum(counts, 1)
        each[:size] /= max((counts[:size] > 0).sum(), 1)
        return each[self.target]

    def losses(self, scales: np.ndarray, nones: np.ndarray, off: bool) -> np.ndarray:
        """Weighted negative log-likelihood, (scales, nones); no single photo decides.

        off: every photo gets a label, so only those that show one count.
        """
        shows, weight = ~self.none, self.weights() * (~self.none if off else 1)
        own = np.minimum(self.target, self.labels.shape[1] - 1)
        result = np.empty((len(scales), len(nones)))
        for i, scale in enumerate(scales):
            labels = np.exp(scale * self.labels)
            none = np.exp(scale * nones)[:, None] + np.exp(scale * self.rivals).sum(axis=1)
            right = np.where(shows, labels[np.arange(len(own)), own], none)
            right /= labels.sum(axis=1) + none
            result[i] = -(weight * np.log(np.maximum(right, 1e-3))).sum(axis=1)
        return result / max(weight.sum(), 1e-9)

    def costs(self, scale: float, none: float, limits: np.ndarray, price: float) -> np.ndarray:
        """Smoothed cost at every threshold. price: of naming a photo that shows none."""
        labels = np.exp(scale * self.labels)
        total = labels.sum(axis=1) + np.exp(scale * self.rivals).sum(axis=1)
        score = labels.max(axis=1) / (total + np.exp(scale * none))
        nearest = self.labels.max(axis=1) - self.rivals.max(axis=1, initial=NOTHING)
        near = _step(nearest / SOFT_COSINE)
        named = _step((score - limits[:, None]) / SOFT_SCORE) * near
        named[limits == 0] = near  # threshold 0 refuses nothing
        right = self.labels.argmax(axis=1) == self.target
        lost = np.where(self.none, price * named, 1 - named * right)
        return (lost * self.weights()).sum(axis=1)


def _step(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def level(
    frames: Frames, unknown: str, photos: int, old: tuple[float, float, float]
) -> tuple[float, tuple[float, float, float]]:
    """(cost, (scale, threshold, none)) for some frames. old: the file's, NOTHING if it has none.

    unknown: a key of COSTS; "off" sets neither none nor threshold.
    """
    hold, off = IMAGINED / photos, unknown == "off"
    scale, threshold, none = old
    scales, nones = np.append(SCALES, scale), np.append(NONES, none)
    nones = np.array([NOTHING]) if off else nones[nones >= -1]
    loss = frames.take(some(frames.target, ENOUGH)).losses(scales, nones, off)
    loss += 0.3 * hold * np.log(scales / scale)[:, None] ** 2
    if none >= -1:
        loss += 0.3 * hold * ((nones - none) / 0.1) ** 2
    at = np.unravel_index(int(loss.argmin()), loss.shape)
    scale, none = float(scales[at[0]]), float(nones[at[1]])
    limits = np.zeros(1) if off else np.append(LIMITS, threshold)
    costs = frames.costs(scale, none, limits, COSTS[unknown])
    costs += 0.5 * hold * (limits - threshold) ** 2
    best = int(costs.argmin())
    return float(costs[best] + 0.02 * loss[at]), (scale, float(limits[best]), none)


# -- the whole --------------------------------------------------------------------------------


def fit(p: tvp.Prototypes, photos: Sorted, unknown: str = "balanced", shots: int = 65535) -> Tuned:
    """The vocabulary that costs least on these photos: as it is, or with photos shown to it.

    shots: photos of a label that may be shown, at most.
    """
    kept = _fit(p, photos, unknown, [])
    if not (picked := pick(p, photos.target, shots)):
        return kept
    taught = _fit(p, photos, unknown, picked)
    return taught if taught.cost < kept.cost - CHANGE / len(photos.target) else kept


def _fit(p: tvp.Prototypes, photos: Sorted, unknown: str, picked: list[int]) -> Tuned:
    if unknown == "off":  # no words compete; those that heat is seen against do not either
        p = replace(p, vectors=p.vectors[: len(p.labels)], background=0, rivals=0)
    lessons = Lessons(p, photos, picked)
    nones = p.none or [NOTHING] * (len(p.prefixes) + 1)
    olds = [*p.prefixes, (p.dim, p.logit_scale, p.threshold)]
    levels, cost = [], 0.0
    for (dim, scale, threshold), none in zip(olds, nones, strict=True):
        frames = lessons.frames(dim)
        cost, found = level(frames, unknown, len(photos.target), (scale, threshold, none))
        levels.append((dim, *found))
    made = replace(
        taught(p, photos, picked),
        prefixes=[(dim, scale, threshold) for dim, scale, threshold, _ in levels[:-1]],
        logit_scale=levels[-1][1],
        threshold=levels[-1][2],
        none=[] if unknown == "off" else [none for *_, none in levels],
        rivals=p.rivals if p.none else p.background,
    )
    return Tuned(made, len(picked), cost)


class Lessons:
    """Prototypes after some photos were shown, as Vocab.learn makes them; and less one each."""

    def __init__(self, p: tvp.Prototypes, photos: Sorted, picked: list[int]):
        size, own = len(p.labels), photos.target[picked]
        self.p, self.target, self.picked = p, photos.target, picked
        self.z = normalize(photos.embeddings[:, : p.dim].astype(np.float32))
        before = [p.learnt.get(i, (0, WORD, 1.0)) for i in range(size)]
        length = np.array([weight * gain ** (1 / GAIN) for _, weight, gain in before])
        self.sums = length[:, None] * normalize(p.vectors[:size].astype(np.float32))
        self.weights = np.array([weight for _, weight, _ in before])
        np.add.at(self.sums, own, self.z[picked])
        np.add.at(self.weights, own, 1)
        self.gains = gain(self.sums, self.weights)

    def frames(self, dim: int) -> Frames:
        """Every photo's cosines; a shown one is not compared with itself.

        In the absence of photos of none every photo counts twice: once more with its own label
        taken away, which stands in for them.
        """
        p, own, size = self.p, self.target[self.picked], len(self.p.labels)
        z, target = normalize(self.z[:, :dim]), self.target
        rivals = normalize(self.p.vectors[size:, :dim].astype(np.float32))
        labels = z @ normalize(self.sums[:, :dim]).T * self.gains
        less = self.sums[own] - self.z[self.picked]
        cosines = (z[self.picked] * normalize(less[:, :dim])).sum(axis=1)
        labels[self.picked, own] = cosines * gain(less, self.weights[own] - 1)
        rivals = z @ rivals[: p.rivals if p.none else p.background].T
        if not (target == size).any() and size > 1:
            stand_in = labels.copy()
            stand_in[np.arange(len(target)), target] = -1
            labels = np.concatenate([labels, stand_in])
            rivals = np.concatenate([rivals, rivals])
            target = np.append(target, np.full(len(target), size))
        return Frames(labels, rivals, target)


def gain(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The factor on the cosines of a label, as Vocab.learn has it: 1 for a word."""
    return (np.linalg.norm(sums, axis=1) / weights) ** GAIN


def pick(p: tvp.Prototypes, target: np.ndarray, shots: int) -> list[int]:
    """The photos to show: of each label `shots` at most, taken evenly."""
    picked: list[int] = []
    for label in range(len(p.labels)):
        mine = np.flatnonzero(target == label)
        picked += mine[_evenly(len(mine), shots)].tolist()
    return picked


def taught(p: tvp.Prototypes, photos: Sorted, picked: list[int]) -> tvp.Prototypes:
    """The vocabulary after the board's own learn() of these photos."""
    if not picked:
        return p
    vocab = opened(p)
    for i in picked:
        vocab.learn(p.labels[photos.target[i]], photos.embeddings[i].tobytes())
    with tempfile.TemporaryDirectory() as folder:
        vocab.save(str(Path(folder) / "taught.tvp"))
        return tvp.read(Path(folder) / "taught.tvp")


def some(target: np.ndarray, most: int) -> np.ndarray:
    """Of many frames some of each label, evenly: at least two."""
    labels, parts = np.unique(target), []
    for label in labels:
        mine = np.flatnonzero(target == label)
        parts.append(mine[_evenly(len(mine), max(2, most // len(labels)))])
    return np.concatenate(parts)


def _evenly(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
