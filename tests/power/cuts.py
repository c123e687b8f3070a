# SPDX-License-Identifier: MIT
"""Power cuts, all of them: runs on MicroPython's unix port, on a LittleFS in RAM.

Every program and every erase of a change is counted, and the power goes at the n-th: before it, in
the middle of it (torn, at three places) or just after it; for every n until the change is through.
After each cut the file system is mounted anew and must hold the old file or the new one, complete.

tools/power.py writes given.py beside it.
"""

import sys

import vfs
from given import DEVICE, MOST, NEW, OLD, ONBOARD, SEED

sys.path.append(DEVICE)
from tinyvlm.vocab import Vocab  # noqa: E402


class Flash:
    """Erased bytes are 0xff and programming only clears bits, as flash does."""

    def __init__(self, block, prog, data):
        self.block, self.prog, self.data = block, prog, bytearray(data)
        self.left, self.torn = -1, 0  # operations until the power goes (-1: it stays); quarters

    def readblocks(self, n, buf, off=0):
        if self.left == 0:
            raise OSError(5)
        at = n * self.block + off
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def cut(self, size):
        # how many bytes of an operation get through
        if self.left == 0:
            raise OSError(5)
        if self.left > 0:
            self.left -= 1
            if self.left == 0:
                return size * self.torn // 4
        return size

    def writeblocks(self, n, buf, off=0):
        size, at = self.cut(len(buf)), n * self.block + off
        for i in range(size):
            self.data[at + i] &= buf[i]
        if self.left == 0:
            raise OSError(5)

    def ioctl(self, what, arg):
        if what == 4:
            return len(self.data) // self.block
        if what == 5:
            return self.block
        if what == 6:
            size, at = self.cut(self.block), arg * self.block
            self.data[at : at + size] = b"\xff" * size
            if self.left == 0:
                raise OSError(5)
        return 0


def mounted(flash):
    vfs.mount(vfs.VfsLfs2(flash, progsize=flash.prog, readsize=flash.prog, lookahead=16), "/f")


def save(vocab):
    vocab.save("/f/v.tvp")


def deploy(vocab):
    # what tinyvlm-deploy does: PATH.new, whole, and the rename
    with open("/f/v.tvp.new", "wb") as file:
        file.write(NEW)
    scope = {}
    exec(ONBOARD, scope)
    scope["switch"](["/f/v.tvp"])


def run(flash, change, before):
    """Every cut of one change; returns their number."""
    mounted(flash)
    for _ in range(before):  # LittleFS's log is elsewhere each time
        Vocab(OLD).save("/f/v.tvp")
    with open("/f/other", "wb") as file:
        file.write(OLD)
    vfs.umount("/f")
    start, cuts, n = bytes(flash.data), 0, 1
    while True:
        for torn in range(5):
            flash = Flash(flash.block, flash.prog, start)
            mounted(flash)
            vocab = Vocab(NEW)
            flash.left, flash.torn = n, torn
            through = True
            try:
                change(vocab)
            except OSError:
                through = False
            through = through and flash.left != 0
            vfs.umount("/f")
            # The power is back. What was open then is gone with the old object, which stays dead.
            flash = Flash(flash.block, flash.prog, flash.data)
            mounted(flash)
            found = bytes(Vocab("/f/v.tvp").prototypes()[0])
            assert found in ((NEW_ROWS,) if through else (OLD_ROWS, NEW_ROWS)), (n, torn)
            with open("/f/other", "rb") as file:
                assert file.read() == OLD
            Vocab(OLD).save("/f/v.tvp")  # and it goes on
            assert bytes(Vocab("/f/v.tvp").prototypes()[0]) == OLD_ROWS
            vfs.umount("/f")
            if through:
                return cuts
            cuts += 1
        n += 1


OLD_ROWS, NEW_ROWS = bytes(Vocab(OLD).prototypes()[0]), bytes(Vocab(NEW).prototypes()[0])
assert OLD_ROWS != NEW_ROWS
total, before = {}, SEED
while sum(total.values()) < MOST:
    for name, change in (("save()", save), ("deploy", deploy)):
        for block, prog in ((512, 16), (1024, 32), (4096, 128)):
            flash = Flash(block, prog, b"\xff" * (block * (32 if block < 4096 else 16)))
            vfs.VfsLfs2.mkfs(flash, progsize=prog, readsize=prog, lookahead=16)
            total[name] = total.get(name, 0) + run(flash, change, before)
    before += 1
print(total)
