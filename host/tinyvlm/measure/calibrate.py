# SPDX-License-Identifier: MIT
"""What makes scores probabilities? Random vocabularies on real photos that no training has seen.

A trial is a vocabulary of a few random classes and frames of which every second one shows none
of them. Nobody's list is a random one: it is of dishes, and so is what else lies on the table. So
each trial has a theme, classes that mean alike, which some of its labels and as many of its other
frames are of. The right answer to a frame is its label, or "unknown"; the scores are to be
probabilities of just these answers: scale and the cosine of "none" are fitted by maximum
likelihood. Thresholds are those with which a given share of the frames that show none is named,
over lists without a theme, and so are the rates that are told. All is chosen on each half of the
classes and measured on the other one; the means are kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..shipped import DATA
from ..train import labels as known
from ..words.background import KNOB
from ..words.gains import Cohort
from ..words.lexicon import Lexicon
from ..words.lint import prefixes
from ..words.prototypes import logit_scale
from ..words.space import far_apart, normalize
from .held_out import SIZES, Photos
from .metrics import calibration_error, cosines

WORDS, MARGIN = 8, 0.3  # what detect() sees heat against; `python tools/localize.py` measures it
NEW = 0.25  # share of a vocabulary's labels that are words no training has seen
FRAMES = 8000  # in all, of each size
EACH = 40  # of a vocabulary
THEME = 40  # classes of a theme; three times as many as labels, if that is more
UNSEEN = 2  # in place of a half: the classes that no training has seen
LIMITS = np.linspace(0, 1, 201)  # thresholds
FLOOR = -8.0  # natural logarithm: no single frame decides a choice


def central_words(lexicon: Lexicon, count: int, steps: int = 20) -> list[str]:
    """`count` words, one in each region of the lexicon: nearest to the centres of k-means.

    Only words whose vectors are the teacher's own: they are the common ones, too.
    """
    names = [name for name in lexicon.index if lexicon.kind(name) == "exact"]
    rows = normalize(lexicon.vectors[[lexicon.index[n] for n in names]].astype(np.float32))
    some = rows[:: max(1, len(rows) // 6000)]
    centres = some[far_apart(some, count)]  # no chance in it
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


def near(photos: Photos, some: np.ndarray, centre: int, size: int) -> np.ndarray:
    """Of some classes those of a theme: whose words are nearest to that of the class `centre`."""
    rows = normalize(photos.vectors)
    return some[np.argsort(-(rows[some] @ rows[centre]), kind="stable")[: max(THEME, 3 * size)]]


def unrelated(photos: Photos, order: np.ndarray, size: int) -> np.ndarray:
    """The first classes of which none is above another. ValueError if there are not so many."""
    found: list[int] = []
    for i in order:
        if not photos.ignore[i, found].any():
            found.append(i)
            if len(found) == size:
                return np.array(found)
    raise ValueError(f"{len(order)} classes are too few for vocabularies of {size} labels")


def draw(photos: Photos, half: int, size: int, seed: int = 1, themed: bool = False) -> Trials:
    """Random vocabularies of classes of one half. A frame's class is drawn before its photo.

    A quarter of the labels, as far as there are such, are words that no training has seen; with
    UNSEEN for a half all are. themed: of each vocabulary, a share of the labels and of the frames
    that show none is of one theme: any share, in equal steps.
    """
    rng = np.random.default_rng((seed, half, size))
    new = np.array([known.held_out(c) for c in photos.classes], bool)
    mine = np.array([zlib.crc32(c.encode()) % 2 == half for c in photos.classes])
    mine = np.flatnonzero(new if half == UNSEEN else mine)
    new = new[mine]
    of = {i: np.flatnonzero(photos.label == i) for i in mine}
    trials, times = [], FRAMES // EACH
    for share in np.linspace(0, 1, times) if themed else [0.0] * times:
        count = len(mine) if half == UNSEEN else min(rng.binomial(size, NEW), new.sum() // 2)
        order = np.append(rng.permutation(mine[new])[:count], rng.permutation(mine[~new]))
        theme = near(photos, mine, rng.choice(mine), size) if share else mine[:0]
        some = rng.permutation(np.setdiff1d(theme, order[:count]))
        some = some[: rng.binomial(size, share)] if share else some
        rest = order[count:][~np.isin(order[count:], some)]
        ids = unrelated(photos, np.concatenate([order[:count], some, rest]), size)
        others = np.setdiff1d(mine, ids)
        others = others[~photos.ignore[np.ix_(others, ids)].any(axis=1)]
        cousins = np.intersect1d(others, theme)
        right = np.append(rng.integers(0, size, EACH // 2), [size] * (EACH // 2))
        shown = [
            ids[k]
            if k < size
            else rng.choice(cousins if len(cousins) and rng.random() < share else others)
            for k in right
        ]
        trials.append((ids, [rng.choice(of[i]) for i in shown], right))
    return Trials(*(np.array(part) for part in zip(*trials, strict=True)))


def weighed(photos: Photos, dim: int, gains: np.ndarray | None = None) -> np.ndarray:
    """Cosines (photos, classes), times the gains of the classes, if there are any."""
    found = cosines(photos.embeddings, photos.vectors[:, :dim])
    return found if gains is None else found * gains


class Scores:
    """Cosines of all frames of some trials with their labels."""

    def __init__(self, photos: Photos, trials: Trials, dim: int, gains: np.ndarray | None = None):
        own = weighed(photos, dim, gains)
        self.size = trials.classes.shape[1]
        self.right = trials.right.reshape(-1)
        self.shows = self.right < self.size
        frames = trials.photos[:, :, None]
        self.labels = own[frames, trials.classes[:, None]].reshape(-1, self.size)

    def probabilities(self, scale: float, none: float | None) -> np.ndarray:
        """(frames, labels), or with `none` (frames, labels + 1): of each label, and of none."""
        cosines = self.labels
        if none is not None:
            cosines = np.pad(cosines, ((0, 0), (0, 1)), constant_values=none)
        shares = np.exp(scale * (cosines - cosines.max(axis=1, keepdims=True)))
        return shares / shares.sum(axis=1, keepdims=True)

    def loss(self, scale: float, none: float | None) -> float:
        """Mean negative log-likelihood of the right answers; without none only to labels."""
        some = self.shows | (none is not None)
        p = self.probabilities(scale, none)[some]
        p = p[np.arange(len(p)), self.right[some]]
        return float(-np.maximum(np.log(np.maximum(p, 1e-30)), FLOOR).mean())


def fit(scores: Scores) -> tuple[float, float]:
    """(scale, none) that make the right answers likeliest."""
    x, none = _lowest(lambda x, none: scores.loss(_scale(x), none), [np.log(12), 0.3], [0.4, 0.1])
    return _scale(x), none


def fit_scale(scores: Scores) -> float:
    """The scale without "none of them": of frames that show a label."""
    [x] = _lowest(lambda x: scores.loss(_scale(x), None), [np.log(12)], [0.4])
    return _scale(x)


def _scale(logarithm: float) -> float:
    return float(np.exp(min(logarithm, np.log(60))))  # where nothing is confused, no scale is best


def _lowest(loss: Callable[..., float], at: list[float], steps: list[float]) -> list[float]:
    """Where `loss` is least: downhill from `at`, in steps that are halved when none leads down."""
    best = loss(*at)
    for _ in range(8):
        stuck = False
        while not stuck:
            stuck = True
            for i, step in enumerate(steps):
                for sign in (1, -1):
                    there = [x + sign * step * (k == i) for k, x in enumerate(at)]
                    if (found := loss(*there)) < best:
                        best, at, stuck = found, there, False
        steps = [step / 2 for step in steps]
    return at


def rates(scores: Scores, scale: float, none: float | None) -> dict[str, np.ndarray]:
    """By threshold (LIMITS), shares: right, unknown and wrong of the frames that show a label,
    named of those that show none.
    """
    p = scores.probabilities(scale, none)[:, : scores.size]
    named, hit = p.max(axis=1) >= LIMITS[:, None], p.argmax(axis=1) == scores.right
    shows = scores.shows
    return {
        "right": (named & hit)[:, shows].mean(axis=1),
        "unknown": (~named)[:, shows].mean(axis=1),
        "wrong": (named & ~hit)[:, shows].mean(axis=1),
        "named": named[:, ~shows].mean(axis=1),
    }


def error(scores: Scores, scale: float, none: float | None) -> float:
    """Calibration error of the best label's score; without none on frames that show a label."""
    some = scores.shows | (none is not None)
    p = scores.probabilities(scale, none)[some, : scores.size]
    return calibration_error(p.max(axis=1), p.argmax(axis=1) == scores.right[some])


