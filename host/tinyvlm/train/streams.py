# SPDX-License-Identifier: MIT
"""Shards that are streamed: URLs, and commands after `pipe:`, as open_clip and webdataset take.

    https://HOST/cc3m/{00000..00331}.tar                    curl fetches it
    s3://BUCKET/cc3m/{00000..00331}.tar                     so does `aws s3 cp`
    gs://BUCKET/cc3m/{00000..00331}.tar                     and `gsutil cat`
    'pipe:ssh HOST cat cc3m/{00000..00331}.tar'             or what you say: a shell runs it

A stream is read once from its beginning to its end, and nothing is known of it before.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tinyvlm.measure import labelled

Shard = Path | str  # a file, or a stream: a URL or pipe:COMMAND

SCHEME = re.compile(r"(https?|s3|gs)://|pipe:")
FILE = re.compile(r"""([^/\s'"=]+)/+([^/\s'"=]+)\.tar\b|([^/\s'"=]+)\.tar\b""")
BLOCK = 1 << 16


def is_stream(shard: Shard) -> bool:
    return isinstance(shard, str) and bool(SCHEME.match(shard))


def stem(shard: Shard) -> str:
    """The shard's name without .tar or .tar.gz, "" for a stream that has none."""
    if isinstance(shard, Path):
        return labelled.stem(shard)
    found = FILE.search(shard)
    return (found[2] or found[3]) if found else ""


def folder(shard: Shard) -> str:
    """Name of the folder that it lies in."""
    if isinstance(shard, Path):
        return shard.absolute().parent.name
    found = FILE.search(shard)
    return (found[1] or "") if found else ""


def size(shard: Shard) -> int | None:
    """Bytes of a file; None: a stream, or it is not there."""
    return shard.stat().st_size if isinstance(shard, Path) and shard.exists() else None


@contextmanager
def opened(shard: Shard) -> Iterator[IO[bytes]]:
    """The shard's bytes. OSError if it cannot be read, or, at the end, if its command failed."""
    from webdataset.gopen import gopen

    source = str(shard)
    if source.startswith("s3://"):
        source = f"pipe:aws s3 cp {shlex.quote(source)} -"
    with gopen(source) if isinstance(shard, Path) else _output(gopen(source)) as stream:
        yield stream


@contextmanager
def _output(pipe: Any) -> Iterator[IO[bytes]]:
    """What the command of webdataset's Pipe writes."""
    command, stream = pipe.proc, pipe.stream
    try:
        yield stream
        while stream.read(BLOCK):  # what follows the tar's end, or the command would fail
            pass
        if status := command.wait():
            raise OSError(f"its command ended with {status}")
    finally:
        command.terminate()
        stream.close()
        command.wait()
