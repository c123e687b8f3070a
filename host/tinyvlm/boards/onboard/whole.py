# SPDX-License-Identifier: MIT
# Is a .tvlm or .tvp complete, by its own CRC? What an interrupted copy left is cleared away.
import binascii
import os


def whole(p):
    with open(p, "rb") as f:
        h = f.read(16)
        size = int.from_bytes(h[8:12], "little")
        if h[:4] not in (b"TVPR", b"TVLM") or os.stat(p)[6] < size:
            return False
        n, c = size - 16, 0
        while n > 0:
            b = f.read(min(n, 512))
            n -= len(b)
            c = binascii.crc32(b, c)
    return c == int.from_bytes(h[12:16], "little")


# A NAME.new without NAME is put in place if it is complete, else removed. A program has no CRC
# that would tell: without NAME it may be the board's only one, and it stays for the next copy.
def tidy(left):
    done = []
    for p in left:
        try:
            os.stat(p[:-4])
            os.remove(p)
        except OSError:
            if p[-7:] == ".py.new":
                pass
            elif whole(p):
                os.rename(p, p[:-4])
                done.append(p[:-4])
            else:
                os.remove(p)
    return done