# -- choosing ---------------------------------------------------------------------------------


def choose(photos: Photos, cohort: Cohort) -> dict:
    """By size of the vocabulary and prefix: what is fitted, and what that reaches: the JSON.

    cohort: of other photos.
    """
    info, most = photos.model.graph.info, photos.vectors.shape[1]
    gains = np.concatenate([cohort.gains(row[None]) for row in photos.vectors])
    sizes = {}
    for size in [size for size in SIZES if 4 * size <= len(photos.classes)]:
        themed, plain = (
            [draw(photos, half, size, themed=theme) for half in (0, 1)] for theme in (True, False)
        )
        dims = prefixes(min(64, most), most)
        sizes[str(size)] = {
            "dims": {
                str(d): reached(photos, themed, plain, d, logit_scale(info, d), gains)
                for d in dims
            }
        }
    return {
        "encoder": info.get("name", "unnamed"),
        "fingerprint": photos.model.fingerprint.hex(),
        "data": {
            "sets": photos.sets,
            "photos": len(photos.label),
            "classes": len(photos.classes),
            "trials": f"{FRAMES // EACH} vocabularies of each size, {EACH} frames each",
        },
        "words": central_words(Lexicon.load(DATA / "lexicon.npz"), WORDS),
        "margin": MARGIN,
        "sizes": sizes,
        "pairs": pairs(photos, gains),
        "cohort": cohort.to_json(),
    }


