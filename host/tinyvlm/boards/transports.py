# SPDX-License-Identifier: MIT
"""Two ways to a MicroPython board's prompt: mpremote's transport (default) and adafruit-ampy.

Both run a piece of code, put a file and reset the board softly. What differs between them stays
in here, exceptions included: all that goes wrong with the line is a LinkLost, all that the board
says about our code an OnBoard.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import struct
import time

from ..shipped import extra
from .ports import BoardError, check_port

PATIENCE = 4  # a line that never falls silent is given up after so many times the usual
QUIET = 3  # seconds without an expected byte until the board counts as gone
CHUNK = 1024  # bytes of a file that travel in one piece through mpremote


class _Noise(OSError):
    """There is no end of what comes in."""


class _Limit:
    """A time limit on a serial port. mpremote has one for silence only; noise never ends."""

    def __init__(self, serial):
        self._end = None
        self._read, self._waiting = serial.read, serial.inWaiting
        serial.read = lambda size=1: self._checked(self._read, size)
        serial.inWaiting = lambda: self._checked(self._waiting)

    def _checked(self, call, *more):
        if self._end is not None and time.monotonic() > self._end:
            raise _Noise
        return call(*more)

    @contextlib.contextmanager
    def __call__(self, seconds: float):
        self._end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._end = None


class LinkLost(BoardError):
    """The board does not answer any more."""


class OnBoard(BoardError):
    """An exception on the board; str() is its last line, `errno` its number if it has one."""

    def __init__(self, traceback: str):
        self.traceback = traceback.strip()
        last = self.traceback.splitlines()[-1] if self.traceback else "unknown error"
        found = re.match(r"OSError: (?:\[Errno )?(\d+)", last)
        self.errno = int(found[1]) if found else None
        super().__init__(last)


class Link:
    """A prompt of a board. `can_romfs` says whether this way can write ROMFS."""

    can_romfs = False

    def __init__(self, port: str):
        check_port(port)
        self.port = port

    def __enter__(self):
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def run(self, code: str, timeout: float = 30) -> str:
        """What the code prints. Nothing that it defines is there for the next call."""
        raise NotImplementedError

    def put(self, path: str, data: bytes) -> None:
        """Write a file as it is, no care taken."""
        raise NotImplementedError

    def soft_reset(self) -> None:
        """Start MicroPython anew; boot.py runs, main.py does not."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def value(self, code: str, timeout: float = 30):
        """The Python literal that the code prints last."""
        text = self.run(code, timeout)
        try:
            return ast.literal_eval(text.strip().splitlines()[-1])
        except (IndexError, SyntaxError, ValueError):
            raise LinkLost(f"{self.port}: the answer was garbled: {text.strip()[:60]!r}") from None

    def _silent(self, heard: str) -> BoardError:
        if heard.strip("\r\n b'\""):
            return BoardError(
                f"{self.port} answers, but not as MicroPython does ({heard.strip()[:60]}); "
                "is MicroPython on this board? tinyvlm-flash puts it there"
            )
        return BoardError(
            f"{self.port}: no answer; is it the right port, and is the board running? "
            "Press its reset button and try again"
        )

    def _busy(self) -> BoardError:
        return BoardError(
            f"{self.port} is used by another program; close it (a terminal, Thonny, mpremote)"
        )


