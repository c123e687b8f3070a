# SPDX-License-Identifier: MIT
"""Average precision of detections, as PASCAL VOC (since 2010) and COCO define it.

Of a label, all detections in all pictures are taken from the highest score down. Each takes the
box of its label in its picture with the largest overlap (IoU) among those that are still free, if
that is large enough; then it is right, else it is wrong. Precision is the share of right ones so
far, made to fall only; its mean over the label's boxes is the label's average precision, in which
a box that is never found counts 0. The mean over the labels is what is called mAP.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .boxed import Rect, Scene, overlap


@dataclass(frozen=True)
class Detection:
    """What a way of looking says: a label, how sure, and its box in pixels of the picture."""

    label: str
    score: float
    box: Rect


def mean_average_precision(
    scenes: Sequence[Scene],
    found: Sequence[Sequence[Detection]],
    iou: float,
    counts: Callable[[Scene, Rect], bool] = lambda scene, box: True,
) -> float:
    """0 ... 1, over all labels that have a box that counts. found: one list a scene.

    counts: boxes for which it is false are neither missed nor, if found, right or wrong; and a
    detection that fits no box and would not count as one is left out, too (COCO's rule for sizes).
    """
    known, said = defaultdict(list), defaultdict(list)
    for number, (scene, items) in enumerate(zip(scenes, found, strict=True)):
        for label, box in scene.objects:
            known[label].append((number, box, counts(scene, box)))
        for item in items:
            said[item.label].append((item.score, number, item.box))
    every = [
        _average_precision(boxes, scenes, said[label], iou, counts)
        for label, boxes in known.items()
        if any(wanted for _, _, wanted in boxes)
    ]
    return float(np.mean(every)) if every else float("nan")


def _average_precision(known, scenes, said, iou, counts) -> float:
    """Of one label. known: (scene's number, box, does it count); said: (score, number, box)."""
    free, right = defaultdict(list), []
    for number, box, wanted in known:
        free[number].append((wanted, box))
    for _, number, box in sorted(said, key=lambda item: -item[0]):
        fits = [(wanted, overlap(box, at), i) for i, (wanted, at) in enumerate(free[number])]
        fits = [fit for fit in fits if fit[1] >= iou]
        if fits:
            wanted, _, best = max(fits)  # boxes that count first
            del free[number][best]
            if wanted:
                right.append(True)
        elif counts(scenes[number], box):
            right.append(False)
    if not any(right):
        return 0.0
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    total = sum(wanted for _, _, wanted in known)
    return float(falling[np.array(right)].sum() / total)


def suppress(found: Sequence[Detection], iou: float) -> list[Detection]:
    """Without those that overlap a better one of their label by `iou` or more. Best first."""
    kept: list[Detection] = []
    for item in sorted(found, key=lambda d: -d.score):
        same = (other.box for other in kept if other.label == item.label)
        if all(overlap(item.box, box) < iou for box in same):
            kept.append(item)
    return kept
