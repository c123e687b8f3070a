# SPDX-License-Identifier: MIT
"""Zero-shot vision on a microcontroller: name what the camera sees from a list of words.

    import tinyvlm
    pets = tinyvlm.Vocab("pets.tvp")            # made on the PC by tinyvlm-pack
    tinyvlm.classify(frame, pets)               # [('cat', 0.93), ('dog', 0.05), ...]
    tinyvlm.detect(frame, pets)                 # [('cat', 0.91, (20, 0, 71, 80))]
    pets.add("my mug", frame)                   # learnt by showing

The same package runs on MicroPython, on CircuitPython and on the PC: by the engine in C where the
firmware has it, by OpenMV's ml, or in plain Python with the same results.
"""

from .about import info, profile, selftest
from .encoder import Encoder, classify, classify_into, embed, load
from .frame import BGR888, GRAY8, RGB565_BE, RGB565_LE, RGB888, YUYV, Frame
from .locate import Heatmap, detect, heatmap
from .smoother import Smoother
from .vocab import Vocab

__version__ = "0.2.0"
__all__ = (
    "BGR888",
    "GRAY8",
    "RGB565_BE",
    "RGB565_LE",
    "RGB888",
    "YUYV",
    "Encoder",
    "Frame",
    "Heatmap",
    "Smoother",
    "Vocab",
    "classify",
    "classify_into",
    "detect",
    "embed",
    "heatmap",
    "info",
    "load",
    "profile",
    "selftest",
)
