# SPDX-License-Identifier: MIT
"""The folder of a run: config.json, params.txt, out.log, results.jsonl, tensorboard/, wandb/."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from tinyvlm.train import checkpoint
from tinyvlm.train.config import DIMS, PLACES, TrainConfig, to_json
from tinyvlm.train.distributed import World

log = logging.getLogger("tinyvlm")


def open_run(config: TrainConfig, world: World) -> None:
    """Make the folder, start out.log, write down the options."""
    run = config.run
    for old in log.handlers[:]:
        log.removeHandler(old)
    log.propagate = False
    if world.rank:
        log.setLevel(logging.ERROR)  # one process speaks for all
        log.addHandler(logging.StreamHandler())
        return
    log.setLevel(logging.INFO)
    if config.resume:
        checkpoint.find(run, config.resume)
    elif (run / checkpoint.FOLDER).exists():
        raise SystemExit(f"{run} is a run already: go on with --resume latest, or --name another")
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(run / "out.log")
    except OSError as e:
        raise SystemExit(f"{run} cannot be written ({e.strerror}): name another --logs") from None
    for handler in (logging.StreamHandler(sys.stdout), file):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
    if not config.resume:  # else once the checkpoint was taken: a wrong --model changes nothing
        write_options(config, world)


def write_options(config: TrainConfig, world: World) -> None:
    """config.json, to be given to --config, and params.txt, to be read."""
    if world.rank:
        return
    (config.run / "config.json").write_text(to_json(config))
    rows = sorted(asdict(config).items())
    (config.run / "params.txt").write_text("".join(f"{k}: {v}\n" for k, v in rows))


def tell_changes(before: TrainConfig, now: TrainConfig) -> None:
    """Say which options differ from those that the run was begun with."""
    old, new = asdict(before), asdict(now)
    for key in sorted(set(new) - set(PLACES)):
        if old[key] != new[key]:
            log.warning("%s was %s and is %s now", key, old[key], new[key])


def trim_results(run: Path, epoch: int, world: World) -> None:
    """Drop lines of epochs that will be made again."""
    file = run / "results.jsonl"
    if world.rank == 0 and file.exists():
        lines = file.read_text("utf-8", "replace").splitlines()
        file.write_text("".join(line + "\n" for line in lines if _is_of(line, epoch)))


def _is_of(line: str, epoch: int) -> bool:
    """Is a line of results.jsonl of an epoch up to this one? A torn line is of none."""
    try:
        return json.loads(line)["epoch"] <= epoch
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


class Reporter:
    """Where --report-to sends the figures of every epoch: tensorboard, wandb, both or neither."""

    def __init__(self, config: TrainConfig, world: World):
        self.board = self.wandb = None
        kinds = config.report_to.split(",") if config.report_to and not world.rank else ()
        if "tensorboard" in kinds:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise SystemExit(
                    "--report-to tensorboard needs: pip install tensorboard"
                ) from None
            self.board = SummaryWriter(str(config.run / "tensorboard"))
        if "wandb" in kinds:
            try:
                import wandb
            except ImportError:
                raise SystemExit("--report-to wandb needs: pip install wandb") from None
            self.wandb = wandb.init(
                project="tinyvlm", name=config.run.name, dir=config.run, config=asdict(config)
            )

    def add(self, row: dict) -> None:
        """The figures of an epoch; a value a prefix is called NAME/DIM."""
        flat = {}
        for key, value in (row | row["loss"]).items():
            if isinstance(value, int | float):
                flat[key] = value
            elif isinstance(value, list):
                flat |= {f"{key}/{dim}": x for dim, x in zip(DIMS, value, strict=True)}
        if self.board:
            for key, value in flat.items():
                self.board.add_scalar(key, value, row["step"])
            self.board.flush()
        if self.wandb:
            self.wandb.log(flat, step=row["step"])

    def close(self) -> None:
        """Their threads end now, not while the interpreter does."""
        if self.board:
            self.board.close()
        if self.wandb:
            self.wandb.finish()


def report(row: dict, run: Path, reporter: Reporter) -> None:
    """One line more in results.jsonl, and in the log."""
    with open(run / "results.jsonl", "a") as f:
        f.write(json.dumps(row) + "\n")
    log.info(json.dumps(row))
    reporter.add(row)
