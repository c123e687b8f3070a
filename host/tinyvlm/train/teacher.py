# SPDX-License-Identifier: MIT
"""Teachers: what judges photos, once (cache.py), for the student.

    open_clip:MODEL/TAG   CLIP's image and text towers. TAG is one of open_clip's, a file of
                          weights, or `random`: as initialised, for tests.
    tflite:FILE           An ImageNet classifier: the probabilities of the classes it is most sure
                          of, times the centred text vectors of their names, are a point in CLIP's
                          text space for every photo. No captions, and no weights of CLIP, needed.
    efficientnet-lite2    A better classifier, with better targets (teacher_lite2.py);
                          efficientnet-lite2:192 looks at 192 pixels instead of 224.

A vector's length is the weight of the photo in the loss: 1, or how sure a classifier is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tinyvlm.net.intake import seen_square
from tinyvlm.words.clip import create_model, imported

RANDOM = "random"  # the tag of a model as it is initialised
LABELS = "imagenet_labels.txt"  # beside a classifier: a class a line, in the order of its outputs
SIDE = 224  # pixels: what the classifier was made for ...
SHORTEST = 100  # ... so that smaller photos (short side) are left out
TOP = 10  # classes that count
IMAGENET = "imagenet(nayer)"  # source of the text vectors of ImageNet's names


class Teacher(Protocol):
    """What cache.py asks of a teacher."""

    name: str  # as in the cache's metadata
    dim: int

    def prepare(self, image: Image.Image) -> Tensor | None:
        """An RGB picture as the model takes it; None: this teacher does not judge it."""

    def image(self, batch: Tensor) -> np.ndarray:
        """(n, dim) float32 of n prepared pictures."""

    def text(self, texts: list[str]) -> np.ndarray | None:
        """(n, dim) float32 of n texts, or None if this teacher does not read."""


@dataclass
class OpenClip:
    """Both towers of a CLIP model; vectors of length 1."""

    name: str
    model: Any
    prepare: Any  # PIL image -> (3, H, W) float32, open_clip's own
    tokenizer: Any
    device: torch.device
    precision: str = "fp32"
    dim: int = 0

    @classmethod
    def create(cls, model_name: str, tag: str, device: str, precision: str) -> OpenClip:
        """Load `model_name` with the weights `tag`."""
        open_clip = imported()
        if model_name not in open_clip.list_models():
            raise ValueError(f"open_clip has no model {model_name}")
        known = open_clip.list_pretrained_tags_by_model(model_name)
        if tag not in (RANDOM, *known) and not Path(tag).exists():
            raise ValueError(
                f"open_clip has no {model_name}/{tag}; its tags: {', '.join(known)}; "
                f"or name a file of weights, or {RANDOM!r}"
            )
        torch.manual_seed(0)  # `random`: the same in every process, and when it is run again
        try:
            random = tag == RANDOM
            model = open_clip.create_model(model_name) if random else create_model(model_name, tag)
        except Exception as error:  # hub, network and file errors have no common class
            reason = str(error).splitlines()[0]
            raise ValueError(f"the weights of {model_name}/{tag} do not load: {reason}") from error
        config = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
        teacher = cls(
            f"open_clip:{model_name}/{tag}",
            model.eval().to(device),
            open_clip.transform.image_transform_v2(config, is_train=False),
            open_clip.get_tokenizer(model_name),
            torch.device(device),
            precision,
        )
        teacher.dim = teacher.text([""]).shape[1]
        return teacher

    def image(self, batch: Tensor) -> np.ndarray:
        return self._encode(self.model.encode_image, batch)

    def text(self, texts: list[str]) -> np.ndarray:
        return self._encode(self.model.encode_text, self.tokenizer(texts))

    @torch.inference_mode()
    def _encode(self, tower: Any, batch: Tensor) -> np.ndarray:
        half = self.precision == "amp_bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            out = tower(batch.to(self.device, non_blocking=True), normalize=True)
        return out.float().cpu().numpy()


@dataclass
class SoftLabels:
    """What a classifier sees, as text vectors."""

    name: str
    net: Any  # LiteRT interpreter
    classes: np.ndarray  # (outputs, dim) float32, centred; zero: gets no probability

    @classmethod
    def create(
        cls, path: Path, text_vectors: Path | None, held_out: Path | None = None
    ) -> SoftLabels:
        """Open a classifier with uint8 pictures of 224 px, and LABELS beside it."""
        if text_vectors is None:
            raise ValueError("a classifier teaches in text vectors: name them (--text-vectors)")
        for needed in (path, path.parent / LABELS, text_vectors):
            if not needed.exists():
                raise ValueError(f"teacher tflite:{path}: there is no {needed}")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ValueError(f"a .tflite teacher needs ai-edge-litert ({error})") from error
        net = Interpreter(str(path), num_threads=torch.get_num_threads())
        net.allocate_tensors()
        more = json.loads(held_out.read_text()) if held_out else []
        labels = (path.parent / LABELS).read_text().splitlines()
        classes = class_vectors(labels, text_vectors, more)
        seen, scores = net.get_input_details()[0], net.get_output_details()[0]
        if tuple(seen["shape"]) != (1, SIDE, SIDE, 3) or seen["dtype"] != np.uint8:
            raise ValueError(f"{path} does not take uint8 pictures of {SIDE} px")
        if scores["shape"][-1] != len(labels) or scores["dtype"] != np.uint8:
            raise ValueError(f"{path} does not give uint8 scores of the {len(labels)} {LABELS}")
        return cls(f"tflite:{path.name}", net, classes)

    @property
    def dim(self) -> int:
        return self.classes.shape[1]

    @staticmethod
    def prepare(image: Image.Image) -> Tensor | None:
        left, top, side = seen_square(*image.size)
        if side < SHORTEST:
            return None
        square = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        return torch.from_numpy(np.array(square))

    def image(self, batch: Tensor) -> np.ndarray:
        seen, scores = self.net.get_input_details()[0], self.net.get_output_details()[0]
        scale, zero = scores["quantization"]
        used = np.abs(self.classes).sum(1) > 0
        out = np.zeros((len(batch), self.dim), np.float32)
        for row, picture in zip(out, batch.numpy(), strict=True):
            self.net.set_tensor(seen["index"], picture[None])
            self.net.invoke()
            p = (self.net.get_tensor(scores["index"])[0].astype(np.float32) - zero) * scale
            best = np.argsort(p)[-TOP:]
            best = best[used[best]]
            row[:] = p[best] @ self.classes[best]
        return out

    def text(self, texts: list[str]) -> None:
        return None


def name_vectors(text_vectors: Path, held_out: Path | None) -> np.ndarray:
    """`class_vectors` of ImageNet's 1,000 classes, in ImageNet's order (that of the table)."""
    from tinyvlm.train import text

    names, sources, _ = text.read_rows(text_vectors)
    names = [name for name, source in zip(names, sources, strict=True) if source == IMAGENET]
    more = json.loads(held_out.read_text()) if held_out else []
    return class_vectors(names, text_vectors, more)


def class_vectors(labels: list[str], text_vectors: Path, held_out: list[str]) -> np.ndarray:
    """(labels, d) centred text vectors; zero for labels without one ("background") or held out.

    A label is a string of synonyms as in ImageNet ("tench, Tinca tinca"): held out by any.
    """
    from tinyvlm.train import text
    from tinyvlm.train.labels import held_out_names

    table = zip(*text.read_rows(text_vectors), strict=True)
    vectors = {name: row for name, source, row in table if source == IMAGENET}
    centre = text.load_table(text_vectors).centre
    unused = {name.lower() for name in held_out} | held_out_names()
    out = np.zeros((len(labels), len(centre)), np.float32)
    for row, label in zip(out, labels, strict=True):
        if label in vectors and not unused & {part.strip().lower() for part in label.split(",")}:
            row[:] = vectors[label] - centre
    if not out.any():
        raise ValueError(f"{text_vectors} has a vector of none of the {len(labels)} {LABELS}")
    return out
