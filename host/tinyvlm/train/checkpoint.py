# SPDX-License-Identifier: MIT
"""Checkpoints: safetensors files in the folder `checkpoints` of a run.

    epoch_N.safetensors       student (`student.` + name), `matrix`, `centre`, `image_centre`,
                              `log_scale`; metadata (JSON): configuration, epoch, step, checksum
    epoch_latest.safetensors  the same of the last epoch
    optimizer_N.safetensors   state of AdamW, needed to go on with training after epoch N

Every file is written under another name first, the optimizer's before the student's: whenever a
run is killed, the newest checkpoint is whole and has its optimizer.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tinyvlm import files
from tinyvlm.train import align, pretrained, slim
from tinyvlm.train.config import StudentConfig, TrainConfig, from_dict
from tinyvlm.train.student import Student

FOLDER, LATEST = "checkpoints", "epoch_latest.safetensors"
SPACE = ("matrix", "centre", "image_centre", "log_scale")


@dataclass
class Checkpoint:
    """A trained student and the space that it maps images to."""

    config: TrainConfig
    model: Student  # on the CPU, in eval mode
    matrix: np.ndarray  # (dim, 512) float32: CLIP's space minus the centre -> the student's
    centre: np.ndarray  # (512,) float32: of text vectors
    log_scale: np.ndarray  # (5,) float32: logarithm of each prefix's logit factor
    epoch: int
    step: int
    path: Path

    @property
    def student(self) -> StudentConfig:
        return self.config.student


def write(path: Path, tensors: dict[str, Tensor], info: dict) -> None:
    """A safetensors file that is there whole or not at all, with a checksum of its tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    info = {**info, "checksum": checksum(tensors)}
    save_file(tensors, whole, {k: json.dumps(v) for k, v in info.items()})
    files.replace(whole, path)


def read(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and metadata of a file that `write` made. SystemExit if it is none, or damaged."""
    try:
        with safe_open(path, "pt") as f:
            info = {k: json.loads(v) for k, v in (f.metadata() or {}).items()}
            tensors = {k: f.get_tensor(k) for k in f.keys()}
    except (SafetensorError, ValueError, RecursionError, OSError) as e:
        raise SystemExit(f"{path} is no checkpoint: {e}") from None
    if "checksum" in info and info["checksum"] != checksum(tensors):  # older files have none
        raise SystemExit(f"{path} is damaged (its checksum differs): take an earlier checkpoint")
    return tensors, info


def checksum(tensors: dict[str, Tensor], text: str = "") -> str:
    """CRC-32 of a text and the tensors' names, types, shapes and bytes, in hexadecimal."""
    crc = zlib.crc32(text.encode())
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), crc)
        crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), crc)
    return f"{crc:08x}"


def described(path: Path, info: dict) -> tuple[TrainConfig, int, int]:
    """(configuration, epoch, step) in a checkpoint's metadata. SystemExit: it is not ours."""
    try:
        config, epoch, step = from_dict(info["config"]), info["epoch"], info["step"]
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise SystemExit(
            f"{path} is no checkpoint of tinyvlm-train, or of another version: its metadata has"
            f" no configuration that is understood ({type(e).__name__}: {e})"
        ) from None
    if not all(type(count) is int and count >= 0 for count in (epoch, step)):
        raise SystemExit(f"{path} is no checkpoint: epoch {epoch!r}, step {step!r}")
    return config, epoch, step


