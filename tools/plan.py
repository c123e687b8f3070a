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

from tinyvlm.train.config import DIMS, TrainConfig, read, student_config
from tinyvlm.train.loss import MatryoshkaLoss
from tinyvlm.train.step import Net
from tinyvlm.train.student import Student, cost_table

IMAGES = 3_000_000  # of CC3M, as far as it can still be downloaded
EPOCHS = 30
BATCH = 4096  # images of a GPU a step, for the memory
CORES = 16  # of a GPU's share of the machine
# Assumptions about one H200 (bfloat16, dense). A ViT keeps its units half busy at best in plain
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


def kept(config: TrainConfig, half: bool, checkpointing: bool) -> int:
    """Bytes that the student keeps of an image between the passes (2 images tell)."""
    student = Student(config.student)
    student.set_grad_checkpointing(checkpointing)
    size, zero = config.student.size, torch.zeros(8)
    net = Net(student, MatryoshkaLoss(config, torch.zeros(DIMS[-1], 8), zero, zero), amp=half)
    weights = {p.data_ptr() for p in net.parameters()}
    seen: dict[int, int] = {}

    def keep(x: torch.Tensor) -> torch.Tensor:
        if x.data_ptr() not in weights:
            seen[x.data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        z = net.embed(torch.zeros(2, size, size, 3, dtype=torch.uint8))
    del z
    return sum(seen.values()) // 2


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description="Compute what a run at the size of CC3M takes.")
    p.add_argument("--model", default="base")
    p.add_argument("--read", type=float, default=5000, help="images/s that a process reads")
    p.add_argument("--decode", type=float, default=1000, help="images/s that a core decodes")
    args = p.parse_args(argv)
    shape = read(args.model, "--model")["student"]
    config = TrainConfig(student=shape if not isinstance(shape, dict) else student_config(shape))
    student = 2 * sum(row[2] for row in cost_table(config.student))
    teacher = IMAGE.operations + TEXT.operations
    memory = {
        (half, twice): kept(config, half, twice) for half in (False, True) for twice in (0, 1)
    }
    print("| | operations an image |\n|---|---|")
    print(f"| CLIP ViT-B/32, image tower | {IMAGE.operations / 1e9:.1f} G |")
    print(f"| its text tower, a caption | {TEXT.operations / 1e9:.1f} G |")
    print(f"| `{args.model}` at {config.student.size} px, forward | {student / 1e9:.3f} G |")
    print(f"| ... and back | {3 * student / 1e9:.3f} G |")
    print(
        f"\n| memory of {BATCH:,} images a GPU | as it is | `--grad-checkpointing` |\n|---|---|---|"
    )
    for half, name in ((False, "fp32"), (True, "amp_bf16")):
        row = (f"{memory[half, twice] * BATCH / 1e9:.1f} GB" for twice in (0, 1))
        print(f"| {name} | {' | '.join(row)} |")

    compute = PEAK * BUSY / (3 * student)
    moved = BANDWIDTH * FED / (memory[True, 0] * MOVES)
    decoded, judged = args.decode * (CORES - 1), PEAK * BUSY / teacher
    speeds = {"operations": compute, "memory": moved, "decoding": decoded, "reading": args.read}
    print("\n| bound of the student, a GPU | images/s |\n|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} |")
    slowest = min(speeds, key=speeds.get)
    print("\n| | 1 GPU | 8 GPUs |\n|---|---|---|")
    cached = min(judged, decoded, args.read)
    for name, images, speed in (
        ("`cache`, once", IMAGES, cached),
        (f"{EPOCHS} epochs, bound by {slowest}", IMAGES * EPOCHS, speeds[slowest]),
    ):
        print(f"| {name} | {hours(images / speed)} | {hours(images / speed / 8)} |")
    print(f"\nThe teacher alone could judge {judged:,.0f} images/s.")


if __name__ == "__main__":
    main()
