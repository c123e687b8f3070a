# SPDX-License-Identifier: MIT
"""Counting what a frame costs on the virtual board: instructions, bytes of RAM, cycles.

QEMU counts instructions exactly, for every set of kernels in the firmware, whose answers are
compared. Bytes of RAM are seen by painting the arena before a frame. Cycles and frames/s are
estimates (cycles.py). `run` makes the report that `tinyvlm-bench --json` prints.
"""

from __future__ import annotations

import ast
import itertools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from mpremote.transport_serial import SerialTransport

from ..boards.romfs import make_image
from ..net import cost, samples, tvlm
from ..shipped import DEFAULT_DIM
from ..words import tvp
from . import cycles, m7
from .board import FIRMWARE, Board, VirtualBoardError, find_firmware

MHZ = 480  # of the fastest STM32H7
LABELS, DIM = 20, DEFAULT_DIM
# What cameras send: the first is resized to the encoder's size, the second is not.
FRAMES = [("160x120 RGB565", 160, 120, 2), ("96x96 RGB888", 96, 96, 3)]
PIXEL = (1, 2, 2, 3, 3, 2)  # bytes
FITTED = 16  # nets that the cost model is fitted on; tests take others
FITTED_WIDE = ((5, 7), (7, 5))  # kernels of as many more, in every size
FIT_RUNS = 3  # all of them at once are more than a ROMFS holds
LIBRARY = "cmsis-nn"  # backend that runs files of its own, where the firmware has it
ARENA = 128 << 10  # bytes of the board for one
OTHER_CORES = "dsp-m4"  # backend of loops that this core is not meant to run (conv_m4.c)
COMPARED = 4  # frames whose answers the backends must agree on

ON_BOARD = Path(__file__).with_name("onboard.py")


class Session:
    """The virtual board with models and frames in its ROMFS, for as long as a `with` lasts."""

    def __init__(
        self, firmware: Path, folder: Path, files: dict[str, bytes], plugin: str | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        image, self.files = folder / "rom.romfs", set(files)
        image.write_bytes(make_image([(f"/rom/{name}", data) for name, data in files.items()]))
        self.board = Board(firmware, romfs=image, icount=True, plugin=plugin)
        self.transport = SerialTransport(self.board.port)
        self.transport.enter_raw_repl(soft_reset=False)
        self.exec(ON_BOARD.read_text("utf-8"))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc) -> None:
        self.transport.close()
        self.board.close()

    def exec(self, code: str) -> str:
        out, error = self.transport.exec_raw(code, timeout=120)
        if error:
            raise VirtualBoardError(error.decode().strip().splitlines()[-1])
        return out.decode().strip()

    def eval(self, expression: str):
        return ast.literal_eval(self.exec(f"print(repr({expression}))"))


def frames() -> dict[str, bytes]:
    """Random pixels: the instruction count does not depend on them."""
    rng = np.random.default_rng(1)
    files = {}
    for i in range(COMPARED):
        _, width, height, format = FRAMES[i % len(FRAMES)]
        files[f"frame{i}"] = rng.bytes(width * height * PIXEL[format])
    return files


def vocabulary(data: bytes, dim: int) -> bytes:
    """A vocabulary of 20 labels for an encoder."""
    vectors = np.random.default_rng(2).integers(-127, 128, (LABELS, min(DIM, dim)), np.int16)
    labels = [f"label {i}" for i in range(LABELS)]
    words = tvp.Prototypes(labels, vectors.astype(np.int8), data[16:24], "bench")
    return tvp.to_bytes(words)


def has_library(firmware: Path) -> bool:
    """Is CMSIS-NN linked? VirtualBoardError: there is no firmware."""
    return LIBRARY.encode() in find_firmware(firmware).read_bytes()


def for_library(name: str, data: bytes) -> dict[str, bytes]:
    """The same encoder for CMSIS-NN, if its arena fits the board."""
    theirs = tvlm.to_bytes(tvlm.read(data), library=True)
    return {f"{name}.{LIBRARY}.tvlm": theirs} if tvlm.load(theirs).plan.arena_size <= ARENA else {}


def frame(i: int) -> str:
    """Arguments for the engine: frame i."""
    _, width, height, format = FRAMES[i % len(FRAMES)]
    return f"frame{i}, {width}, {height}, {format}, 0"


