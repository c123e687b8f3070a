# Mounts the file system; flash that has none yet gets one. In QEMU flash cannot be written: there
# files live in RAM and end with it.
import sys

import board
import vfs


class RamDisk:
    def __init__(self, blocks):
        self.data = bytearray(512 * blocks)

    def readblocks(self, block, buf, offset=0):
        at = 512 * block + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = 512 * block + offset
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        return {4: len(self.data) // 512, 5: 512}.get(op, 0)


def mount(disk, new=False):
    if new:
        vfs.VfsLfs2.mkfs(disk)
    vfs.mount(disk, "/")


try:
    flash = board.Flash()
    try:
        mount(flash)
    except OSError:
        mount(flash, True)
except OSError as error:
    print("flash:", error, "- files are in RAM")
    mount(RamDisk(24), True)
sys.path.append("/lib")
