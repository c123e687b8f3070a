# SPDX-License-Identifier: MIT
"""Zero-shot vision on microcontrollers, on the PC: the same calls and the same engine.

    import tinyvlm
    pets = tinyvlm.Vocab("pets.tvp")
    tinyvlm.classify("photo.jpg", pets)      # [('cat', 0.93), ('dog', 0.05), ...]

Where a board takes a frame, the PC also takes a path, a PIL image or a numpy array.
"""

from importlib import import_module

__version__ = "0.2.0"

# Looked up on first use: `tinyvlm-pack` starts without the engine, and nothing here needs torch.
_API = (
    *("Encoder", "Frame", "Heatmap", "Vocab", "classify", "classify_into", "detect", "embed"),
    *("heatmap", "info", "load", "pack", "profile", "selftest", "to_frame"),
)
_FORMATS = ("GRAY8", "RGB565_LE", "RGB565_BE", "RGB888", "BGR888", "YUYV")
_DEVICE = ("Smoother", *_FORMATS)

__all__ = [*_API, *_DEVICE]


def __getattr__(name: str):
    if name in _API:
        return getattr(import_module(".api", __name__), name)
    if name in _DEVICE:
        return getattr(import_module(".device", __name__), name)
    raise AttributeError(f"module 'tinyvlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