def space_of(path: Path, tensors: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors SPACE of a checkpoint, of the shapes of `own`."""
    for key in SPACE:
        if key not in tensors or tensors[key].shape != own[key].shape:
            has = list(tensors[key].shape) if key in tensors else "none"
            raise SystemExit(
                f"{path} does not fit: its {key} has the shape {has}, not {list(own[key].shape)};"
                " is --text-vectors or --teacher another one?"
            )
    return {key: tensors[key] for key in SPACE}


def find(run: Path, which: str = "latest") -> Path:
    """The file of a run's checkpoint: `latest`, an epoch, or a path."""
    folder = run / FOLDER
    if which == "latest":
        if (folder / LATEST).exists():
            return folder / LATEST
        kept = sorted(folder.glob("epoch_*.safetensors"), key=lambda p: (len(p.name), p.name))
        if kept:
            return kept[-1]
        raise SystemExit(f"no checkpoint in {folder}: there is nothing to go on from")
    path = folder / f"epoch_{which}.safetensors" if which.isdigit() else Path(which)
    if path.is_dir():
        return find(path)
    if not path.exists():
        raise SystemExit(f"no checkpoint {path}")
    return path


def way_back(run: Path) -> str:
    """Where a run that went wrong can go on from."""
    try:
        return f"; the last good checkpoint is {find(run)} (--resume latest)"
    except SystemExit:
        return ""


def load(run: Path, which: str = "latest") -> Checkpoint:
    """Checkpoint `which` (latest, an epoch, or a file's path) of the folder `run`."""
    path = find(Path(run), str(which))
    tensors, info = read(path)
    config, epoch, step = described(path, info)
    model = Student(config.student).to(memory_format=torch.channels_last)
    fill(model, path, tensors, "its own configuration")
    if not all(key in tensors for key in SPACE):
        raise SystemExit(f"{path} is no checkpoint: it lacks {', '.join(SPACE)}")
    space = (tensors[k].numpy() for k in ("matrix", "centre", "log_scale"))
    return Checkpoint(config, model.eval(), *space, epoch, step, path)


def fill(model: Student, path: Path, tensors: dict[str, Tensor], what: str) -> None:
    """Give a student the tensors of a checkpoint; `what` says which student it must be."""
    try:
        model.load_state_dict(student_state(tensors))
    except RuntimeError as e:
        reason = str(e).splitlines()[-1].strip()
        raise SystemExit(f"{path} is of another student than {what}: {reason}") from None


def student_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The student's tensors among those of a file, by their own names."""
    return {k.removeprefix("student."): v for k, v in tensors.items() if k.startswith("student.")}


def save(
    run: Path,
    config: TrainConfig,
    student: Student,
    space: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    epoch: int,
    step: int,
) -> None:
    """Write the checkpoint of `epoch`; `space` has the tensors SPACE.

    SystemExit if one is not finite: whoever goes on from a checkpoint can trust it.
    """
    folder = run / FOLDER
    info = {"config": asdict(config), "epoch": epoch, "step": step}
    tensors = {f"student.{k}": v for k, v in student.state_dict().items()}
    tensors |= {k: space[k] for k in SPACE}
    bad = next((k for k, v in tensors.items() if not v.isfinite().all()), None)
    if bad:
        raise SystemExit(f"{bad} is not finite after epoch {epoch}: lower --lr{way_back(run)}")
    stays = config.save_frequency and epoch % config.save_frequency == 0
    if not stays and not config.save_most_recent and epoch < config.epochs:
        return
    write(folder / f"optimizer_{epoch}.safetensors", optimizer_tensors(optimizer), info)
    if stays or not config.save_most_recent:
        write(folder / f"epoch_{epoch}.safetensors", tensors, info)
    if config.save_most_recent:
        write(folder / LATEST, tensors, info)
    for path in folder.glob("optimizer_*.safetensors"):
        number = path.stem.removeprefix("optimizer_")
        if number != str(epoch) and not (folder / f"epoch_{number}.safetensors").exists():
            path.unlink()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """{"3.exp_avg": tensor ...}: the state of parameter 3 and so on."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, row in state.items() for k, v in row.items()}


def resume(
    path: Path, student: Student, space: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> tuple[int, int, TrainConfig]:
    """Fill student, space and optimizer from a checkpoint; (epoch, step, its configuration)."""
    tensors, info = read(path)
    config, epoch, step = described(path, info)
    fill(student, path, tensors, "--model")
    with torch.no_grad():
        for key, value in space_of(path, tensors, space).items():
            space[key].copy_(value)
    memory = path.with_name(f"optimizer_{epoch}.safetensors")
    if not memory.exists():
        raise SystemExit(f"{memory} is missing: start a new run with --init {path}")
    try:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": _rows(memory, optimizer)})
    except (ValueError, KeyError) as e:
        raise SystemExit(f"{memory} is the state of another optimizer: {e}") from None
    return epoch, step, config


def _rows(memory: Path, optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """The state of every parameter. ValueError if it is not of this optimizer's parameters."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    rows: dict[int, dict[str, Tensor]] = {}
    for key, value in read(memory)[0].items():
        number, _, name = key.partition(".")
        if not number.isdecimal() or int(number) >= len(params):
            raise ValueError(f"{key!r} is of none of its {len(params)} parameters")
        if value.numel() > 1 and value.shape != params[int(number)].shape:
            raise ValueError(f"{key!r} has the shape {list(value.shape)}")
        rows.setdefault(int(number), {})[name] = value
    for number, row in rows.items():
        if missing := {"step", "exp_avg", "exp_avg_sq"} - row.keys():
            raise ValueError(f"parameter {number} has no {min(missing)!r}")
    return rows


def warm_start(init: str, student: Student, space: dict[str, Tensor]) -> str:
    """Take what fits of another run or a pretrained body: tensors of the same name and shape.

    Says how many.  Of a student with more blocks or channels, those most like its own (align.py)
    and the most important ones (slim.py).
    """
    others: dict[str, Tensor] = {}
    if pretrained.kind_of(init):
        shape, state = pretrained.load(init)
    else:
        path = find(Path(init)) if Path(init).is_dir() else Path(init)
        others, info = read(path)
        shape, state = described(path, info)[0].student, student_state(others)
    own = student.state_dict()
    given, kept = set(state), None
    if len(shape.blocks) > len(student.config.blocks) and shape.scheme == "tflite":
        kept = align.align(shape.blocks, student.config.blocks)
        state = align.take(state, kept) if kept else state
    # A pretrained body comes without head, and without torch's count of batches.
    state = {k: v for k, v in own.items() if k not in state and not k.startswith("blocks")} | state
    state = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} | state
    if slim.is_narrower(state, own):
        state = slim.slim(state, own)
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    taken = sum(k.startswith("blocks.") or k in given for k in fits)
    student.load_state_dict(fits, strict=False)
    with torch.no_grad():
        for key in SPACE:
            if key in others and others[key].shape == space[key].shape:
                space[key].copy_(others[key])
    of = f" (blocks {', '.join(map(str, kept))})" if kept else ""
    return f"{taken} of {len(own)} tensors from {init}{of}"
