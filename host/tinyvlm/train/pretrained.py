# SPDX-License-Identifier: MIT
"""Pretrained bodies that a student can start from: --init KIND:FILE.

    mobilenet_v2:FILE.npz   MobileNetV2 of any width with its batch norms unfolded (Sandler et al.,
                            arXiv 1801.04381): arrays `stem`, `block0..16.{expand,depthwise,
                            project}` and `last`, each `.weight` (out, in, k, k) and
                            `.bn.{gamma,beta,mean,variance}`, batch norm's epsilon 0.001, pixels
                            as x / 127.5 - 1; Keras' weights are such (`mobilenet_v2_0.35:` is
                            understood, too).
    mcunet:FILE.tflite      MCUNet, or another inverted-residual classifier (pretrained_mcunet.py)
    tvlm:FILE.tvlm          an encoder of ours in int8, with its head (pretrained_tvlm.py); the
                            kind may be left out

The other bodies have no head.  A student of fewer blocks or channels keeps those most like its
own (align.py) and the most important channels (slim.py); what does not fit starts at random.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tinyvlm.train import pretrained_mcunet, pretrained_tvlm
from tinyvlm.train.config import Bottleneck, StudentConfig

KERAS_EPSILON, EPSILON = 1e-3, 1e-5  # of batch norm: Keras' MobileNetV2, torch
# A pixel is (p - 128) / 128 here and p / 127.5 - 1 there: there = SCALE * here + OFFSET.
SCALE, OFFSET = 128 / 127.5, 128 / 127.5 - 1

Body = tuple[StudentConfig, dict[str, Tensor]]


def kind_of(spec: str) -> str | None:
    """The reader that `KIND:FILE` names, or None if it is no pretrained body."""
    if spec.endswith(".tvlm") and not spec.startswith("tvlm:"):
        return "tvlm"
    kind = re.sub(r"_[\d.]+$", "", spec.partition(":")[0])
    return kind if kind in READERS and ":" in spec else None


def load(spec: str) -> Body:
    """Shape and weights (a student's state_dict without head) of `KIND:FILE`.

    SystemExit says what is wrong with the file.
    """
    kind = kind_of(spec)
    path = Path(spec.partition(":")[2] if spec.startswith(kind) else spec).expanduser()
    if not path.exists():
        raise SystemExit(f"--init {spec}: there is no {path}")
    try:
        return READERS[kind](path)
    except (KeyError, ValueError, IndexError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise SystemExit(f"--init {spec}: {path} does not hold such a body ({error})") from None


def mobilenet_v2(path: Path) -> Body:
    """Keras' MobileNetV2: strides 2 in the stem and at blocks 1, 3, 6 and 13."""
    with np.load(path) as file:
        arrays = {key: torch.tensor(file[key].astype(np.float32)) for key in file.files}
    state: dict[str, Tensor] = {}

    def layer(own: str, theirs: str) -> Tensor:
        weight = arrays[f"{theirs}.weight"]
        state[f"{own}.conv.weight"] = weight
        names = {"weight": "gamma", "bias": "beta", "running_mean": "mean"}
        for ours, name in names.items():
            state[f"{own}.bn.{ours}"] = arrays[f"{theirs}.bn.{name}"]
        spread = arrays[f"{theirs}.bn.variance"] + (KERAS_EPSILON - EPSILON)
        state[f"{own}.bn.running_var"] = spread
        return weight

    stem = layer("stem", "stem")
    state["stem.conv.weight"] = stem * SCALE
    state["stem.bn.running_mean"] = state["stem.bn.running_mean"] - OFFSET * stem.sum((1, 2, 3))
    blocks: list[Bottleneck] = []
    while f"block{len(blocks)}.project.weight" in arrays:
        i = len(blocks)
        has_expand = f"block{i}.expand.weight" in arrays
        if has_expand:
            layer(f"blocks.{i}.expand", f"block{i}.expand")
        middle = layer(f"blocks.{i}.depthwise", f"block{i}.depthwise")
        out = layer(f"blocks.{i}.project", f"block{i}.project")
        stride = 2 if i in (1, 3, 6, 13) else 1
        expand = len(middle) if has_expand else 0
        blocks.append(Bottleneck(len(out), expand, stride, middle.shape[-1]))
    last = layer("last", "last")
    return StudentConfig(96, len(stem), tuple(blocks), len(last), relu6=True), state


# Bodies that come without batch norm, whose statistics are to be made (Student.settle).
FOLDED = ("mcunet", "tvlm")

READERS: dict[str, Callable[[Path], Body]] = {
    "mobilenet_v2": mobilenet_v2,
    "mcunet": pretrained_mcunet.load,
    "tvlm": pretrained_tvlm.load,
}
