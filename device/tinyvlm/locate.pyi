from array import array
from typing import Any

from .frame import Frame
from .vocab import Vocab

class Heatmap:
    label: str
    box: tuple[int, int, int, int]
    height: int
    width: int
    values: array[float]
    def __init__(
        self, label: str, box: tuple[int, int, int, int], height: int, width: int, values: Any
    ) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> array[float]: ...
    def peak(self) -> tuple[int, int]: ...

def detect(
    frame: Frame | Any, vocab: Vocab, threshold: float | None = None
) -> list[tuple[str, float, tuple[int, int, int, int]]]: ...
def heatmap(frame: Frame | Any, label: str | int, vocab: Vocab) -> Heatmap: ...
