# SPDX-License-Identifier: MIT
"""The CNN accelerator of the MAX78000: from a network to what the chip must be given.

layers.py      what a layer is        convert.py     a graph's layers in these terms
rules.py       what it cannot do      mapper.py      a graph as layers, one by one
weights.py     kernels and biases     place.py       processors and memory for them
registers.py   layer registers        plan.py        all of it as bytes for the driver
memory.py      where data lies        chip.py        driver and simulated chip
cycles.py      how long it takes      reference.py   what it computes
"""
