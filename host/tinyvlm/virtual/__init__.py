# SPDX-License-Identifier: MIT
"""The virtual Cortex-M7 board: QEMU with our firmware, and what is measured and shown on it.

board.py  starts it            cycles.py  an estimate of a real one's cycles
demo.py   names real photos    photos.py  the photos
"""
