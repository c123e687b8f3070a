# SPDX-License-Identifier: MIT
"""The network: its graph, what it computes, where its tensors lie, and the file it is in.

graph.py      layers and shapes      reference.py  the integers that every engine computes
intake.py     from frame to image    limits.py     what the engine cannot do
schedule.py   rows and segments      plan.py       where each tensor lies in RAM
packing.py    weights as bytes       tvlm.py       the .tvlm file
tflite.py     the .tflite file       cost.py       cycles before there is a file
samples.py    nets of random weights  mlperf.py     MLPerf Tiny, MCUNet
"""
