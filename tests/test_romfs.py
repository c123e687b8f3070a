# SPDX-License-Identifier: MIT
"""ROMFS images of ours: the root's files at multiples of 32 bytes, and all can be read."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import base_like
from test_board_engine import romfs

from tinyvlm.boards.ports import BoardError
from tinyvlm.boards.romfs import main, make_image
from tinyvlm.net import tvlm

NAMES = st.text("abcdef0123456789_", min_size=1, max_size=140)
MARK = b"the encoder begins here"


@given(name=NAMES, size=st.integers(0, 40_000), other=st.integers(0, 40_000), kept=st.booleans())
def test_the_encoder_lies_at_a_multiple_of_32(name, size, other, kept):
    others = [("/rom/photos/a.ppm", bytes(other)), ("/rom/b", b"")] if kept else []
    image = make_image([(f"/rom/{name}.tvlm", MARK + bytes(size)), *others])
    assert image.find(MARK) % 32 == 0 and image.count(MARK) == 1


def test_a_board_reads_all_files(start_board, tmp_path):
    data = tvlm.to_bytes(base_like())
    for length in range(1, 5):
        others = [("/rom/lib/x.py", b"y = 5"), (f"/rom/{'n' * length}", bytes(range(200)))]
        image = tmp_path / "rom.romfs"
        image.write_bytes(make_image([(f"/rom/{'e' * length}.tvlm", data), *others]))
        board = start_board(romfs=image)
        read = f"memoryview(open('/rom/{'e' * length}.tvlm', 'rb'))"
        assert board.eval(f"__import__('binascii').crc32({read})") == zlib.crc32(data)
        assert board.eval(f"open('/rom/{'n' * length}', 'rb').read()") == bytes(range(200))
        assert board.eval("__import__('x').y") == 5


def test_info_says_whether_weights_are_aligned(start_board, tmp_path):
    """As mpremote writes it, a file lies anywhere; which name moves it where does not matter."""
    data, said = tvlm.to_bytes(base_like()), {}
    for length in range(1, 5):
        image = romfs(tmp_path / str(length), {"e" * length + ".tvlm": data})
        board = start_board(romfs=image)
        address = image.read_bytes().find(data)
        info = (
            board.eval("__import__('tinyvlm').info().aligned"),
            board.eval("repr(__import__('tinyvlm').info())"),
        )
        said[address % 4] = info
        assert info[0] == (address % 4 == 0)
        assert ("in place, unaligned, about 4 % slower: /rom/" in info[1]) == (not info[0])
    assert set(said) == {0, 2}  # mpremote makes the size even


def test_the_command(tmp_path, capsys):
    encoder, out = tmp_path / "x.tvlm", tmp_path / "rom.romfs"
    encoder.write_bytes(MARK)
    assert main([str(encoder), str(out)]) == 0 and out.read_bytes().find(MARK) % 32 == 0
    assert main([str(tmp_path / "none"), str(out)]) == 1
    assert "none" in capsys.readouterr().err


def test_names_are_ascii():
    with pytest.raises(BoardError, match="rename the file"):
        make_image([("/rom/\u00e9.tvlm", MARK)])
