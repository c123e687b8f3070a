# SPDX-License-Identifier: MIT
"""The CNN accelerator of the MAX78000: from a network to what the chip must be given.

layers.py      what a layer is        registers.py   layer registers
weights.py     kernels and biases     memory.py      where data lies
cycles.py      how long it takes      reference.py   what it computes
"""