def reached(
    photos: Photos,
    themed: list[Trials],
    plain: list[Trials],
    dim: int,
    trained: float,
    gains: np.ndarray | None = None,
) -> dict:
    """What is fitted for one prefix on each half's trials, and what that reaches on the other's:
    the means. Scales are of lists with themes, thresholds of `plain` ones, without."""
    themed, plain = (
        [Scores(photos, half, dim, gains) for half in some] for some in (themed, plain)
    )
    return _mean(*(_at(themed[i], plain[i], plain[1 - i], trained) for i in (0, 1)))


def _mean(one: dict, two: dict) -> dict:
    means = {}
    for key, value in one.items():
        if isinstance(value, dict):
            means[key] = _mean(value, two[key])
        else:
            digits = {"logit_scale": 2, "none": 3, "threshold": 3}.get(key, 1)
            means[key] = np.round(np.mean([value, two[key]], axis=0), digits).tolist()
    return means


def _at(themed: Scores, chosen_on: Scores, scores: Scores, trained: float) -> dict:
    """The same: scales fitted on some trials, thresholds chosen on some, measured on others."""
    scale, none = fit(themed)
    plain = fit_scale(themed)
    before, after = rates(chosen_on, scale, none), rates(scores, scale, none)
    off, steps = rates(scores, plain, None), range(0, len(LIMITS), 10)
    knob = {}
    for name, most in KNOB.items():
        i = int(np.argmax(before["named"] <= most / 100))  # the lowest with no more
        knob[name] = {"threshold": float(LIMITS[i]), **_reached(after, i)}
    return {
        "logit_scale": scale,
        "none": none,
        "error": 100 * error(scores, scale, none),
        "error_before": 100 * error(scores, trained, None),
        **knob,
        "off": {
            "logit_scale": plain,
            "error": 100 * error(scores, plain, None),
            **_reached(off, 0),
        },
        "curve": [[100 * float(values[i]) for values in after.values()] for i in steps],
    }


def _reached(found: dict[str, np.ndarray], i: int) -> dict[str, float]:
    return {name: 100 * float(values[i]) for name, values in found.items()}


def _cent(share: float) -> float:
    return round(100 * float(share), 1)


def pairs(
    photos: Photos,
    gains: np.ndarray | None = None,
    edges: tuple[float, ...] = (-1, 0.3, 0.5, 0.6, 0.7, 0.8, 1.01),
) -> dict:
    """Per cent of photos that are nearer to their own word than to another one, by prefix and by
    the cosine of the two words; None under 100 photos.
    """
    result: dict = {"cosine below": list(edges[1:])}
    most, every = photos.vectors.shape[1], np.arange(len(photos.label))
    for dim in prefixes(min(64, most), most):
        rows = normalize(photos.vectors[:, :dim])
        scores = weighed(photos, dim, gains)
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
    lines = [
        f"heat is seen against: {', '.join(found['words'])} (cosine below {found['margin']:g})",
        "labels dim  scale  none  error (off)  right/unknown/wrong, named at a threshold of",
    ]
    for size, at in found["sizes"].items():
        for dim, row in at["dims"].items():
            text = f"{size:>6} {dim:>3} {row['logit_scale']:6.1f} {row['none']:5.2f} "
            text += f"{row['error']:6.1f} {row['off']['error']:5.1f}"
            for name in KNOB:
                r = row[name]
                text += f"   {name} {r['right']:.0f}/{r['unknown']:.0f}/{r['wrong']:.0f}, "
                text += f"{r['named']:.0f} at {r['threshold']:.2f}"
            lines.append(f"{text}   off {row['off']['right']:.0f}")
    below = found["pairs"]["cosine below"]
    lines.append("own word before another, by the cosine of the two words below")
    lines.append("   dim" + "".join(f"{edge:7.1f}" for edge in below))
    for dim, shares in list(found["pairs"].items())[1:]:
        cells = ("      -" if x is None else f"{x:7.1f}" for x in shares)
        lines.append(f"{dim:>6}" + "".join(cells))
    return "\n".join(lines)
