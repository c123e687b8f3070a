# SPDX-License-Identifier: MIT
# A file's contents, printed in base64 piece by piece: RAM is for 768 bytes of it.
import binascii


def read(path):
    with open(path, "rb") as f:
        while True:
            b = f.read(768)
            if not b:
                break
            print(binascii.b2a_base64(b).decode(), end="")
