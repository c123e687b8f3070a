# SPDX-License-Identifier: MIT
"""A soft-label teacher for photos: what an ImageNet classifier (`.tflite`) sees, as text vectors.

    python -m tinyvlm.train.teacher --data ../shared/data --cache runs/cache

The probabilities of the classifier's best classes, times the text vectors of their names, are a
point in CLIP's text space for every photo. Small images (short side under 100 px) are left out:
the classifier was made for 224 px. Classes set aside for evaluation or validation get no
probability.

Written: `teacher.npz` in --cache: `index` (images,) row of `vector` or -1, `vector` (rows, 512)
float16, centred on the mean of the table's names, and `sure` (rows,) the probability used.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from tinyvlm.train import data, labels, text

SHORTEST = 100  # pixels of the short side
TOP = 10  # classes


def class_vectors(folder: Path, table: text.TextTable) -> np.ndarray:
    """(1001, 512) text vectors of the classifier's classes minus the centre; zero: not used."""
    with np.load(folder / "text" / "clip-vit-b-32-openai.npz") as z:
        vectors = z["emb"][z["source"] == "imagenet(nayer)"].astype(np.float32)
    names = (folder / "teacher" / "imagenet_labels.txt").read_text().splitlines()[1:]
    aside = json.loads((folder / "eval" / "tiny-imagenet-unseen-classes.json").read_text())
    aside = {name.lower() for name in aside} | labels.held_out_names()
    keep = [not aside & {part.strip().lower() for part in name.split(",")} for name in names]
    centred = (vectors - table.centre) * np.array(keep)[:, None]
    return np.concatenate([np.zeros((1, 512), np.float32), centred])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--cache", type=Path, default=Path("runs/cache"))
    p.add_argument("--model", default="tf2_mobilenet_v2_1.0_224_ptq.tflite")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(str(args.data / "teacher" / args.model), num_threads=args.threads)
    net.allocate_tensors()
    inputs, outputs = net.get_input_details()[0], net.get_output_details()[0]
    images = data.load(args.data / "train", args.cache)
    classes = class_vectors(
        args.data, text.load_table(args.data / "text" / "clip-vit-b-32-openai.npz")
    )
    photos = np.flatnonzero(np.minimum(images.height, images.width) >= SHORTEST)
    index, vectors, sure = np.full(len(images), -1, np.int32), [], []
    for i in tqdm(photos, desc="teacher", mininterval=5):
        image = Image.fromarray(images.image(i))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize((224, 224))
        net.set_tensor(inputs["index"], np.asarray(square)[None])
        net.invoke()
        scores = net.get_tensor(outputs["index"])[0] / 256
        best = np.argsort(scores)[-TOP:]
        best = best[np.abs(classes[best]).sum(1) > 0]
        index[i] = len(vectors)
        vectors.append((scores[best] @ classes[best]).astype(np.float16))
        sure.append(scores[best].sum())
    np.savez(
        args.cache / "teacher.npz", index=index, vector=np.stack(vectors), sure=np.array(sure)
    )
    print(f"{len(photos)} photos, {np.mean(sure):.2f} of the probability used on average")


if __name__ == "__main__":
    main()
