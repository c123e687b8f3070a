# SPDX-License-Identifier: MIT
"""Average precision of detections, as PASCAL VOC (since 2010) and COCO define it.

Of a label, all detections in all pictures are taken from the highest score down. Each takes the
box of its label in its picture with the largest overlap (IoU) among those that are still free, if
that is large enough; then it is right, else it is wrong. Precision is the share of right ones so
far, made to fall only; its mean over the label's boxes is the label's average precision, in which
a box that is never found counts 0. The mean over the labels is what is called mAP.
"""

from __future__ import annotations

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
    labels = sorted(
        {name for scene in scenes for name, box in scene.objects if counts(scene, box)}
    )
    if not labels:
        return float("nan")
    every = [_average_precision(scenes, found, label, iou, counts) for label in labels]
    return float(np.mean(every))


def _average_precision(scenes, found, label, iou, counts) -> float:
    free, total = [], 0
    for scene in scenes:
        boxes = [(box, counts(scene, box)) for name, box in scene.objects if name == label]
        total += sum(wanted for _, wanted in boxes)
        free.append(boxes)
    ranked = [
        (d.score, number, d.box) for number, ds in enumerate(found) for d in ds if d.label == label
    ]
    right = []
    for _, number, box in sorted(ranked, key=lambda item: -item[0]):
        fits = [(wanted, overlap(box, at), i) for i, (at, wanted) in enumerate(free[number])]
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
    return float(falling[np.array(right)].sum() / total)


def suppress(found: Sequence[Detection], iou: float) -> list[Detection]:
    """Without those that overlap a better one of their label by `iou` or more. Best first."""
    kept: list[Detection] = []
    for item in sorted(found, key=lambda d: -d.score):
        same = (other.box for other in kept if other.label == item.label)
        if all(overlap(item.box, box) < iou for box in same):
            kept.append(item)
    return kept
