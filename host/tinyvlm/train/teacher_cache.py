# SPDX-License-Identifier: MIT
"""The folder of vectors that a teacher leaves for training (cache.py fills it).

It holds one `SHARD.safetensors` for each input shard: tensors `image` and, if the teacher
reads texts, `text`, (n, d) float16; metadata `ids` and `texts`, JSON lists of n, `teacher`, its
name, and `checksum`, CRC-32 of the tensors, ids and texts.

Several folders joined by `+` are read as one, with the vectors of CLIPs side by side (beside).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tinyvlm.files import write_atomic
from tinyvlm.train.checkpoint import checksum


@dataclass
class Cached:
    """One shard's vectors."""

    ids: list[str]
    image: np.ndarray | None  # (n, d) float16
    text: np.ndarray | None  # (n, d) float16
    texts: list[str] | None = None  # older files have none

    def row(self, key: str, index: int | None) -> np.ndarray | None:
        """Row `index` of `image` or `text`, zeros for None; None without such a tensor."""
        rows = getattr(self, key)
        if rows is None:
            return None
        # A view would keep all vectors of its shard in memory as long as the sample is.
        return np.zeros(rows.shape[1], rows.dtype) if index is None else rows[index].copy()

    def take(self, rows: list[int]) -> Cached:
        """Some of the samples."""
        image, text = (x if x is None else x[rows] for x in (self.image, self.text))
        texts = [self.texts[i] for i in rows] if self.texts else None
        return Cached([self.ids[i] for i in rows], image, text, texts)


def file(folder: Path, shard: str) -> Path:
    return folder / f"{shard}.safetensors"


def parts(folder: Path) -> list[Path]:
    """The folders of `A+B`; a folder that is there may have a + in its name."""
    return [folder] if folder.is_dir() else [Path(part) for part in str(folder).split("+")]


def some(folder: Path) -> Path | None:
    """Any of a folder's files."""
    return min(folder.glob("*.safetensors"), default=None)


def has(folder: Path, shard: str) -> bool:
    """Are a shard's vectors there, of all teachers?"""
    return all(file(part, shard).exists() for part in parts(folder))


def read(folder: Path, shard: str) -> Cached:
    """The vectors of a shard; none of them if it was not cached. ValueError: no cache at all."""
    found = []
    for part in parts(folder):
        path = file(part, shard)
        if not path.exists() and some(part) is None:
            raise ValueError(f"{part} holds no teacher's vectors; make them: tinyvlm-train cache")
        found.append(_open(path) if path.exists() else _open(some(part)).take([]))
    return found[0] if len(found) == 1 else beside(found, folder)


def beside(found: list[Cached], folder: Path) -> Cached:
    """Samples that all teachers have seen, with the vectors of all as one.

    So the cosine of two samples is the mean of the teachers' cosines. The length of a row is 1,
    if it was; it is zero if a teacher does not judge the image.
    """
    if any(one.image is None or one.text is None for one in found):
        raise ValueError(f"{folder}: only CLIPs, with vectors of images and texts, can be joined")
    rows = [{id: row for row, id in enumerate(one.ids)} for one in found]
    ids = [id for id in found[0].ids if all(id in row for row in rows)]
    found = [one.take([row[id] for id in ids]) for one, row in zip(found, rows, strict=True)]

    def joined(columns: list[np.ndarray]) -> np.ndarray:
        judged = np.all([column.any(1) for column in columns], axis=0)[:, None]
        wide = np.concatenate([column.astype(np.float32) for column in columns], axis=1)
        return (wide * judged / np.sqrt(len(columns))).astype(np.float16)

    image, text = joined([one.image for one in found]), joined([one.text for one in found])
    return Cached(ids, image, text, found[0].texts)


def name_in(folder: Path) -> str | None:
    """Name of the teacher whose vectors are in the folder, or names joined by `+`."""
    found = [_about(path)["teacher"] if (path := some(part)) else None for part in parts(folder)]
    return "+".join(found) if all(found) else None


def known(folder: Path, shard: str) -> list[tuple[str, str]] | None:
    """(id, text) of the samples of a shard; None if the folder does not say."""
    path = file(parts(folder)[0], shard)
    about = _about(path) if path.exists() else {}
    if "texts" not in about:
        return None
    return list(zip(json.loads(about["ids"]), json.loads(about["texts"]), strict=True))


def write(folder: Path, shard: str, cached: Cached, name: str) -> None:
    """Write a shard's vectors at once: an interruption leaves no part of a file."""
    from safetensors.numpy import save

    tensors = {"image": cached.image, "text": cached.text}
    tensors = {k: np.ascontiguousarray(v, np.float16) for k, v in tensors.items() if v is not None}
    about = {"ids": json.dumps(cached.ids), "teacher": name}
    if cached.texts is not None:
        about["texts"] = json.dumps(cached.texts)
    about["checksum"] = _checksum(tensors, about)
    write_atomic(file(folder, shard), save(tensors, about))


def _checksum(tensors: dict[str, np.ndarray], about: dict[str, str]) -> str:
    names = about["ids"] + about.get("texts", "")
    return checksum({k: torch.from_numpy(v) for k, v in tensors.items()}, names)


def _about(path: Path) -> dict[str, str]:
    """The metadata of a file. ValueError: it is none of a cache."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as f:
            about = f.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _none(path, error) from error
    if missing := {"ids", "teacher"} - about.keys():
        raise _none(path, f"it lacks {min(missing)}")
    return about


def _open(path: Path) -> Cached:
    from safetensors import SafetensorError, safe_open

    about = _about(path)
    try:
        with safe_open(path, "np") as f:
            tensors = {k: f.get_tensor(k) for k in ("image", "text") if k in f.keys()}
        ids, texts = (json.loads(about.get(key, "null")) for key in ("ids", "texts"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise _none(path, error) from error
    if "checksum" in about and about["checksum"] != _checksum(tensors, about):
        raise ValueError(
            f"{path} is damaged (its checksum differs): remove it, then `tinyvlm-train cache`"
            " makes it anew"
        )
    return Cached(ids, tensors.get("image"), tensors.get("text"), texts)


def _none(path: Path, reason: object) -> ValueError:
    return ValueError(f"{path} is not a file of teacher's vectors ({reason})")
