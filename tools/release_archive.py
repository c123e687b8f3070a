# SPDX-License-Identifier: MIT
"""Archives that are equal, byte by byte, whenever and wherever they are made from equal files.

Members are sorted by name, belong to nobody and have the date of SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile
from collections.abc import Mapping

FIRST = 315532800  # 1980-01-01, the oldest date that a .zip can hold


def zip_of(files: Mapping[str, bytes], epoch: int) -> bytes:
    """A .zip of name -> content."""
    out, date = io.BytesIO(), time.gmtime(max(epoch, FIRST))[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date)
            info.create_system, info.external_attr = 3, 0o644 << 16  # whatever this PC is
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return out.getvalue()


def same_tar(data: bytes, epoch: int) -> bytes:
    """A .tar.gz with the files of another one, which says who made it and when."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data)) as old,
        gzip.GzipFile("", "wb", 9, out, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.pax_headers = epoch, {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return out.getvalue()
