# SPDX-License-Identifier: MIT
# Checksums: (bytes, kind, hex), by sha256 where the board has it, else by crc32.
import binascii


def sums(paths):
    return [file_sum(p) for p in paths]


def file_sum(p):  # None if there is no such file
    try:
        with open(p, "rb") as f:
            return total(parts(f))
    except OSError as e:
        if e.args[0] != 2:
            raise


def romfs_sum(size):  # of the first bytes of the ROMFS partition
    import vfs

    v = memoryview(vfs.rom_ioctl(2, 0))
    return total(v[i : min(i + 512, size)] for i in range(0, size, 512))


def total(parts):
    n = c = 0
    try:
        import hashlib

        h = hashlib.sha256()
    except (ImportError, AttributeError):
        h = None
    for b in parts:
        n += len(b)
        if h:
            h.update(b)
        else:
            c = binascii.crc32(b, c)
    if h:
        return n, "sha256", binascii.hexlify(h.digest()).decode()
    return n, "crc32", "%08x" % c


def parts(f):
    b = bytearray(512)
    v = memoryview(b)
    while True:
        n = f.readinto(b)
        if not n:
            return
        yield v[:n]
