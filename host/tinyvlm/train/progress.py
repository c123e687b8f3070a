# SPDX-License-Identifier: MIT
"""The log lines of training, in the form that open_clip's users know.

    Train Epoch: 3 [ 19200/ 94848 (20%)] Data (t): 0.004 Batch (t): 0.391, 491.0/s, 245.5/s/cpu
    LR: 0.0026 Label: 4.410 Distill: 0.320 Loss: 5.381 (5.402) ETA: 1:02:11        (one line)

Data (t) is the wait for images, Batch (t) all of a step, both in seconds a step since the line
before. Loss is the last step's, and in brackets the epoch's mean; the others are means over the
prefixes. A loss that is not a number ends the run with the next line.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from torch import Tensor

from tinyvlm.train import checkpoint
from tinyvlm.train.config import TrainConfig
from tinyvlm.train.distributed import World

log = logging.getLogger("tinyvlm")


@dataclass
class Progress:
    """Counts the steps of one epoch (from 0) and logs them. steps: expected in this epoch."""

    config: TrainConfig
    world: World
    epoch: int
    steps: int
    done: int = 0
    waited: float = 0.0  # seconds for images, in the whole epoch
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the losses, one value a prefix
    counts: Counter[str] = field(default_factory=Counter)  # a loss may be of some batches only

    def __post_init__(self) -> None:
        self.began = self._last = time.monotonic()
        self._logged, self._waited, self._total = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Since the epoch began."""
        return time.monotonic() - self.began

    @property
    def images(self) -> int:
        """Shown in this epoch by all processes."""
        return self.done * self.config.step_images * self.world.size

    def batches(self, loader: Iterable) -> Generator:
        """Lists of the batches of a step, at most `steps`; the wait for them is counted.

        An epoch that has fewer ends with a line, too.
        """
        source = iter(loader)
        try:
            while self.done < self.steps:
                began = time.monotonic()
                batches = list(islice(source, self.config.accum_freq))
                self.waited += time.monotonic() - began
                if len(batches) < self.config.accum_freq:
                    break
                yield batches
        finally:
            source.close()  # waits for the thread that makes batches ahead
        if self.done > self._logged:
            self._line()

    def step(self, total: Tensor, parts: dict[str, Tensor], rate: float) -> None:
        """A step is done. SystemExit if its loss, looked at with a line, is not finite."""
        self.done += 1
        self._step = total.detach(), parts, rate
        self._total = self._total + total.detach()
        for key, value in parts.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
            self.counts[key] += 1
        if self.done == 1 or self.done % self.config.log_every_n_steps == 0:
            self._line()

    def row(self) -> dict[str, float]:
        """Of this epoch, for results.jsonl; taken when its last step is done."""
        seconds = self.seconds
        return {
            "images": self.images,
            "seconds": round(seconds, 1),
            "waited": round(self.waited, 1),
            "images_per_second": round(self.images / seconds),
        }

    def losses(self) -> dict[str, list[float]]:
        """The mean of each loss in this epoch, at each prefix."""
        means = {key: value / self.counts[key] for key, value in self.sums.items()}
        return {key: [round(x, 4) for x in mean.tolist()] for key, mean in means.items()}

    def _line(self) -> None:
        loss, parts, rate = self._step
        total = loss.item()
        if not math.isfinite(total):
            raise SystemExit(
                f"the loss is {total} at step {self.done} of epoch {self.epoch + 1}: lower --lr"
                f"{checkpoint.way_back(self.config.run)}"
            )
        now, count = time.monotonic(), self.done - self._logged
        batch, data = (now - self._last) / count, (self.waited - self._waited) / count
        self._last, self._logged, self._waited = now, self.done, self.waited
        all_images = self.steps * self.config.step_images * self.world.size
        speed = self.config.step_images / batch
        left = self.steps * (self.config.epochs - self.epoch) - self.done
        losses = "".join(f" {k.capitalize()}: {v.mean().item():.3f}" for k, v in parts.items())
        log.info(
            f"Train Epoch: {self.epoch + 1} [{self.images:>{len(str(all_images))}}/{all_images}"
            f" ({100 * self.done / self.steps:.0f}%)] Data (t): {data:.3f} Batch (t): {batch:.3f},"
            f" {speed * self.world.size:.1f}/s, {speed:.1f}/s/{self.world.device.type}"
            f" LR: {rate:.2g}{losses} Loss: {total:.3f} ({self._total.item() / self.done:.3f})"
            f" ETA: {timedelta(seconds=round(left * batch))}"
        )
