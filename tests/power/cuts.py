# SPDX-License-Identifier: MIT
"""Power cuts, all of them: runs on MicroPython's unix port, on a LittleFS and a ROMFS in RAM.

Every program and every erase of a change is counted, and the power goes at the n-th: before it, in
the middle of it (torn, at three places), just after it, or with the oldest block that was written
since the last sync not there, as of a flash that writes out of order; for every n until the change
is through. After each cut the file system is mounted anew and must hold the old file or the new
one, complete; ROMFS the old image, the new one or none.

tools/power.py writes given.py beside it.
"""

import sys

import vfs
from given import CP, DEVICE, ENCODERS, IMAGES, MOST, NEW, OLD, ONBOARD, ROMFS, SEED

sys.path.append(DEVICE)
import _tinyvlm  # noqa: E402

from tinyvlm.vocab import Vocab  # noqa: E402

IN_ORDER = 5  # 0 ... 4 quarters of the last operation get through
WAYS = 6  # and the oldest block does not


class Flash:
    """Erased bytes are 0xff and programming only clears bits, as flash does."""

    def __init__(self, block, prog, data):
        self.block, self.prog, self.data = block, prog, bytearray(data)
        self.left, self.way = -1, 0  # operations until the power goes (-1: it stays); how
        self.oldest = None  # block that was written first since the last sync, and what it held

    def readblocks(self, n, buf, off=0):
        if self.left == 0:
            raise OSError(5)
        at = n * self.block + off
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def cut(self, n, size):
        # how many bytes of an operation get through
        if self.left == 0:
            raise OSError(5)
        if self.left > 0:
            if self.way == 5 and self.oldest is None:
                self.oldest = n, self.data[n * self.block : (n + 1) * self.block]
            self.left -= 1
            if self.left == 0:
                return size * min(self.way, 4) // 4
        return size

    def end(self):
        # after an operation: was it the last one?
        if self.left == 0:
            if self.oldest is not None:
                n, held = self.oldest
                self.data[n * self.block : (n + 1) * self.block] = held
            raise OSError(5)

    def writeblocks(self, n, buf, off=0):
        size, at = self.cut(n, len(buf)), n * self.block + off
        both = int.from_bytes(buf[:size], "big") & int.from_bytes(self.data[at : at + size], "big")
        self.data[at : at + size] = both.to_bytes(size, "big")
        self.end()

    def erase(self, n):
        size, at = self.cut(n, self.block), n * self.block
        self.data[at : at + size] = b"\xff" * size
        self.end()

    def ioctl(self, what, arg):
        if what == 3:
            self.oldest = None
        if what == 4:
            return len(self.data) // self.block
        if what == 5:
            return self.block
        if what == 6:
            self.erase(arg)
        return 0


def mounted(flash):
    vfs.mount(vfs.VfsLfs2(flash, progsize=flash.prog, readsize=flash.prog, lookahead=16), "/f")


def save():
    Vocab(NEW).save("/f/v.tvp")


def deploy():
    # what tinyvlm-deploy does: PATH.new, whole, and the rename
    with open("/f/v.tvp.new", "wb") as file:
        file.write(NEW)
    scope = {}
    exec(ONBOARD, scope)
    scope["switch"](["/f/v.tvp"])


def copy():
    # what `mpremote cp` does: over the old file, a piece at a time. MicroPython's LittleFS, 2.8,
    # says where the new content is without waiting for it: out of order, the file is lost.
    scope = {}
    for line in CP:
        exec(line, scope)


