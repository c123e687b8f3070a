# SPDX-License-Identifier: MIT
"""The code that tinyvlm-deploy sends to boards, run here: on files of this PC, by its own text."""

import hashlib
import io
import zlib
from contextlib import redirect_stdout

import pytest

from tinyvlm.boards.onboard import call
from tinyvlm.boards.target import Target

HEAD = b"TVPR" + bytes(4)


def tvp(content: bytes) -> bytes:
    """What counts of a .tvp for `whole`: letters, size and CRC."""
    size = (16 + len(content)).to_bytes(4, "little")
    return HEAD + size + zlib.crc32(content).to_bytes(4, "little") + content


def run(function: str, *arguments):
    """The value that a board would print."""
    said = io.StringIO()
    with redirect_stdout(said):
        exec(call(function, *arguments), {})
    return eval(said.getvalue().splitlines()[-1])


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sums_are_sha256(there):
    (there / "a").write_bytes(b"x" * 1300)
    want = 1300, "sha256", hashlib.sha256(b"x" * 1300).hexdigest()
    assert run("sums.sums", ["a", "none"]) == [want, None]


def test_sums_are_crc32_where_hashlib_is_missing(there, monkeypatch):
    (there / "a").write_bytes(b"x" * 1300)
    monkeypatch.setitem(__import__("sys").modules, "hashlib", None)
    assert run("sums.sums", ["a"]) == [(1300, "crc32", f"{zlib.crc32(b'x' * 1300):08x}")]


@pytest.mark.parametrize(
    "data, complete",
    [
        (tvp(bytes(700)), True),
        (tvp(bytes(700)) + b"more", True),
        (tvp(bytes(700))[:-1], False),
        (tvp(bytes(700))[:100] + b"?" + tvp(bytes(700))[101:], False),
        (b"else" + tvp(b"")[4:], False),
        (b"", False),
    ],
)
def test_whole_and_tidy(there, data, complete):
    (there / "a.tvp.new").write_bytes(data)
    assert run("whole.whole", "a.tvp.new") is complete
    assert run("whole.tidy", ["a.tvp.new"]) == ["a.tvp"] * complete
    assert [path.name for path in there.iterdir()] == ["a.tvp"] * complete


def test_tidy_keeps_the_old_file(there):
    (there / "a.tvp").write_bytes(b"old")
    (there / "a.tvp.new").write_bytes(tvp(b"new"))
    assert run("whole.tidy", ["a.tvp.new"]) == []
    assert [path.read_bytes() for path in there.iterdir()] == [b"old"]


def test_tidy_keeps_what_it_cannot_judge(there):
    """A program has no checksum: alone it may be the board's only one. Beside the old it goes."""
    (there / "main.py.new").write_bytes(b"print(1)")
    (there / "lib").mkdir()
    (there / "lib" / "natmod_new.mpy").touch()
    left = ["main.py.new", "lib/natmod_new.mpy"]
    assert run("whole.tidy", left) == []
    assert [path.name for path in there.rglob("*.*")] == ["main.py.new"]
    (there / "main.py").touch()
    run("whole.tidy", ["main.py.new"])
    assert [path.name for path in there.glob("*.*")] == ["main.py"]


def test_switch_renames_all_or_stops(there):
    for name in ("a", "b"):
        (there / name).write_bytes(b"old")
        (there / f"{name}.new").write_bytes(b"new")
    run("switch.switch", ["a", "b"])
    assert [(there / name).read_bytes() for name in ("a", "b")] == [b"new", b"new"]
    with pytest.raises(OSError):
        run("switch.switch", ["a"])
    assert (there / "a").read_bytes() == b"new"


def test_folders_and_listing(there):
    run("files.make_folders", ["lib", "lib/tinyvlm"])
    run("files.make_folders", ["lib"])
    for name in ("x.tvp", "y.tvlm", "y.tvlm.new", "other.new", "main.py.new"):
        (there / name).write_bytes(name.encode())
    (there / "lib" / "tinyvlm" / "a.py.new").touch()
    (there / "lib" / "natmod_new.mpy").touch()
    heads, left, _ = run("listing.listing", ("", "none"), "lib", "natmod")
    assert heads == [("x.tvp", b"x.tvp", 5), ("y.tvlm", b"y.tvlm", 6)]
    want = ["main.py.new", "y.tvlm.new", "lib/tinyvlm/a.py.new", "lib/natmod_new.mpy"]
    assert sorted(left) == sorted(want)
    run("files.remove", [*left, "none"])
    assert not list(there.rglob("*_new.mpy")) and (there / "other.new").exists()


class Memory:
    """vfs with a ROMFS partition in memory: what is written must have been erased."""

    def __init__(self, size, block, least):
        self.rom, self.block, self.least, self.writes, self.ended = (
            bytearray(size),
            block,
            least,
            0,
            0,
        )

    def umount(self, path):
        assert path == "/rom"
        raise OSError(22)

    def rom_ioctl(self, what, number=0, *more):
        if what == 3:
            at, size = more if len(more) == 2 else (0, *more)
            size += -size % self.block
            self.rom[at : at + size] = b"\xff" * size
            return self.least
        if what == 4:
            at, data = more
            assert at % self.least == 0 and len(data) % self.least == 0
            assert self.rom[at : at + len(data)] == b"\xff" * len(data)
            self.rom[at : at + len(data)] = data
            self.writes += 1
        if what == 5:
            self.ended += 1
        return {2: self.rom, 6: self.block}.get(what)


class Device(Memory):
    """The same as a block device."""

    def rom_ioctl(self, what, number=0):
        assert what == 2
        return self

    def ioctl(self, what, number):
        if what == 6:
            at = number * self.block
            self.rom[at : at + self.block] = b"\xff" * self.block
        return self.block

    def writeblocks(self, number, data, offset):
        assert offset + len(data) <= self.block
        at = number * self.block + offset
        assert self.rom[at : at + len(data)] == b"\xff" * len(data)
        self.rom[at : at + len(data)] = data
        self.writes += 1


class Prompt:
    """A link to a board that is this PC."""

    def __init__(self, seen):
        self.seen = seen

    def value(self, code, timeout=30):
        said = io.StringIO()
        with redirect_stdout(said):
            exec(code, {})
        self.seen()
        return eval(said.getvalue().splitlines()[-1])

    run = value


@pytest.mark.parametrize("kind", [Memory, Device])
@pytest.mark.parametrize(("block", "least"), [(4096, 32), (1 << 17, 32), (256, 1), (4096, 4096)])
@pytest.mark.parametrize("size", [17, 4096, 20_001])
def test_the_first_bytes_of_romfs_come_last(monkeypatch, kind, block, least, size):
    """Whenever the power goes, half an image has no beginning, and is not mounted."""
    image = b"\xd2\xcd\x31" + bytes(i * 7 % 251 for i in range(size - 3))
    vfs, begun = kind(1 << 17, block, least), []
    monkeypatch.setitem(__import__("sys").modules, "vfs", vfs)
    vfs.rom[: len(image)] = image[::-1]
    target = Target.__new__(Target)
    target.link = Prompt(lambda: begun.append(bytes(vfs.rom[:3]) == image[:3]))
    target.write_romfs(image)
    assert vfs.rom[: len(image)] == image
    assert not any(begun[:-2]) and all(begun[-2:]) and len(begun) >= 3
    assert vfs.ended == (kind is Memory)
