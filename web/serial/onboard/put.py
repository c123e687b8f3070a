# SPDX-License-Identifier: MIT
# A file written piece by piece, in base64: begin(path), piece(text) ..., end().
import binascii


def begin(path):
    global f
    f = open(path, "wb")


def piece(text):
    try:
        f.write(binascii.a2b_base64(text))
    except Exception:
        f.close()
        raise


def end():
    f.close()