def measure(session: Session, name: str, data: bytes, brief: bool = False) -> dict:
    """Everything about one encoder but cycles. The board's answers are compared on the PC.

    brief: nothing is counted or compared, and the portable kernels are left out.
    """
    encoder = tvlm.load(data)
    for i in range(COMPARED):
        session.exec(f"frame{i} = read('frame{i}')")
    result = {
        "name": name,
        "file": len(data),
        "macs": encoder.macs,
        "arena": encoder.plan.arena_size,
        "map": encoder.graph.dense is not None,
        "unaligned": encoder.plan.fetched // 4 * m7.UNALIGNED,
        "layers": [],
        "backends": {},
    }
    answers = {}
    for backend in session.eval("_tinyvlm.backends()"):
        other = backend == LIBRARY and f"{name}.{LIBRARY}.tvlm" not in session.files
        if backend == OTHER_CORES or other or (backend == "portable" and brief):
            continue
        session.exec(f"open_encoder({name!r}, {backend!r})")
        if not result["layers"]:
            result["layers"] = _rows(session, encoder)
        if brief:
            result["backends"][backend] = {"frames": {FRAMES[0][0]: {}}}
            continue
        entry, counts = _count(session)
        for row in result["layers"]:
            row["instructions"][backend] = entry["dense"] if row["dense"] else counts[row["index"]]
        answers[backend] = b""
        for i in range(COMPARED):
            session.exec(f"run({frame(i)})")
            answers[backend] += bytes.fromhex(session.eval("hexed(out) + hexed(dense)"))
        if backend == LIBRARY:
            entry |= session.eval("{'file': core_size, 'arena': core.arena}")
        result["backends"][backend] = entry
    want = np.frombuffer(answers.pop("portable", b""), np.int8)
    got = [np.frombuffer(answer, np.int8) for answer in answers.values()]
    result["compared"] = want.size * len(got)
    result["differ"] = sum(int((g != want).sum()) for g in got)
    return result


def _count(session: Session) -> tuple[dict, list[int]]:
    """Instructions of the open encoder: the sums, and those of every layer."""
    entry = {"frames": {}}
    for i, (title, width, height, format) in enumerate(FRAMES):
        session.exec(f"core.profile({frame(i)}, times)")
        intake, *layers = session.eval("list(times)")
        session.exec(f"f = tinyvlm.Frame(frame{i}, {width}, {height}, {format})")
        entry["frames"][title] = {
            "intake": intake,
            "engine": session.eval(f"virt.count(core.embed, {frame(i)}, out)"),
            "frame": session.eval("virt.count(tinyvlm.classify, f, vocab)"),
        }
    entry["sum"] = sum(layers)
    entry["score"] = session.eval("virt.count(vocab.cosines, out)")
    # The dense layer alone: what a frame with the map takes more than one without it
    both = session.eval(f"virt.count(run, {frame(0)})")
    one = session.eval(f"virt.count(run_without, {frame(0)})")
    entry["dense"] = both - one if session.eval("core.map") else None
    entry["arena_used"] = session.eval(f"high_water(lambda: run({frame(0)}))")
    return entry, layers


def _rows(session: Session, encoder: tvlm.Encoder) -> list[dict]:
    """A row for every layer, and one for all that only the dense map needs."""
    rows, more = [], 0
    for index, layer in enumerate(encoder.graph.layers):
        said = session.eval(f"core.layer({index})")
        row = dict(zip(("name", "op", "in", "out", "macs"), said, strict=True)) | {"index": index}
        row |= {"dense": encoder.graph.is_dense(layer.name)}
        row |= {key: {} for key in ("instructions", "cycles", "lines", "ram_lines")}
        if row["dense"]:
            more += row["macs"]
            row["macs"] = more
        if not row["dense"] or layer.name == encoder.graph.dense:
            rows.append(row)
    return rows


def estimate(
    firmware: Path,
    folder: Path,
    files: dict[str, bytes],
    results: list[dict],
    brief: bool = False,
) -> None:
    """Add cycles to the results: of layers and of a frame of each format, for every backend.

    brief: of the camera's frame alone, and not of the dense layer.
    """
    folder.mkdir()
    seen = 1 if brief else len(FRAMES)
    program = cycles.program(firmware)
    written = folder / "counts.txt"
    plugin, cuts = cycles.build_plugin(folder), ":".join(f"{at:#x}" for at in program.cuts)
    places = []
    option = f"{plugin},mark={program.mark:#x},cut={cuts},out={written}"
    with Session(firmware, folder, files, option) as session:
        for result in results:
            for i in range(seen):  # in RAM, where a camera's are
                session.exec(f"frame{i} = bytearray(read('frame{i}'))")
            for backend in result["backends"]:
                session.exec(f"open_encoder({result['name']!r}, {backend!r})")
                places.append(session.eval("uctypes.addressof(times)"))
                session.exec(f"between_marks(core.profile, {frame(0)}, times)")
                if not brief:
                    session.exec(f"between_marks(run_without, {frame(0)})")
                    session.exec(f"between_marks(run, {frame(0)})")
                for i, (_, width, height, format) in reversed([*enumerate(FRAMES)][:seen]):
                    session.exec(f"f = tinyvlm.Frame(frame{i}, {width}, {height}, {format})")
                    session.exec("between_marks(tinyvlm.classify, f, vocab)")
                if result["map"]:  # of the camera's frame
                    session.exec("between_marks(tinyvlm.detect, f, vocab)")
    found = iter(cycles.read_counts(written)[1::2])
    for result in results:
        for backend in result["backends"]:
            entry = result["backends"][backend]
            profile, place = next(found), places.pop(0)
            entry["inner"] = program.inner(profile.every)
            for row in result["layers"]:
                at = place + 4 * (row["index"] + 1)
                if not row["dense"]:
                    row["cycles"][backend] = round(program.layer(profile.parts.get(at, {})))
                    fills = profile.fills.get(at, cycles.Fills())
                    row["lines"][backend], row["ram_lines"][backend] = fills.flash, fills.ram
            entry["cycles"] = sum(row["cycles"].get(backend, 0) for row in result["layers"])
            if not brief:
                _dense(result, backend, program, next(found), next(found))
            for title, _, _, _ in reversed(FRAMES[:seen]):
                counts = next(found)
                entry["frames"][title] |= _frame(program.estimate(counts.every))
                entry["frames"][title] |= {
                    "lines": counts.filled._asdict(),
                    "line_fills": counts.filled.flash * m7.LINE_FILL,
                    "qspi": counts.filled.qspi,
                }
            if result["map"]:
                entry["detect"] = round(program.estimate(next(found).every).cycles)


