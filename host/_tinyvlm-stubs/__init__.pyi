from typing import Any, Final

GRAY8: Final[int]
RGB565_LE: Final[int]
RGB565_BE: Final[int]
RGB888: Final[int]
BGR888: Final[int]
YUYV: Final[int]

class Encoder:
    size: int
    dim: int
    map: tuple[int, int] | None
    arena: int
    macs: int
    fingerprint: bytes
    info: str
    backend: str
    layers: int
    def __init__(self, buffer: Any) -> None: ...
    def embed(
        self, buf: Any, width: int, height: int, format: int, stride: int, out: Any
    ) -> None: ...
    def embed_map(
        self, buf: Any, width: int, height: int, format: int, stride: int, out: Any, map_out: Any
    ) -> None: ...
    def profile(
        self, buf: Any, width: int, height: int, format: int, stride: int, out: Any
    ) -> None: ...
    def selftest(self) -> bool: ...
    def layer(
        self, i: int
    ) -> tuple[str, str, tuple[int, int, int], tuple[int, int, int], int]: ...

def score(
    embedding: Any, vectors: Any, rows: int, stored_dim: int, bits: int, dim: int, out: Any
) -> None: ...
def weigh(cosines: Any, index: Any, count: int, factors: Any) -> None: ...
def largest(values: Any, rows: int, count: int, index: Any) -> int: ...
def rank(
    cosines: Any,
    labels: int,
    rows: int,
    how: Any,
    scores: Any,
    count: int,
    index: Any,
) -> int: ...
def best(
    embedding: Any,
    vectors: Any,
    labels: int,
    rows: int,
    stored_dim: int,
    bits: int,
    dim: int,
    shown: Any,
    shown_count: int,
    gains: Any,
    how: Any,
    count: int,
    index: Any,
    scores: Any,
) -> int: ...
def map_peaks(
    map: Any,
    cells: int,
    vectors: Any,
    rows: int,
    stored_dim: int,
    bits: int,
    dim: int,
    cosines: Any,
    peaks: Any,
    levels: Any,
) -> None: ...
def map_heat(
    map: Any,
    cells: int,
    vectors: Any,
    row: int,
    stored_dim: int,
    bits: int,
    dim: int,
    levels: Any,
    heat: Any,
) -> None: ...
def map_mean(map: Any, cells: int, mask: Any, out: Any) -> None: ...
def map_region(heat: Any, height: int, width: int, side: int, mask: Any, box: Any) -> None: ...
def crc32(buf: Any, crc: int = 0) -> int: ...

# On MicroPython only; `heap` says (free, largest block) in bytes.
def backends() -> list[str]: ...
def heap() -> tuple[int, int]: ...
