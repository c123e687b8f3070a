# SPDX-License-Identifier: MIT
"""A narrower start from a pretrained body, chosen and corrected by looking at photos.

    python -m tinyvlm.train.pretrained_slim --init mcunet:FILE.tflite --model large \\
        --train-data 'shards/*.tar' --out large-start.safetensors
    tinyvlm-train --init large-start.safetensors --model large ...

slim.py judges channels by their batch norms, which a folded body has not.  Here a channel goes
that the layers reading it miss least: its place is taken by what the other channels say about it
on photos, so those layers' weights are changed with every channel that goes (Optimal Brain
Surgeon, Hassibi and Stork 1993, with a channel in the place of a weight).  Features that nothing
reads, of a body without a head, are turned to their principal components.

Blocks that the model leaves out are left out first (align.py).  At the end the batch norms get the
statistics of the photos, so that they may be trained.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tinyvlm.train import align, checkpoint, labels, pretrained, shards, slim
from tinyvlm.train.augment import centre
from tinyvlm.train.config import StudentConfig, TrainConfig, names, read
from tinyvlm.train.pretrained_chain import settle
from tinyvlm.train.slim import Channels, State, weight_of
from tinyvlm.train.student import ConvBN, Student, to_input

DAMPING = 1e-3  # added to covariances, as a part of their mean variance
BATCH = 32
FEATURES = "features"  # what a head would read


@dataclass
class Moments:
    """Mean and covariance of the channels of a map, over pixels of photos."""

    count: int = 0
    total: Tensor | float = 0.0  # (c,)
    products: Tensor | float = 0.0  # (c, c)

    def add(self, x: Tensor) -> None:
        flat = x.transpose(0, 1).flatten(1)
        self.count += flat.shape[1]
        self.total = self.total + flat.sum(1).double()
        self.products = self.products + (flat @ flat.T).double()

    @property
    def mean(self) -> Tensor:
        return self.total / self.count

    @property
    def covariance(self) -> Tensor:
        return self.products / self.count - self.mean[:, None] * self.mean


@torch.no_grad()
def gather_moments(wide: Student, batches: list[Tensor]) -> dict[str, Moments]:
    """Moments of the inputs of all 1x1 convolutions by name, and of the pooled features."""
    found: dict[str, Moments] = {}

    def see(name: str):
        return lambda _, args: found.setdefault(name, Moments()).add(args[0])

    layers = [(n, m) for n, m in wide.named_modules() if isinstance(m, ConvBN)]
    hooks = [
        m.register_forward_pre_hook(see(n)) for n, m in layers if m.conv.kernel_size == (1, 1)
    ]
    for images in batches:
        features = wide.features(images).mean((2, 3), keepdim=True)
        found.setdefault(FEATURES, Moments()).add(features)
    found["head"] = found[FEATURES]
    for hook in hooks:
        hook.remove()
    return found


def gain(state: State, name: str) -> Tensor:
    """(out, 1) what a ConvBN's norm multiplies by; a head has none."""
    if name == "head":
        return torch.ones(len(state["head.weight"]), 1, dtype=torch.float64)
    spread = torch.sqrt(state[f"{name}.bn.running_var"] + torch.nn.BatchNorm2d(1).eps)
    return (state[f"{name}.bn.weight"] / spread).double()[:, None]


