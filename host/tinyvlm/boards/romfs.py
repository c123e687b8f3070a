# SPDX-License-Identifier: MIT
"""ROMFS images: mpremote's writer, with files of the root at multiples of 32 bytes.

    python -m tinyvlm.boards.romfs encoder.tvlm rom.romfs

The weights of a .tvlm load fastest from a multiple of 8 bytes; OpenMV's runtime uses a .tflite in
ROMFS where it lies, and wants 16, on some cameras 32. mpremote packs files at any address, and its
images are as correct: the engine reads weights at any, only slower. As OpenMV's own tool does, a
number is written with more bytes than it needs (leading 0x80) until the file behind it lies right.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mpremote.romfs import VfsRomWriter

from .ports import BoardError

ALIGN = 32


class _AlignedWriter(VfsRomWriter):
    """Files in the root lie at multiples of ALIGN; what is in folders lies anywhere."""

    HEAD = 16  # bytes before the root's first record, so that offsets are known while writing

    def mkfile(self, filename, filedata):
        if len(self._dir_stack) > 1:
            super().mkfile(filename, filedata)
            return
        head = self._encode_uint(len(filename)) + filename.encode("ascii")
        head += self._encode_uint(self.ROMFS_RECORD_KIND_DATA_VERBATIM)
        size, root = self._encode_uint(len(filedata)), self._dir_stack[-1][1]
        for padding in range(2 * ALIGN):
            payload = head + b"\x80" * padding + size + filedata
            record = self._pack(self.ROMFS_RECORD_KIND_FILE, payload)
            if (self.HEAD + len(root) + len(record) - len(filedata)) % ALIGN == 0:
                break
        root.extend(record)

    def finalise(self):
        _, data = self._dir_stack.pop()
        size = self._encode_uint(len(data))
        padding = self.HEAD - len(self.ROMFS_HEADER) - len(size)
        return self.ROMFS_HEADER + b"\x80" * padding + size + bytes(data)


def make_image(files: list[tuple[str, bytes]]) -> bytes:
    """An image of (path, content) pairs; paths begin with /rom/."""
    tree: dict = {}
    for path, data in files:
        *folders, name = path.split("/")[2:]
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
        here[name] = data
    writer = _AlignedWriter()

    def walk(folder: dict) -> None:
        for name, content in sorted(folder.items()):
            if not name.isascii():
                raise BoardError(f"{name}: ROMFS wants names in ASCII; rename the file")
            if isinstance(content, dict):
                writer.opendir(name)
                walk(content)
                writer.closedir()
            else:
                writer.mkfile(name, content)

    walk(tree)
    return writer.finalise()


def main(argv: list[str]) -> int:
    encoder, out = map(Path, argv)
    try:
        out.write_bytes(make_image([(f"/rom/{encoder.name}", encoder.read_bytes())]))
    except (BoardError, OSError) as error:
        print(f"romfs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
