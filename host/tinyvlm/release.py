# SPDX-License-Identifier: MIT
"""A release: a folder, or an address on the web, of files that `make release` made.

    release = Release("dist")                # or "https://example.org/tinyvlm-0.2.0"
    [file] = release.files("engine", "armv7emdp")
    release.path(file)                       # on this PC, and with the checksum of the manifest

Its manifest.json lists every file: name, kind, target, size, SHA-256, version and licence. What
comes from the web is kept in the user's cache, by its checksum. A ValueError is one sentence.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .files import write_atomic

MANIFEST = "manifest.json"
FORMAT = 1  # of manifest.json
LIMIT = 256 << 20  # bytes that one file may have
SECONDS = 60  # until a silent server counts as gone


@dataclass(frozen=True)
class File:
    """A file of a release. `more`: what else the manifest says of this kind of file."""

    name: str
    kind: str  # "wheel", "firmware", "virtual", "engine", "encoder", ...
    target: str  # the board, the core, the encoder, ...
    size: int
    sha256: str
    version: str
    licence: str
    more: dict = field(default_factory=dict, compare=False)


class Release:
    """What a manifest.json lists, and a way to its files."""

    def __init__(self, where: str | os.PathLike):
        self.where = str(where).rstrip("/") or "/"
        self.on_web = self.where.startswith(("http://", "https://"))
        if not self.on_web and Path(self.where).name == MANIFEST:
            self.where = str(Path(self.where).parent)
        try:
            manifest = json.loads(self._read(MANIFEST, LIMIT))
            self.format = manifest["format"]
            if self.format == FORMAT:
                self.version: str = manifest["version"]
                self.micropython: str = manifest["micropython"]
                self._files = [_file(entry) for entry in manifest["files"]]
        except FileNotFoundError:
            raise ValueError(
                f"{self.where}: no {MANIFEST} there, so this is not a release; in a clone, "
                "make release fills dist/"
            ) from None
        except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            raise ValueError(f"{self.where}: its {MANIFEST} is damaged; get it again") from None
        if self.format != FORMAT:
            raise ValueError(
                f"{self.where}: {MANIFEST} has format {self.format}, this tinyvlm reads {FORMAT}; "
                "install the wheel of that release"
            )

    def files(self, kind: str, target: str | None = None) -> list[File]:
        """The files of a kind, all or those for a target, in the order of the manifest."""
        found = (file for file in self._files if file.kind == kind)
        return [file for file in found if target in (None, file.target)]

    def one(self, kind: str, target: str | None = None) -> File:
        """The first file of a kind. ValueError if the release has none."""
        found = self.files(kind, target)
        if not found:
            of = f" for {target}" if target else ""
            there = ", ".join(file.target for file in self.files(kind)) or "none"
            raise ValueError(f"{self.where} has no {kind}{of}; it has: {there}")
        return found[0]

    def path(self, file: File) -> Path:
        """Where the file lies on this PC, whole. ValueError if it differs from the manifest."""
        if not self.on_web:
            path = Path(self.where, file.name)
            if not path.is_file():
                raise ValueError(f"{self.where}: {file.name} is missing there; get it again")
            self._check(file, path.read_bytes())
            return path
        path = _cache() / file.sha256 / PurePosixPath(file.name).name
        if path.is_file() and _sum(path.read_bytes()) == file.sha256:
            return path
        try:
            data = self._read(file.name, file.size)
        except FileNotFoundError:
            raise ValueError(f"{self.where}: {file.name} is missing there") from None
        self._check(file, data)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        return path

    def _check(self, file: File, data: bytes) -> None:
        if len(data) != file.size or _sum(data) != file.sha256:
            raise ValueError(
                f"{self.where}: {file.name} is damaged, its checksum is not the manifest's; "
                "get it again"
            )

    def _read(self, name: str, limit: int) -> bytes:
        if not self.on_web:
            return Path(self.where, name).read_bytes()
        url = f"{self.where}/{name}"
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                return answer.read(limit + 1)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise FileNotFoundError(url) from None
            raise ValueError(f"{url}: the server answers {error.code} {error.reason}") from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ValueError(f"{url}: cannot be fetched ({reason})") from None


def _file(entry: dict) -> File:
    known = dict(entry)
    first = [known.pop(name) for name in ("name", "kind", "target")]
    file = File(*first, *(known.pop(n) for n in ("size", "sha256", "version", "licence")), known)
    path = PurePosixPath(file.name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in file.name
    if not inside or ":" in file.name or len(file.sha256) != 64 or not file.sha256.isalnum():
        raise KeyError(file.name)
    return file


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tinyvlm" / "release"