def choose(
    state: State, channels: Channels, moments: dict[str, Moments]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Channels to keep, ascending, and the readers' corrected weights (out, kept) by name.

    In each round the channel goes whose loss costs the readers least, in parts of what they give.
    """
    weights, inverses, units = [], [], []
    for name in channels.readers:
        covariance = moments[name].covariance
        covariance += DAMPING * covariance.diagonal().mean() * torch.eye(len(covariance))
        weight = state[weight_of(name)][:, :, 0, 0].double()
        given = gain(state, name) * weight
        weights.append(weight)
        inverses.append(torch.linalg.inv(covariance))
        units.append(gain(state, name).square() / ((given @ covariance) * given).sum())
    left = torch.ones(channels.count, dtype=torch.bool)
    for _ in range(channels.count - channels.want):
        costs = torch.zeros(channels.count, dtype=torch.float64)
        for w, inverse, unit in zip(weights, inverses, units, strict=True):
            costs += (unit * w.square()).sum(0) / inverse.diagonal().clamp(min=1e-30)
        worst = int(costs.masked_fill(~left, torch.inf).argmin())
        left[worst] = False
        for w, inverse in zip(weights, inverses, strict=True):
            row = inverse[worst] / inverse[worst, worst]
            w -= w[:, worst : worst + 1] * row
            inverse -= inverse[:, worst : worst + 1] * row
    keep = left.nonzero()[:, 0]
    return keep, dict(zip(channels.readers, (w[:, keep] for w in weights), strict=True))


def shrink(state: State, channels: Channels, moments: dict[str, Moments]) -> None:
    """Take the channels out of their layers."""
    if channels.want > channels.count:
        raise ValueError(f"it wants {channels.want} channels where the body has {channels.count}")
    if channels.want == channels.count:
        return
    if not channels.readers:
        turn(state, channels, moments[FEATURES])
        return
    keep, weights = choose(state, channels, moments)
    old = {name: state[weight_of(name)][:, :, 0, 0].double() for name in weights}
    slim.cut(state, channels, keep)
    for name, weight in weights.items():
        mean = moments[name].mean
        state[weight_of(name)] = weight.float()[:, :, None, None]
        shift = (weight @ mean[keep] - old[name] @ mean).float()
        if name == "head":
            state["head.bias"] = state["head.bias"] - shift
        else:
            state[f"{name}.bn.running_mean"] = state[f"{name}.bn.running_mean"] + shift


def turn(state: State, channels: Channels, features: Moments) -> None:
    """The principal components of what nothing reads yet, in place of its channels.

    A ReLU, which `last` has, is in the way of that: there the channels that vary most stay.
    """
    (name,) = channels.writers
    covariance = features.covariance
    if name == "last":
        keep = covariance.diagonal().topk(channels.want).indices.sort().values
        slim.cut(state, channels, keep)
        return
    basis = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, : channels.want].T
    factor = gain(state, name)
    weight = basis @ (factor * state[weight_of(name)][:, :, 0, 0].double())
    offset = state[f"{name}.bn.bias"] - factor[:, 0] * state[f"{name}.bn.running_mean"]
    state[weight_of(name)] = weight.float()[:, :, None, None]
    state[f"{name}.bn.weight"] = torch.ones(channels.want)
    state[f"{name}.bn.bias"] = (basis @ offset).float()
    state[f"{name}.bn.running_mean"] = torch.zeros(channels.want)
    state[f"{name}.bn.running_var"] = torch.ones(channels.want) - torch.nn.BatchNorm2d(1).eps


def fitting(state: State, dim: int) -> State:
    """The state without its head, if that is of other dimensions."""
    if len(state.get("head.bias", ())) == dim:
        return state
    return {k: v for k, v in state.items() if not k.startswith("head")}


def start(
    body: pretrained.Body, narrow: StudentConfig, batches: list[Tensor]
) -> tuple[Student, list[int]]:
    """A student of shape `narrow` from a body, and which of the body's blocks it has.

    batches: photos (n, 3, H, W) in [-1, 1), of the narrow student's size.  ValueError: the shape
    is not one with fewer blocks and channels.
    """
    shape, state = body
    kept = align.align(shape.blocks, narrow.blocks)
    if kept is None:
        raise ValueError("some block is no block of the body with fewer channels")
    blocks = tuple(
        replace(shape.blocks[old], stride=block.stride)
        for old, block in zip(kept, narrow.blocks, strict=True)
    )
    wide = Student(replace(shape, size=narrow.size, blocks=blocks, dim=narrow.dim)).eval()
    taken = align.take(fitting(state, narrow.dim), kept)
    try:
        wide.load_state_dict(taken, strict=False)
    except RuntimeError:
        raise ValueError("its blocks do not follow each other without those left out") from None
    moments = gather_moments(wide.to(memory_format=torch.channels_last), batches)
    student = Student(narrow).eval().to(memory_format=torch.channels_last)
    state = {k: v for k, v in wide.state_dict().items() if k in taken or "head" not in k}
    for channels in slim.groups(state, student.state_dict()):
        shrink(state, channels, moments)
    student.load_state_dict(state, strict=False)
    settle(student, batches)
    return student, kept


def photos(pattern: str, size: int, count: int) -> list[Tensor]:
    """Batches of `count` photos in all, of every shard's beginning equally many.

    None of those held out of training, to validate.
    """
    paths, images = shards.expand(pattern), []
    for path in paths:
        left = -(-count // len(paths))
        for sample in shards.read(path, Counter()):
            if not left:
                break
            if labels.held_out_image(sample.id, sample.text):
                continue
            try:
                image = centre(shards.decode(sample.blob, size), size)
            except ValueError:
                continue
            images.append(torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8))
            left -= 1
    images = [image.view(size, size, 3) for image in images]
    return [to_input(torch.stack(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(prog="python -m tinyvlm.train.pretrained_slim")
    p.add_argument("--init", required=True, metavar="KIND:FILE", help="a pretrained body")
    p.add_argument("--model", required=True, help=f"shape: {', '.join(names())} or FILE.json")
    p.add_argument("--train-data", required=True, help="shards of photos to look at")
    p.add_argument("--photos", type=int, default=1000, help="how many (default: %(default)s)")
    p.add_argument("--out", required=True, type=Path, help="a checkpoint, for --init")
    args = p.parse_args(argv)
    narrow = read(args.model, "--model").get("student")
    if narrow is None:
        p.error(f"--model {args.model}: the file has no `student`")
    if not pretrained.kind_of(args.init):
        p.error(f"--init {args.init}: name a pretrained body, such as mcunet:FILE.tflite")
    body = pretrained.load(args.init)
    try:
        batches = photos(args.train_data, narrow.size, args.photos)
    except ValueError as e:
        p.error(f"--train-data: {e}")
    try:
        student, kept = start(body, narrow, batches)
    except ValueError as e:
        p.error(f"--model {args.model} does not fit {args.init}: {e}")
    info = {"config": asdict(TrainConfig(model=args.model, student=narrow)), "epoch": 0, "step": 0}
    given = fitting(body[1], narrow.dim)
    tensors = {k: v for k, v in student.state_dict().items() if k in given or "head" not in k}
    checkpoint.write(args.out, {f"student.{k}": v for k, v in tensors.items()}, info)
    print(f"{args.out}: blocks {', '.join(map(str, kept))} of {args.init}")


if __name__ == "__main__":
    main()
