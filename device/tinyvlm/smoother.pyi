from collections.abc import Iterable
from typing import Any

class Smoother:
    alpha: float
    on: float
    off: float
    scores: dict[str, float]
    seen: set[str]
    changed: bool
    def __init__(self, alpha: float = 0.3, on: float = 0.5, off: float = 0.3) -> None: ...
    def reset(self) -> None: ...
    def __call__(self, found: Iterable[tuple[Any, ...]]) -> list[tuple[str, float]]: ...
