# SPDX-License-Identifier: MIT
"""The virtual board by itself: what a user of mpremote does with any board."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tinyvlm.virtual import board as virtual
from tinyvlm.virtual.board import Board, VirtualBoardError

COMMAND = [sys.executable, "-m", "tinyvlm.virtual.board"]


def test_exec_prints(board):
    assert board.mpremote("exec", "print(6 * 7)") == "42\n"


def test_run_reports_an_exception(board, tmp_path):
    script = tmp_path / "bad.py"
    script.write_text("print('before')\n1 / 0\n")
    output = board.mpremote("run", script, check=False)
    assert "before" in output and "ZeroDivisionError" in output


def test_cp_there_and_back(board, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(random.Random(1).randbytes(20_000))
    board.mpremote("cp", there, ":file.bin")
    board.mpremote("cp", ":file.bin", back)
    assert back.read_bytes() == there.read_bytes()


def test_mount_and_import(board, tmp_path):
    (tmp_path / "hello.py").write_text("print('from the host')\n")
    assert "from the host" in board.mpremote("mount", tmp_path, "exec", "import hello")


def test_mip_installs_a_local_package(board, tmp_path):
    (tmp_path / "small.py").write_text("answer = 42\n")
    (tmp_path / "package.json").write_text('{"urls": [["small.py", "small.py"]], "version": "1"}')
    board.mpremote("mip", "install", "--no-mpy", tmp_path / "package.json")
    assert board.exec("import small; print(small.answer, small.__file__)") == "42 /lib/small.py"


def test_romfs_deploy_is_used_in_place(board, tmp_path):
    content = random.Random(2).randbytes(100_001)
    (tmp_path / "model.bin").write_bytes(content)
    board.mpremote("romfs", "deploy", tmp_path)
    board.mpremote("soft-reset")
    board.exec("import gc; gc.collect(); before = gc.mem_alloc()")
    board.exec("model = memoryview(open('/rom/model.bin', 'rb'))")
    assert board.eval("len(model), bytes(model[-9:])") == (len(content), content[-9:])
    heap = board.eval("(gc.collect(), gc.mem_alloc() - before)[1]")
    assert heap < 500  # bytes: the file, the memoryview, a name or two


def test_romfs_image_at_start(start_board, tmp_path):
    (tmp_path / "rom").mkdir()
    (tmp_path / "rom" / "words.txt").write_text("cat\ndog\n")
    image = tmp_path / "rom.img"
    subprocess.run(
        [sys.executable, "-m", "mpremote", "romfs", "-o", image, "build", tmp_path / "rom"],
        check=True,
        timeout=30,
    )
    board = start_board(romfs=image)
    assert board.eval("open('/rom/words.txt').read()") == "cat\ndog\n"


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(600)"])
def test_ctrl_c_returns_to_the_repl(board, code):
    board.exec("kept = 1")
    board.begin(code)
    time.sleep(0.2)
    board.interrupt()
    assert board.exec("print(kept)") == "1"


def test_soft_reset(board):
    board.exec("variable = 1; open('kept', 'w').close()")
    board.mpremote("soft-reset")
    assert board.eval("'variable' in globals()") is False
    assert board.exec("import os; print(os.listdir())") == "['kept']"


def test_hard_reset(board):
    board.exec("variable = 1; open('kept', 'w').close()")
    board.mpremote("reset")
    board.await_reset()
    assert board.eval("'variable' in globals()") is False
    assert board.exec("import os; print(os.listdir())") == "['kept']"


def test_memory_is_an_stm32h743s(board):
    board.exec("import gc, virt")
    regions = {name: (size, used) for name, _, size, used in board.eval("virt.memory()")}
    assert regions["arena"] == (128 << 10, 0)
    assert regions["flash"][0] == 2 << 20
    assert regions["heap"][0] == 320 << 10
    assert regions["data"][0] + regions["stack"][0] <= 64 << 10
    heap = board.eval("gc.mem_alloc() + gc.mem_free()")
    assert 0.97 * (320 << 10) < heap <= 320 << 10  # the rest is MicroPython's allocation table
    print({name: used for name, (_, used) in regions.items() if used})


def test_nothing_but_the_arena_lies_in_its_region(board):
    # Linker symbols say so; the firmware's own memory has to survive the test of it.
    board.exec("import machine")
    start = board.exec("import virt; print(virt.memory()[1][1])")
    board.exec(f"for i in range(0, 131072, 4): machine.mem32[{start} + i] = 0x55555555")
    assert board.exec("print('alive')") == "alive"


def test_recursion_is_an_exception(board):
    board.exec("def f(n): return f(n + 1)")
    _, err = board.transport.exec_raw("f(0)")
    assert b"maximum recursion depth exceeded" in err


@pytest.mark.parametrize(
    "code, register",
    [
        ("machine.mem32[0xf0000000]", "BFAR=f0000000"),  # nothing there
        ("machine.mem32[0x20] = 0", "HardFault"),  # flash cannot be written
        ("machine.mem32[0x300000]", "MMFAR=00300000"),  # behind the 2 MB of flash
    ],
)
def test_a_fault_ends_the_board_and_says_why(board, code, register):
    output = board.mpremote("exec", "import machine; " + code, check=False)
    assert "Error" in output or "rror:" in output
    assert board.wait(timeout=60) == 1
    assert register in board.stderr()


def test_output_that_nobody_reads_does_not_block(start_board, tmp_path):
    flash = tmp_path / "flash"
    board = start_board(flash=flash)
    main = "print('x' * 100000)\nimport machine\nmachine.mem32[0xf0000000]\n"
    board.exec(f"with open('main.py', 'w') as f: f.write({main!r})")
    board.close()
    board = start_board(flash=flash)
    assert board.wait(timeout=60) == 1  # by the fault after the print
    assert "BFAR=f0000000" in board.stderr()


def test_flash_survives_a_pulled_plug(start_board, tmp_path):
    flash = tmp_path / "flash"
    board = start_board(flash=flash)
    board.exec("with open('kept.txt', 'w') as f: f.write('still here')")
    board.kill()
    board = start_board(flash=flash)
    assert board.eval("open('kept.txt').read()") == "still here"


def test_a_number_that_resizes_the_buffer(board):
    """A block number's __int__() may do anything: the buffer is looked at afterwards."""
    board.exec(
        "import virt\n"
        "class Number:\n"
        "    def __int__(self):\n"
        "        buffer.extend(bytes(8000))\n"
        "        return 0\n"
        "buffer, wall = bytearray(16), bytearray(2000)\n"  # it cannot grow where it is
        "flash = virt.Flash()\n"
        "wanted = bytearray(8016)\n"
        "print(flash.readblocks(0, wanted, 0), flash.readblocks(Number(), buffer, 0))"
    )
    assert board.eval("any(wanted)") and board.eval("buffer == wanted")


