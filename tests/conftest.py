# SPDX-License-Identifier: MIT
"""What tests that run on the virtual board share. They talk to it through mpremote only."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import scale
from hypothesis import HealthCheck, settings
from mpremote.transport_serial import SerialTransport

from tinyvlm.device import encoder
from tinyvlm.virtual.board import Board

TOP = Path(__file__).resolve().parents[1]
LIMIT = 300  # seconds for one test that uses the board: ends a hang, however slow the machine

# hypothesis: no limit of time, which a busy machine exceeds, and the same examples in every run
settings.register_profile(
    "any machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser):
    parser.addoption(  # which readme.py looks for
        "--update-readme", action="store_true", help="write what commands print into README.md"
    )


class BoardUnderTest(Board):
    """A virtual board with two ways to reach it: in this process (fast), and the command."""

    transport = None

    def exec(self, code: str, timeout: float = 60) -> str:
        """Runs code on the board, in this process; returns what it printed."""
        if self.transport is None:
            self.transport = SerialTransport(self.port)
            self.transport.enter_raw_repl(soft_reset=False, timeout_overall=60)
        out, err = self.transport.exec_raw(code, timeout=timeout)
        if err:
            raise AssertionError(f"on the board:\n{err.decode()}")
        return out.decode().replace("\r\n", "\n").removesuffix("\n")

    def eval(self, expression: str):
        """The value of an expression on the board."""
        return eval(self.exec(f"print(repr(({expression})))"))

    def begin(self, code: str) -> None:
        """Runs code on the board and returns once it runs, not when it ends: see `interrupt`.

        The board says "OK" before it compiles, and a Ctrl-C that comes that early interrupts
        nothing: so the code's first words are awaited.
        """
        if self.transport is None:
            self.exec("")
        self.transport.exec_raw_no_follow(f"print('begun')\n{code}")
        said = self.transport.read_until(1, b"begun\r\n", timeout=60)
        assert said == b"begun\r\n", said

    def interrupt(self) -> None:
        """Sends Ctrl-C to what `begin` started, which must end by it."""
        self.transport.serial.write(b"\x03")
        _, error = self.transport.follow(timeout=60)
        assert b"KeyboardInterrupt" in error

    def await_reset(self) -> None:
        """Returns once a board that was told to reset greets again.

        A Ctrl-C that comes earlier, as mpremote sends it first of all, keeps it from resetting.
        """
        said = b""
        while b"MicroPython v" not in said:
            assert select.select([self._slave], [], [], 60)[0], said
            said += os.read(self._slave, 1024)

    def disconnect(self) -> None:
        """Leaves the port to others."""
        if self.transport is not None:
            self.transport.exit_raw_repl()
            self.transport.close()
            self.transport = None

    def mpremote(self, *arguments, timeout: float = 100, check: bool = True) -> str:
        """Runs `mpremote connect PORT arguments...`; returns its output."""
        self.disconnect()
        command = [sys.executable, "-m", "mpremote", "connect", self.port, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"{command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def close(self) -> None:
        if self.transport is not None:
            try:
                self.transport.close()
            except OSError:
                pass  # the board has ended before
            self.transport = None
        super().close()


def need(what: str, *part: str) -> None:
    """Skips the test where boards/packages.sh misses something of this part, and cannot get it."""
    command = [TOP / "boards" / "packages.sh", sys.executable, *part]
    packages = subprocess.run(command, capture_output=True, text=True)
    if packages.returncode:
        pytest.skip(f"no {what} here: {packages.stderr.strip()}")


def make(*arguments: str) -> str:
    """What make printed, although pytest may itself run under make. Skips where npm is offline."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    made = subprocess.run(
        ["make", *arguments], cwd=TOP, env=environment, capture_output=True, text=True, timeout=900
    )
    offline = re.search(r"code (ENOTFOUND|ECONN\w+|EAI_AGAIN|ETIMEDOUT)", made.stderr)
    if made.returncode and offline:
        pytest.skip(f"Node's packages cannot be fetched: {made.stderr[-300:]}")
    assert made.returncode == 0, (made.stdout + made.stderr)[-4000:]
    return made.stdout


def vitest(tests: str, folder: Path, **environment) -> dict:
    """What vitest reports of some of the page's tests, which all pass. folder: for its file."""
    report = folder / "vitest.json"
    command = ["node", "node_modules/vitest/vitest.mjs", "run", tests]
    done = subprocess.run(
        [*command, "--reporter=json", f"--outputFile={report}"],
        cwd=TOP / "web",
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
    )
    assert report.exists(), done.stdout + done.stderr
    said = json.loads(report.read_text())
    failed = [
        (one["title"], one["failureMessages"])
        for file in said["testResults"]
        for one in file["assertionResults"]
        if one["status"] != "passed"
    ]
    assert done.returncode == 0 and not failed, (failed, done.stdout + done.stderr)
    return said


@pytest.fixture(scope="session")
def firmware() -> Path:
    """The firmware, built when something in it changed."""
    need("compiler or emulator")
    make("board")
    return TOP / "build" / "board" / "firmware.elf"


@pytest.fixture(scope="session")
def web() -> Path:
    """The folder web/ with Node's packages, and the engine as WebAssembly in build/web/engine."""
    need("Node or clang", "web")
    make("build/web/engine/tinyvlm.wasm")
    return TOP / "web"


@pytest.fixture(scope="session")
def demo(firmware) -> str:
    """What `make demo` printed; build/demo, demo.log and demo.png are there then."""
    (TOP / "build" / "demo.log").unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tinyvlm.virtual.demo"],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def start_board(firmware):
    """A function that starts a board: start_board(romfs=..., flash=..., icount=True)."""
    boards = []

    def start(**options) -> BoardUnderTest:
        boards.append(BoardUnderTest(firmware, **options))
        return boards[-1]

    def late(*_):
        raise TimeoutError(f"the test took more than {LIMIT} seconds")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    yield start
    signal.alarm(0)
    for board in boards:
        board.close()


@pytest.fixture
def board(start_board) -> BoardUnderTest:
    """A fresh board with an empty filesystem."""
    return start_board()


@pytest.fixture(autouse=True, scope="module")
def encoder_in_use():
    """The encoder that a module's tests load for all of Python is in use for them alone."""
    before = encoder._default
    yield
    encoder._default = before


@pytest.fixture(scope="session")
def gloo():
    """Several processes can train together here, or the test is skipped."""
    try:
        socket.create_server(("127.0.0.1", 0)).close()
    except OSError as e:
        pytest.skip(f"gloo needs a local port: {e}")


@pytest.fixture(scope="session")
def open_clip():
    """open_clip, or the test is skipped."""
    pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    with scale.any_torchvision():
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    return pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
