from typing import Any

from .encoder import Encoder
from .frame import Frame

class Info:
    encoder: Encoder
    backend: str
    weights: int
    in_place: bool
    arena: int
    heap_free: int | None
    heap_used: int | None
    def __init__(self, encoder: Encoder) -> None: ...

class Profile:
    rows: list[tuple[str, tuple[int, int, int], float]]
    unit: str
    total: float
    def __init__(self, rows: list[tuple[str, tuple[int, int, int], float]], unit: str) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[str, tuple[int, int, int], float]: ...

def info() -> Info: ...
def profile(frame: Frame | Any | None = None) -> Profile: ...
def selftest() -> bool: ...