def test_plug_pulled_while_writing(start_board, tmp_path):
    """Whenever the power goes: the filesystem mounts, and a file is as before or as after."""
    flash = tmp_path / "flash"
    board = start_board(flash=flash)
    board.exec("with open('counter', 'w') as f: f.write('0')")
    write = (
        "n = int(open('counter').read())\n"
        "while True:\n"
        "    n += 1\n"
        "    with open('counter', 'w') as f: f.write(str(n))\n"
        "    print('.', end='')\n"
    )
    last = 0
    for turn in range(8):
        board.begin(write)
        assert board.transport.read_until(1, b".") == b"."
        time.sleep(0.013 * turn)
        board.close()
        board = start_board(flash=flash)
        now = board.eval("int(open('counter').read())")
        assert now > last
        last = now


def test_romfs_is_kept_in_the_flash_file(start_board, tmp_path):
    (tmp_path / "rom").mkdir()
    (tmp_path / "rom" / "a.txt").write_text("a")
    board = start_board(flash=tmp_path / "flash")
    board.mpremote("romfs", "deploy", tmp_path / "rom")
    board.kill()
    board = start_board(flash=tmp_path / "flash")
    assert board.eval("open('/rom/a.txt').read()") == "a"


LOOP = """
import micropython, virt
@micropython.asm_thumb
def loop(r0):
    label(AGAIN)
    sub(r0, r0, 1)
    nop()
    cmp(r0, 0)
    bne(AGAIN)
"""


