# SPDX-License-Identifier: MIT
"""The STM32H7 boards: what MicroPython's makefile, compiler and linker make of them.

A whole firmware needs submodules of MicroPython that its source packages leave out. Set MPY_DIR to
a checkout that has them, and the last test here builds one; the others do without: they take the
flags from the port's own makefile, compile every source of the engine with them, and link it with
the board's linker script.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stm32 import BOARDS, INTERNAL, SHARED, TOP, NoBoard, gcc, variables

from tinyvlm.boards import romfs
from tinyvlm.boards.firmware import read_image
from tinyvlm.net import tvlm
from tinyvlm.shipped import DEFAULT_MODEL

sys.path.insert(0, str(SHARED))
import elf  # noqa: E402
import join  # noqa: E402
import report  # noqa: E402

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is missing"
)
DTCM = (0x20000000, 128 << 10)
NO_CODE = """
extern char _estack;
void Reset_Handler(void) { for (;;) { } }
__attribute__((section(".isr_vector"), used)) void *const vectors[] = { &_estack, Reset_Handler };
"""


@pytest.fixture(scope="module")
def micropython(tmp_path_factory) -> Path:
    """MicroPython's source, with or without submodules."""
    found = tmp_path_factory.mktemp("micropython") / "path"
    done = subprocess.run(
        [TOP / "boards" / "micropython.sh", found], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no source of MicroPython: {done.stderr.strip().splitlines()[-1]}")
    return Path(found.read_text().strip())


def setup_of(micropython, board) -> dict[str, str]:
    try:
        return variables(micropython, board)
    except NoBoard as refused:
        # a board that this MicroPython has not yet: it must say so
        assert f"{board} builds on" in str(refused) and "has it" in str(refused)
        pytest.skip(str(refused).splitlines()[0])


def test_the_portenta_has_what_its_start_up_calls(micropython):
    """MicroPython's board calls its network driver, which our firmware leaves out."""
    board = "ARDUINO_PORTENTA_H7_TINYVLM"
    folder = micropython / "ports" / "stm32" / "boards" / "ARDUINO_PORTENTA_H7"
    called = set(re.findall(r"\b(eth_\w+)\(", (folder / "board_init.c").read_text()))
    ours = TOP / "boards" / board / "no_ethernet.c"
    there = set(re.findall(r"^(?:int|void) (eth_\w+)\(", ours.read_text(), re.M))
    assert called and called <= there
    assert str(ours) in setup_of(micropython, board)["SRC_C"].split()


@pytest.fixture(scope="module")
def linked(micropython, tmp_path_factory) -> Path:
    """A build folder with the engine, linked as NUCLEO_H743ZI_TINYVLM's firmware would be."""
    build = tmp_path_factory.mktemp("linked") / "NUCLEO_H743ZI_TINYVLM"
    build.mkdir()
    board = variables(micropython, build.name)
    (build / "main.c").write_text(NO_CODE)
    objects = []
    for source in [build / "main.c", *sorted((TOP / "native").glob("tv_*.c"))]:
        objects.append(build / f"{source.stem}.o")
        # what native/micropython.mk adds for the engine's files
        flags = f"-I{TOP / 'native'} -O2 -Wextra -fno-math-errno"
        gcc(micropython, board["CFLAGS"], flags, "-c", source, "-o", objects[-1])
    # without -lm: the port has a libm of its own, and not all of it
    scripts = " ".join(f"-T{script}" for script in board["LD_FILES"].split())
    gcc(
        micropython, "-mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard -nostartfiles",
        f"-Lboards -L{board['LD_ISR_DIR']} {scripts} -Wl,--defsym=_estack_reserve=8",
        f"-Wl,-Map={build / 'firmware.map'} -o {build / 'firmware.elf'}", *objects, "-lc -lgcc",
    )  # fmt: skip
    sections = "-j .isr_vector -j .text -j .data -j .ARM"
    subprocess.run(
        f"arm-none-eabi-objcopy -O binary {sections} firmware.elf firmware.bin",
        shell=True, cwd=build, check=True,
    )  # fmt: skip
    assert romfs.main([str(DEFAULT_MODEL), str(build / "rom.romfs")]) == 0
    return build


@pytest.mark.parametrize("board", BOARDS)
def test_port_accepts_the_board(micropython, board):
    settings = setup_of(micropython, board)
    base = board.removesuffix("_TINYVLM") if "WEACT" not in board else "WEACTSTUDIO_MINI_STM32H743"
    assert settings["BOARD_PINS"] == f"boards/{base}/pins.csv"
    assert settings["FROZEN_MANIFEST"] == str(SHARED / "manifest.py")
    assert f"boards/{base}/board_init.c" in settings["SRC_C"].split()
    for name in ("MICROPY_PY_LWIP", "MICROPY_PY_SSL", "MICROPY_PY_BLUETOOTH"):
        assert settings[name] == "0"
    if not (micropython / "py" / "manifest.mk").exists():
        assert settings["USER_C_MODULES"] == str(TOP)


@pytest.mark.parametrize("board", BOARDS)
def test_configuration(micropython, board, tmp_path):
    """The compiler finds our mpconfigboard.h first; it has the port's, and what we change."""
    settings = setup_of(micropython, board)
    source = tmp_path / "config.c"
    source.write_text('#include "mpconfigboard.h"\n')
    said = gcc(micropython, settings["CFLAGS"], "-E -dM", source).splitlines()
    macros = {words[1]: words[2] for line in said if len(words := line.split(maxsplit=2)) == 3}
    assert "MICROPY_HW_CLK_PLLN" in macros
    assert "with tinyvlm" in macros["MICROPY_HW_BOARD_NAME"]
    assert "MICROPY_HW_ETH_MDC" not in macros
    assert macros["TINYVLM_ARENA_REGION"] == "(1)"
    assert macros["MICROPY_HW_ROMFS_ENABLE_PART0"] == "(1)"
    assert ("MICROPY_HW_ROMFS_ENABLE_INTERNAL_FLASH" in macros) == (board in INTERNAL)


@pytest.mark.parametrize("board", BOARDS)
def test_arena_is_all_of_dtcm(micropython, board, tmp_path):
    settings = setup_of(micropython, board)
    (tmp_path / "main.c").write_text(NO_CODE)
    gcc(micropython, "-mthumb -mcpu=cortex-m7 -c", tmp_path / "main.c", "-o", tmp_path / "main.o")
    scripts = " ".join(f"-T{script}" for script in settings["LD_FILES"].split())
    gcc(
        micropython, "-mthumb -mcpu=cortex-m7 -nostdlib", "-Lboards",
        f"-L{settings['LD_ISR_DIR']} {scripts} -Wl,--defsym=_estack_reserve=8",
        f"-Wl,-Map={tmp_path / 'a.map'} -o {tmp_path / 'a.elf'}", tmp_path / "main.o",
    )  # fmt: skip
    known, memories = elf.symbols(tmp_path / "a.elf"), elf.regions(tmp_path / "a.map")
    start, end = (known[name] for name in elf.ARENA)
    assert (start, end - start) == memories["DTCM"] == DTCM
    flash, ram = elf.sections(tmp_path / "a.elf")
    assert flash and elf.inside(ram, DTCM) == 0
    if board in INTERNAL:
        # the copy of a flash sector that the port keeps in DTCM elsewhere is out of the way
        cache = "_micropy_hw_internal_flash_storage_ram_cache"
        assert memories["RAM_D2"][0] == known[f"{cache}_start"]
        assert known[f"{cache}_end"] - known[f"{cache}_start"] == 128 << 10


def test_flash_is_divided_at_sectors(linked):
    """Firmware, ROMFS and files follow each other, at sectors of 128 KB, to the end of 2 MB."""
    known, memories = elf.symbols(linked / "firmware.elf"), elf.regions(linked / "firmware.map")
    romfs, room = (known[name] for name in elf.ROMFS)
    parts = [memories["FLASH"], (romfs, room)]
    parts.append((known[elf.FILES[0]], known[elf.FILES[1]] - known[elf.FILES[0]]))
    at = 0x08000000
    for start, length in parts:
        assert start == at and length % (128 << 10) == 0 and length
        at += length
    assert at == 0x08200000
    assert known["_heap_end"] - known["_heap_start"] >= 320 << 10


def test_engine_fits(linked):
    """The budget, from the objects: little flash, no RAM that is not the arena's."""
    objects = sorted(map(str, linked.glob("tv_*.o")))
    said = subprocess.run(
        ["arm-none-eabi-size", *objects], capture_output=True, text=True, check=True
    ).stdout
    rows = [[int(word) for word in line.split()[:3]] for line in said.splitlines()[1:]]
    assert len(rows) == len(list((TOP / "native").glob("tv_*.c")))
    assert 10_000 < sum(row[0] for row in rows) < 48 << 10
    assert sum(row[1] + row[2] for row in rows) == 0


def test_report(linked, capsys):
    assert report.main(linked, DEFAULT_MODEL) == 0
    said = capsys.readouterr().out
    table = {row[0]: row[1:] for row in report.rows(linked, DEFAULT_MODEL, 98304)}
    firmware, room = table["flash: firmware"]
    assert (linked / "firmware.bin").stat().st_size <= firmware + 16 and room == 640 << 10
    assert table["DTCM: arena"] == (98304, DTCM[1])
    romfs, room = table[f"chip flash: ROMFS with {DEFAULT_MODEL.name}"]
    assert DEFAULT_MODEL.stat().st_size < romfs < room == 1152 << 10
    assert f"{romfs:10}{room:10}{room - romfs:10}" in said


def test_an_encoder_for_cmsis_nn_fits(linked, tmp_path, capsys):
    """Its arena in DTCM, and its file in the flash that ours has."""
    path = tmp_path / "base-cmsis.tvlm"
    path.write_bytes(tvlm.to_bytes(tvlm.read(DEFAULT_MODEL), library=True))
    assert report.main(linked, path) == 0
    arena = tvlm.load(path).plan.arena_size
    assert f"{arena:10}{DTCM[1]:10}{DTCM[1] - arena:10}" in capsys.readouterr().out
    assert path.stat().st_size < 1152 << 10


def test_report_says_what_does_not_fit(linked, capsys, monkeypatch):
    rows = report.rows(linked, DEFAULT_MODEL, 1)
    monkeypatch.setattr(report, "rows", lambda *_: [*rows, ("DTCM: arena", 131073, 131072)])
    assert report.main(linked, DEFAULT_MODEL) == 1
    assert "does not fit" in capsys.readouterr().err


def test_one_image_for_both(micropython, linked):
    """What tinyvlm-flash reads from it: the firmware, and the ROMFS image in its place."""
    dfu = micropython / "tools" / "dfu.py"
    subprocess.run([sys.executable, SHARED / "join.py", linked, dfu], check=True)
    firmware, image = (linked / "firmware.bin").read_bytes(), (linked / "rom.romfs").read_bytes()
    segments = read_image(linked / "all.dfu").segments
    assert [address for address, _ in segments] == [0x08000000, 0x080A0000]
    assert segments[0][1][: len(firmware)] == firmware
    assert segments[1][1][: len(image)] == image
    whole = (linked / "all.bin").read_bytes()
    assert whole[: len(firmware)] == firmware and whole[640 << 10 :] == image
    assert set(whole[len(firmware) : 640 << 10]) == {0xFF}


def test_joining_refuses_what_overlaps():
    with pytest.raises(ValueError, match="the firmware has 9 bytes, ROMFS begins after 8"):
        join.join(bytes(9), b"", 8, 8)
    with pytest.raises(ValueError, match="ROMFS image has 9 bytes, its flash 8; take a smaller"):
        join.join(b"", bytes(9), 8, 8)


def test_manifest(micropython, monkeypatch):
    """The package and asyncio are frozen; MicroPython 1.29 hears of the C module here, too."""
    monkeypatch.syspath_prepend(micropython / "tools")
    import manifestfile

    def run(kind):
        variables = {"MPY_DIR": str(micropython), "MPY_LIB_DIR": ""}
        manifest = kind(manifestfile.MODE_FREEZE, variables)
        manifest.execute(str(SHARED / "manifest.py"))
        return {file.target_path for file in manifest.files()}

    class Newer(manifestfile.ManifestFile):
        modules = []

        def _manifest_globals(self, kwargs):
            return {**super()._manifest_globals(kwargs), "c_module": self.modules.append}

    names = run(Newer)
    package = {f"tinyvlm/{path.name}" for path in (TOP / "device" / "tinyvlm").glob("*.py")}
    assert package <= names and "asyncio/core.py" in names
    assert Newer.modules == [str(TOP / "native")]
    assert (TOP / "native" / "micropython.mk").exists()
    assert run(manifestfile.ManifestFile) == names


def firmware_sh(
    tmp_path, board="NUCLEO_H743ZI_TINYVLM", mpy="", encoder=DEFAULT_MODEL, library=""
):
    environment = {**os.environ, "MPY_DIR": str(mpy), "PYTHON": sys.executable}
    environment["CMSIS_NN"] = str(library)
    command = [TOP / "boards" / "firmware.sh", board, tmp_path / "built", encoder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and not (tmp_path / "built").exists() and not done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def tree(folder: Path, *modules: str) -> Path:
    """A MicroPython tree as far as the checks look."""
    for module in ("lib/stm32lib", "lib/tinyusb"):
        (folder / module).mkdir(parents=True)
    for module in modules:
        (folder / module / "README.md").touch()
    (folder / "ports" / "stm32").mkdir(parents=True)
    (folder / "ports" / "stm32" / "Makefile").write_text(
        "GIT_SUBMODULES += lib/libhydrogen lib/stm32lib lib/tinyusb\n"
    )
    return folder


def test_what_is_missing_is_said_in_one_line(tmp_path):
    assert "which board?" in (said := firmware_sh(tmp_path, "")) and all(b in said for b in BOARDS)
    assert "no board PYBV11 here" in firmware_sh(tmp_path, "PYBV11")
    assert "git clone" in firmware_sh(tmp_path)
    assert "is no MicroPython tree with an stm32 port" in firmware_sh(tmp_path, mpy=tmp_path)
    packaged = tree(tmp_path / "packaged")
    said = firmware_sh(tmp_path, mpy=packaged)
    assert f"{packaged} has no lib/stm32lib lib/tinyusb (a source package leaves them out)" in said
    checkout = tree(tmp_path / "checkout", "lib/tinyusb")
    (checkout / ".git").mkdir()
    said = firmware_sh(tmp_path, mpy=checkout)
    assert said.endswith(f": git -C {checkout} submodule update --init lib/stm32lib\n")
    whole = tree(tmp_path / "whole", "lib/stm32lib", "lib/tinyusb")
    said = firmware_sh(tmp_path, mpy=whole, encoder=tmp_path / "none.tvlm")
    assert "no encoder at ENCODER=" in said
    said = firmware_sh(tmp_path, mpy=whole, library=tmp_path)
    assert f"CMSIS_NN={tmp_path} has no include/arm_nnfunctions.h or no lib/libcmsis-nn.a" in said


def test_another_micropython_starts_from_scratch(tmp_path):
    """Else its objects and the ones of the tree before would be linked together."""
    built = tmp_path / "built"
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment |= {"PYTHON": sys.executable, "MICROPY_MPYCROSS": "none", "CMSIS_NN": ""}
    command = [TOP / "boards" / "firmware.sh", "NUCLEO_H743ZI_TINYVLM", built, DEFAULT_MODEL]
    for name in ("one", "two"):
        folder = tree(tmp_path / name, "lib/stm32lib", "lib/tinyusb")
        with (folder / "ports" / "stm32" / "Makefile").open("a") as file:
            count = "$(words $(wildcard $(BUILD)/*.o))"
            file.write(f"all:\n\ttouch $(BUILD)/{name}.o $(BUILD)/{count}.o\n")
    # the second .o of each run has as its name how many there were before
    for name, objects in (("one", "0 one"), ("one", "0 2 one"), ("two", "0 two")):
        environment["MPY_DIR"] = str(tmp_path / name)
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert "firmware.elf" in done.stderr  # which this makefile does not make
        assert " ".join(sorted(path.stem for path in built.glob("*.o"))) == objects


def test_debians_source_is_refused(micropython, tmp_path):
    """The tree that `make board` may have got: whole for the virtual board, not for this."""
    if any((micropython / "lib" / "stm32lib").iterdir()):
        pytest.skip("this MicroPython has its submodules")
    assert "lib/stm32lib" in firmware_sh(tmp_path, mpy=micropython)


@pytest.mark.skipif(
    not os.environ.get("MPY_DIR") or not list(Path(os.environ["MPY_DIR"]).glob("lib/stm32lib/*")),
    reason="a whole firmware needs MicroPython with its submodules: set MPY_DIR",
)
def test_whole_firmware(tmp_path):
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["boards/firmware.sh", "NUCLEO_H743ZI_TINYVLM", tmp_path / "built", DEFAULT_MODEL]
    done = subprocess.run(
        command, cwd=TOP, env=environment | {"PYTHON": sys.executable},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "DTCM: arena" in done.stdout
    assert len(read_image(tmp_path / "built" / "all.dfu").segments) == 2