class MpremoteLink(Link):
    can_romfs = True

    def __init__(self, port: str):
        super().__init__(port)
        from mpremote.transport import TransportError
        from mpremote.transport_serial import SerialTransport

        self._errors = (TransportError, OSError, struct.error)
        try:
            self.transport = SerialTransport(port, timeout=QUIET)
        except TransportError:
            raise self._busy() from None
        self.transport.serial.write_timeout = QUIET
        self._limit = _Limit(self.transport.serial)
        heard = io.StringIO()
        try:
            # The first proves that somebody is there, the second frees what a program left in RAM.
            with contextlib.redirect_stdout(heard), self._limit(PATIENCE * QUIET):
                self.transport.enter_raw_repl(soft_reset=False, timeout_overall=QUIET)
                self.transport.enter_raw_repl(soft_reset=True)
        except self._errors:
            self.close()
            raise self._silent(heard.getvalue()) from None

    def run(self, code: str, timeout: float = 30) -> str:
        with self._guard(timeout):
            out, err = self.transport.exec_raw(code, timeout=timeout)
        if err:
            raise OnBoard(err.decode(errors="replace"))
        return out.decode(errors="replace").replace("\r\n", "\n")

    def put(self, path: str, data: bytes) -> None:
        from mpremote.commands import show_progress_bar

        with self._guard(30 + len(data) / 1000):
            try:
                self.transport.fs_writefile(path, data, CHUNK, progress_callback=show_progress_bar)
            except OSError as error:
                if error.args[1:] != (path,):
                    raise
                raise OnBoard(f"OSError: {error.errno}") from None  # mpremote translated it

    def soft_reset(self) -> None:
        with self._guard(30), contextlib.redirect_stdout(io.StringIO()):
            self.transport.enter_raw_repl(soft_reset=True)

    def close(self) -> None:
        with contextlib.suppress(*self._errors), self._limit(QUIET):
            if self.transport.in_raw_repl:
                self.transport.exit_raw_repl()
        with contextlib.suppress(*self._errors):
            self.transport.close()

    @contextlib.contextmanager
    def _guard(self, seconds: float):
        from mpremote.transport import TransportExecError

        try:
            with self._limit(PATIENCE * seconds):
                yield
        except TransportExecError as error:
            raise OnBoard(error.error_output) from None
        except self._errors:
            raise LinkLost(f"{self.port}: the board does not answer any more") from None


class AmpyLink(Link):
    """For boards where mpremote does not get through: small steps, one soft reset a file.

    It cannot write ROMFS.
    """

    def __init__(self, port: str):
        super().__init__(port)
        try:
            from ampy.files import Files
            from ampy.pyboard import Pyboard, PyboardError
        except ImportError:
            raise BoardError(f"adafruit-ampy is not installed: {extra('boards')}") from None

        self._error = PyboardError  # a BaseException, mind
        try:
            self.board = Pyboard(port)
        except PyboardError:
            raise self._busy() from None
        self.board.serial.timeout = self.board.serial.write_timeout = QUIET
        self.files = Files(self.board)
        self._raw = False
        heard = io.StringIO()
        try:
            with contextlib.redirect_stdout(heard):
                self._enter()
        except (PyboardError, OSError):
            self.close()
            raise self._silent(heard.getvalue()) from None

    def _enter(self) -> None:
        if not self._raw:
            self.board.enter_raw_repl()
            self._raw = True

    def run(self, code: str, timeout: float = 30) -> str:
        with self._guard():
            self._enter()
            out, err = self.board.exec_raw(code, timeout=timeout)
        if err:
            raise OnBoard(err.decode(errors="replace"))
        return out.decode(errors="replace").replace("\r\n", "\n")

    def put(self, path: str, data: bytes) -> None:
        with self._guard():
            self._raw = False
            self.files.put(path, data)

    def soft_reset(self) -> None:
        self._raw = False  # ampy resets whenever it enters the raw prompt

    def close(self) -> None:
        with contextlib.suppress(self._error, OSError):
            if self._raw:
                self.board.exit_raw_repl()
        with contextlib.suppress(OSError):
            self.board.close()

    @contextlib.contextmanager
    def _guard(self):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except self._error as error:
            if len(error.args) == 3:  # what an exception on the board comes as
                raise OnBoard(error.args[2].decode(errors="replace")) from None
            raise LinkLost(f"{self.port}: the board does not answer any more") from None
        except OSError:
            raise LinkLost(f"{self.port}: the board does not answer any more") from None


def connect(port: str, backend: str = "mpremote") -> Link:
    """The prompt of the board at a port. BoardError says why there is none."""
    return {"mpremote": MpremoteLink, "ampy": AmpyLink}[backend](port)