def test_instructions_are_counted_exactly(start_board):
    board = start_board(icount=True)
    board.exec(LOOP)
    once = board.eval("virt.count(loop, 1)")
    # A million turns last longer than 250 interrupts of the console, none of which is counted.
    for turns in (2, 10, 1_000, 1_000_000, 1_000_000):
        assert board.eval(f"virt.count(loop, {turns})") == once + 4 * (turns - 1)


def test_ticks_cpu_are_instructions(start_board):
    board = start_board(icount=True)
    board.exec("import time\n" + LOOP)
    board.exec("def t(n):\n a = time.ticks_cpu()\n loop(n)\n return time.ticks_cpu() - a")
    board.exec("t(1)")  # MicroPython remembers where it found a name
    assert board.eval("t(100001) - t(1)") == 400_000


def test_ctrl_c_while_counting(start_board):
    board = start_board(icount=True)
    board.exec("import virt\ndef forever():\n while True: pass")
    board.begin("virt.count(forever)")
    time.sleep(0.2)
    board.interrupt()


def test_no_count_without_icount(board):
    assert (
        board.exec("import virt; print(virt.count(abs, -1), virt.instructions())") == "None None"
    )


def test_time_is_real_without_icount(board):
    start = time.monotonic()
    board.exec("import time; a = time.ticks_us(); time.sleep_ms(300); b = time.ticks_us()")
    us = board.eval("time.ticks_diff(b, a)")
    assert 0.3e6 <= us <= (time.monotonic() - start) * 1e6


def test_command_prints_the_port_and_cleans_up(firmware, tmp_path):
    link = tmp_path / "board"
    command = [*COMMAND, "--link", link, "--flash", tmp_path / "flash"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == f"mpremote connect {link}\n"
        mpremote = [sys.executable, "-m", "mpremote", "connect", link, "exec", "print(1)"]
        assert subprocess.run(mpremote, capture_output=True, timeout=60).stdout == b"1\r\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert not os.path.lexists(link)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--firmware", "nowhere.elf"], "no firmware at nowhere.elf: run `make board`"),
        (["--firmware", "small"], "QEMU ended at once: "),
        (["--romfs", "nowhere.img"], "no ROMFS image at nowhere.img"),
        (["--flash", "nowhere/flash"], "cannot write the flash file nowhere/flash"),
        (["--flash", "small"], "small is not a flash file: it has 5 bytes"),
    ],
)
def test_what_is_missing_is_one_sentence(firmware, tmp_path, arguments, sentence):
    (tmp_path / "small").write_text("small")
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.count("\n") == 1


def test_an_installed_package_has_no_make(monkeypatch, tmp_path):
    """Nor does it show where a clone's firmware would lie: lib/python3.13/build/board."""
    monkeypatch.setattr(virtual, "CHECKOUT", tmp_path)
    monkeypatch.setattr(virtual, "FIRMWARE", tmp_path / "build" / "firmware.elf")
    with pytest.raises(VirtualBoardError) as error:
        virtual.find_firmware(virtual.FIRMWARE)
    assert str(error.value) == "no firmware here: give a release by --from DIR or URL"
    with pytest.raises(VirtualBoardError, match="^no firmware at mine.elf: give a release by"):
        virtual.find_firmware("mine.elf")


def test_qemu_missing(firmware, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VirtualBoardError, match="apt-get install qemu-system-arm"):
        Board(firmware)
