# SPDX-License-Identifier: MIT
"""Zero-shot accuracies of others, as published: what tinyvlm-eval prints beside its own.

They were measured on full-size photos with many prompts averaged. Ours are of small copies of the
photos and of plain class names, so that a difference is not the encoder's alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """top1: per cent. macs: of the image tower for one photo, in millions. pairs: trained on."""

    model: str
    data: str
    classes: int
    top1: float
    macs: int
    pairs: str
    source: str


CLIP = "CLIP ViT-B/32"
OPEN_CLIP = "mlfoundations/open_clip, docs/openclip_results.csv, ViT-B-32 openai"
FIGURES = (
    Published(CLIP, "CIFAR-10", 10, 89.8, 4_400, "400 M", OPEN_CLIP),
    Published(CLIP, "Food-101", 101, 84.0, 4_400, "400 M", OPEN_CLIP),
    Published(CLIP, "Flowers-102", 102, 66.7, 4_400, "400 M", OPEN_CLIP),
    Published(CLIP, "ImageNet-1k", 1000, 63.3, 4_400, "400 M", OPEN_CLIP),
    Published(
        "CLIP-KD MobileNetV3-small",
        "ImageNet-1k",
        1000,
        27.0,
        56,
        "15 M (CC3M and CC12M)",
        "winycg/CLIP-KD, README.md (26.95 there); arXiv 2307.12732",
    ),
)
# How the sets made of these data are called here: the set's name begins so.
SETS = {"cifar10": "CIFAR-10", "food101": "Food-101", "flowers102": "Flowers-102"}


def clip(name: str, classes: int) -> float | None:
    """CLIP ViT-B/32's figure for a set, if it has one and none of the classes is left out."""
    head = name.split("-")[0]
    for figure in FIGURES:
        if (figure.model, figure.data) == (CLIP, SETS.get(head)) and figure.classes == classes:
            return figure.top1
    return None