def files(flash, change, before):
    """Every cut of one change; returns their number."""
    mounted(flash)
    for _ in range(before):  # LittleFS's log is elsewhere each time
        Vocab(OLD).save("/f/v.tvp")
    with open("/f/other", "wb") as file:
        file.write(OLD)
    vfs.umount("/f")
    start, cuts, n = bytes(flash.data), 0, 1
    while True:
        for way in range(IN_ORDER if change is copy else WAYS):
            flash = Flash(flash.block, flash.prog, start)
            mounted(flash)
            flash.left, flash.way = n, way
            through = True
            try:
                change()
            except OSError:
                through = False
            through = through and flash.left != 0
            vfs.umount("/f")
            # The power is back. What was open then is gone with the old object, which stays dead.
            flash = Flash(flash.block, flash.prog, flash.data)
            mounted(flash)
            found = bytes(Vocab("/f/v.tvp").prototypes()[0])
            assert found in ((NEW_ROWS,) if through else (OLD_ROWS, NEW_ROWS)), (n, way)
            with open("/f/other", "rb") as file:
                assert file.read() == OLD
            Vocab(OLD).save("/f/v.tvp")  # and it goes on
            assert bytes(Vocab("/f/v.tvp").prototypes()[0]) == OLD_ROWS
            vfs.umount("/f")
            if through:
                return cuts
            cuts += 1
        n += 1


class Partitions:
    """The module `vfs` as tinyvlm-deploy's code sees it: ROMFS on a Flash, mapped or as blocks."""

    def __init__(self, flash, mapped):
        self.flash, self.mapped = flash, mapped

    def umount(self, path):
        pass

    def rom_ioctl(self, what, part, *more):
        flash = self.flash
        if what == 2:
            return memoryview(flash.data) if self.mapped else flash
        if what == 6:
            return flash.block
        if what == 3:  # erase
            at, size = more if len(more) == 2 else (0, more[0])
            for n in range(at // flash.block, (at + size + flash.block - 1) // flash.block):
                flash.erase(n)
            return flash.prog
        if what == 4:  # write, a word of the flash at a time
            at, data = more
            for i in range(0, len(data), flash.prog):
                flash.writeblocks(0, data[i : i + flash.prog], at + i)
        return 0


def found_in(data):
    """The encoders that load in a ROMFS partition; none if nothing is mounted."""
    try:
        rom, found = vfs.VfsRom(data), []
    except OSError:
        return None
    for entry in rom.ilistdir(""):
        with rom.open(entry[0], "rb") as file:
            content = bytes(memoryview(file))
        try:
            _tinyvlm.Encoder(content)
            found.append(content)
        except ValueError:
            pass
    return found


def romfs(block, prog, mapped, before):
    """Every cut of an image that takes another one's place; returns their number."""
    old, new = IMAGES[before & 1], IMAGES[1 - (before & 1)]
    size = (max(len(old), len(new)) + block - 1) // block * block
    start, cuts, n = old + b"\xff" * (size - len(old)), 0, 1
    assert found_in(start) == [ENCODERS[before & 1]]
    pieces = ROMFS[1 - (before & 1)][16 if not mapped else prog]
    while True:
        for way in range(IN_ORDER):
            flash = Flash(block, prog, start)
            flash.left, flash.way = n, way
            sys.modules["vfs"] = Partitions(flash, mapped)
            through = True
            try:
                for piece in pieces:
                    exec(piece, {"print": len})
            except OSError:
                through = False
            sys.modules["vfs"] = vfs
            found = found_in(flash.data)
            if through:
                assert found == [ENCODERS[1 - (before & 1)]], (n, way)
                return cuts
            assert found in (None, [], [ENCODERS[0]], [ENCODERS[1]]), (n, way)
            cuts += 1
        n += 1


OLD_ROWS, NEW_ROWS = bytes(Vocab(OLD).prototypes()[0]), bytes(Vocab(NEW).prototypes()[0])
assert OLD_ROWS != NEW_ROWS
total, before = {}, SEED
while sum(total.values()) < MOST:
    for name, change in (("save()", save), ("deploy", deploy), ("cp", copy)):
        for block, prog in ((512, 16), (1024, 32), (4096, 128)):
            flash = Flash(block, prog, b"\xff" * (block * (32 if block < 4096 else 16)))
            vfs.VfsLfs2.mkfs(flash, progsize=prog, readsize=prog, lookahead=16)
            total[name] = total.get(name, 0) + files(flash, change, before)
    if before < SEED + 2:  # there and back: it has no log
        for block, prog, mapped in ((4096, 32, True), (512, 16, True), (1024, 16, False)):
            total["ROMFS"] = total.get("ROMFS", 0) + romfs(block, prog, mapped, before)
    before += 1
print(total)
