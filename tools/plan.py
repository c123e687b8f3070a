# SPDX-License-Identifier: MIT
"""What a run at the size of CC3M is expected to take: computed, not measured.

    python tools/plan.py                              # the tables of docs/training.md
    python tools/plan.py --read 4500 --decode 900     # with the speeds that `make scale` printed

Counts the operations of the teacher's towers and of the student, and the bytes that a step of the
student keeps (by torch, exact); divides them by what a GPU is assumed to do.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch

from tinyvlm.train.config import StudentConfig, read
from tinyvlm.train.student import Student, cost_table

IMAGES = 3_000_000  # of CC3M, as far as it can still be downloaded
EPOCHS = 30
BATCH = 4096  # images of a GPU a step, for the memory
CORES = 16  # of a GPU's share of the machine
# Assumptions about one H200 (bfloat16, dense). A ViT keeps a third of its units busy in plain
# PyTorch; a student of thin layers is bound by memory: it moves what it keeps about six times
# (written, read by batch norm and ReLU, read and written again on the way back).
PEAK, BUSY = 989e12, 0.3  # operations a second, part of them that a ViT uses
BANDWIDTH, FED, MOVES = 4.8e12, 0.5, 6  # bytes a second, part of them used, times a byte is moved


@dataclass(frozen=True)
class Tower:
    """A transformer: tokens, width, layers, and operations before the first layer."""

    tokens: int
    width: int
    layers: int
    patches: int = 0  # numbers in a patch, of an image tower

    @property
    def operations(self) -> int:
        """Of a forward pass; a multiplication with its addition counts as two."""
        n, w = self.tokens, self.width
        layer = n * 12 * w * w + 2 * n * n * w  # projections and MLP; attention
        return 2 * (self.layers * layer + (n - 1) * self.patches * w)


IMAGE, TEXT = Tower(50, 768, 12, 3 * 32 * 32), Tower(77, 512, 12)  # CLIP's ViT-B/32


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """Bytes that are kept for the way back while this is open, without weights."""

    def __init__(self, net: torch.nn.Module):
        super().__init__(self._keep, lambda x: x)
        self.weights = {p.data_ptr() for p in net.parameters()}
        self.sizes: dict[int, int] = {}

    def _keep(self, x: torch.Tensor) -> torch.Tensor:
        if x.data_ptr() not in self.weights:
            self.sizes[x.data_ptr()] = x.untyped_storage().nbytes()
        return x

    def __enter__(self) -> Kept:
        super().__enter__()
        return self

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


def kept(config: StudentConfig, half: bool, twice: bool) -> float:
    """Bytes that a student keeps of an image between the passes; twice: --grad-checkpointing, and
    then with what the largest block needs when it is computed anew."""
    student = Student(config)
    student.set_grad_checkpointing(twice)
    pixels, most = torch.zeros(2, 3, config.size, config.size), 0
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        with Kept(student) as all_of_it:
            z = student(pixels)
        x = student.stem(pixels)
        for block in student.blocks if twice else ():
            with Kept(student) as own:
                x = block(x.detach())
            most = max(most, own.total)
    del z
    return (all_of_it.total + most) / 2


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description="Compute what a run at the size of CC3M takes.")
    p.add_argument("--model", default="base")
    p.add_argument("--read", type=float, default=5000, help="images/s that a process reads")
    p.add_argument("--decode", type=float, default=1000, help="images/s that a core decodes")
    p.add_argument("--prepare", type=float, default=500, help="... for the teacher")
    args = p.parse_args(argv)
    shape = read(args.model, "--model")["student"]
    student = 2 * sum(row[2] for row in cost_table(shape))
    teacher = IMAGE.operations + TEXT.operations
    memory = {
        (half, twice): kept(shape, half, twice)
        for half in (False, True)
        for twice in (False, True)
    }
    print("| | operations an image |\n|---|---|")
    print(f"| CLIP ViT-B/32, image tower | {IMAGE.operations / 1e9:.1f} G |")
    print(f"| its text tower, a caption | {TEXT.operations / 1e9:.1f} G |")
    print(f"| `{args.model}` at {shape.size} px, forward | {student / 1e9:.3f} G |")
    print(f"| ... and back | {3 * student / 1e9:.3f} G |")
    print(f"\n| memory of {BATCH:,} images | as it is | `--grad-checkpointing` |")
    print("|---|---|---|")
    for half, name in ((False, "fp32"), (True, "amp_bf16")):
        row = (f"{memory[half, twice] * BATCH / 1e9:.1f} GB" for twice in (False, True))
        print(f"| {name} | {' | '.join(row)} |")

    compute = PEAK * BUSY / (3 * student)
    moved = BANDWIDTH * FED / (memory[True, False] * MOVES)
    decoded, judged = args.decode * (CORES - 1), PEAK * BUSY / teacher
    speeds = {"operations": compute, "memory": moved, "decoding": decoded, "reading": args.read}
    print("\n| bound of the student, a GPU | images/s |\n|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {float(f'{speed:.2g}'):,.0f} |")
    slowest = min(speeds, key=speeds.get)
    print("\n| | 1 H200 | 8 H200 |\n|---|---|---|")
    cached = min(judged, args.prepare * (CORES - 1), args.read)
    for name, images, speed in (
        ("`cache`, once", IMAGES, cached),
        (f"{EPOCHS} epochs, bound by {slowest}", IMAGES * EPOCHS, speeds[slowest]),
    ):
        print(f"| {name} | {hours(images / speed)} | {hours(images / speed / 8)} |")
    print(f"\nThe teacher alone could judge {float(f'{judged:.2g}'):,.0f} images/s.")


if __name__ == "__main__":
    main()
