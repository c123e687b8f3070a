"""The module `camera` of tinyvlm's STM32H7 firmware (docs/boards/stm32-camera.md).

A MAX78000FTHR's has the same names, but PixelFormat.RGB565 alone and the sizes up to QCIF.
"""

from typing import Final

import tinyvlm

class PixelFormat:
    RGB565: Final[int]
    GRAYSCALE: Final[int]
    YUV422: Final[int]

class FrameSize:
    R96X96: Final[int]
    QQVGA: Final[int]
    R128X128: Final[int]
    QCIF: Final[int]
    HQVGA: Final[int]
    R240X240: Final[int]
    QVGA: Final[int]
    R320X320: Final[int]

class Frame(tinyvlm.Frame):
    """A picture, good until the next capture(); tinyvlm's functions take it as one of theirs."""

class Camera:
    pixel_width: int
    pixel_height: int
    pixel_format: int
    frame_size: int
    sensor_name: str | None
    fb_count: int
    def __init__(
        self, pixel_format: int = ..., frame_size: int | tuple[int, int] | None = None
    ) -> None: ...
    def capture(self) -> Frame: ...
    def reconfigure(
        self, pixel_format: int = ..., frame_size: int | tuple[int, int] | None = None
    ) -> None: ...
    def free_buffer(self) -> Camera: ...
    def deinit(self) -> None: ...
    def __enter__(self) -> Camera: ...
    def __exit__(self, *exc: object) -> None: ...
