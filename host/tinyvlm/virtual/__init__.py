# SPDX-License-Identifier: MIT
"""The virtual Cortex-M7 board: QEMU with our firmware, and what is measured and shown on it.

board.py  starts it            count.py   what a frame costs on it
demo.py   names real photos    cycles.py  an estimate of a real one's cycles
photos.py the photos           onboard.py what count.py runs there
"""
