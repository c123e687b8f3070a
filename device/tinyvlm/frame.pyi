from typing import Any, Final

GRAY8: Final[int]
RGB565_LE: Final[int]
RGB565_BE: Final[int]
RGB888: Final[int]
BGR888: Final[int]
YUYV: Final[int]

class Frame:
    buffer: Any
    width: int
    height: int
    format: int
    stride: int
    def __init__(
        self, buffer: Any, width: int, height: int, format: int | str, stride: int = 0
    ) -> None: ...
    @classmethod
    def open(cls, path: str) -> Frame: ...

def as_frame(thing: Any, side: int) -> Frame: ...
def frame_of(picture: Any) -> Frame: ...