def _dense(
    result: dict,
    backend: str,
    program: cycles.Program,
    without: cycles.Counts,
    with_map: cycles.Counts,
) -> None:
    """The dense layer is not in a profile: what a frame with it takes more."""
    for row in result["layers"]:
        if row["dense"]:
            more = program.layer(with_map.every) - program.layer(without.every)
            row["cycles"][backend] = round(more)
            row["lines"][backend] = with_map.filled.flash - without.filled.flash


def _frame(one: cycles.Estimate) -> dict:
    top = sorted(one.functions.items(), key=lambda item: -item[1][1])
    return {
        "cycles": round(one.cycles),
        "fps": MHZ * 1e6 / one.cycles,
        "mca": None if one.mca is None else round(one.mca),
        "guessed": one.guessed,
        "functions": {name: {"instructions": n, "cycles": round(c)} for name, (n, c) in top[:24]},
    }


def engine_size(firmware: Path) -> dict:
    """Bytes of code and constants of the engine's object files, and of RAM that they hold."""
    objects = sorted((firmware.parent / "native").glob("tv_*.o"))
    objects = [path for path in objects if path.name != "tv_cmsis_nn.o"]  # only to compare
    command = ["arm-none-eabi-size", *map(str, objects)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines()[1:]]
    return {
        "text": sum(int(row[0]) for row in rows),
        "ram": sum(int(row[1]) + int(row[2]) for row in rows),
        "objects": {Path(row[5]).stem: int(row[0]) for row in rows},
    }


def run(
    encoders: dict[str, bytes],
    with_cycles: bool = True,
    firmware: Path = FIRMWARE,
    brief: bool = False,
    library: bool = True,
) -> dict:
    """Measure encoders; the report that --json prints.

    brief: cycles of the layers and of one frame alone, by all kernels but the portable ones.
    library: CMSIS-NN, too, where the firmware has it.
    """
    files = frames()
    library = library and has_library(firmware)
    for name, data in encoders.items():
        files[f"{name}.tvlm"] = data
        files |= for_library(name, data) if library else {}
        files[f"{name}.tvp"] = vocabulary(data, tvlm.load(data).test[1].size)
    report = {"mhz": MHZ, "models": [], "no_cycles": None if with_cycles else "not asked for"}
    with tempfile.TemporaryDirectory() as folder:
        with Session(firmware, Path(folder) / "count", files) as session:
            report["models"] = [measure(session, *item, brief) for item in encoders.items()]
        if with_cycles:
            try:
                where = Path(folder) / "cycles"
                estimate(firmware, where, files, report["models"], brief)
            except cycles.NoEstimate as error:
                report["no_cycles"] = str(error)
    return report | {"engine": engine_size(firmware)}


def fit(firmware: Path) -> dict:
    """Measure nets of many shapes for the cost model (net/cost.py) and fit it."""
    sizes = (96, 64, 96, 80)
    graphs = {f"net{seed}": samples.varied(seed, sizes[seed % 4]) for seed in range(FITTED)}
    for i, (size, kernels) in enumerate(itertools.product(sizes[1:], FITTED_WIDE)):
        graphs[f"wide{i}"] = samples.varied(44 + i, size, kernels=kernels)
    real = samples.base_like, samples.mobilenet_like, samples.max78000_like
    graphs |= {make.__name__: make() for make in real}
    encoders = {name: tvlm.to_bytes(graph) for name, graph in graphs.items()}
    results, measured = [], []
    for some in (dict(list(encoders.items())[i::FIT_RUNS]) for i in range(FIT_RUNS)):
        report = run(some, firmware=firmware, brief=True, library=False)
        if report["no_cycles"]:
            raise VirtualBoardError(f"cycles cannot be estimated: {report['no_cycles']}")
        results += report["models"]
    for result in results:
        backend = next(iter(result["backends"]))
        counts = [row["cycles"].get(backend, 0) for row in result["layers"]]
        loaded = tvlm.load(encoders[result["name"]])
        measured.append((loaded.graph, loaded.plan, counts))
    return cost.fit(measured)
