# SPDX-License-Identifier: MIT
"""Plans inside `.tvlm` files: PLNE, PLND, and the file for a board that has the accelerator."""

import shutil
import struct
import subprocess
from pathlib import Path

import _tinyvlm
import numpy as np
import pytest
from hostile import signed
from nets import Builder

from tinyvlm import export
from tinyvlm.max78000.chip import Chip
from tinyvlm.net import samples, tvlm
from tinyvlm.net.reference import embed


def sections(data):
    return tvlm._sections(data, data[31])


@pytest.fixture(scope="module")
def graph():
    return samples.max78000_like(32, dim=32)


@pytest.fixture(scope="module")
def data(graph):
    return tvlm.to_bytes(graph)


def test_a_max78000_net_brings_its_plans(graph, data):
    found = sections(data)
    chip = Chip(found["PLNE"], found["PLND"])
    chip.selftest()
    image = np.random.default_rng(0).integers(-128, 128, graph.input_shape).astype(np.int8)
    assert np.array_equal(chip.embed(image), embed(graph, image))
    assert chip.device.fingerprint == tvlm.fingerprint(graph)


def test_readers_skip_them(graph, data):
    assert tvlm.fingerprint(tvlm.read(data)) == tvlm.fingerprint(graph)
    assert _tinyvlm.Encoder(data).selftest()


def test_other_nets_have_none():
    build = Builder(16, seed=1)
    build.conv(8, 3, 2)
    assert "PLNE" not in sections(tvlm.to_bytes(build.finish(8)))


def test_what_the_accelerator_cannot_do_is_refused(tmp_path):
    build = Builder(16, seed=1)
    build.conv(8, 3, 2)
    graph = build.finish(8)
    with pytest.raises(ValueError, match="^layer "):
        tvlm.to_bytes(graph, cpu=False)
    graph.info["scheme"] = "max78000"
    with pytest.raises(ValueError, match="^layer "):
        tvlm.write(graph, tmp_path / "out.tvlm")
    assert not (tmp_path / "out.tvlm").exists()


def test_a_file_for_the_board(data, tmp_path, capsys):
    (tmp_path / "all.tvlm").write_bytes(data)
    out = tmp_path / "board.tvlm"
    assert export.main([str(tmp_path / "all.tvlm"), "--max78000", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    kept = sections(out.read_bytes())
    assert set(kept) == {"INFO", "TEST", "PLNE", "PLND"}
    assert kept["PLNE"] == sections(data)["PLNE"]
    with pytest.raises(ValueError, match="only a MAX78000 can run this"):
        tvlm.read(out)
    with pytest.raises(ValueError, match="section"):
        _tinyvlm.Encoder(out.read_bytes())


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_info_that_is_nowhere_has_no_size(data, tmp_path):
    """What names the file reads `info_size` bytes of `info`."""
    (entry,) = (at for at in range(72, 72 + 12 * data[31], 12) if data[at : at + 4] == b"INFO")
    offset, size = struct.unpack_from("<II", data, entry + 4)
    missing = signed(data[:entry] + b"NONE" + data[entry + 4 :])
    behind = struct.pack("<II", offset, len(data))
    outside = signed(data[: entry + 4] + behind + data[entry + 12 :])
    paths = []
    for name, content in (("good", data), ("missing", missing), ("outside", outside)):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    tests, program = Path(__file__).parent, tmp_path / "test"
    native = tests.parent / "native"
    flags = "-std=c99 -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined".split()
    sources = [tests / "c" / "test_max78000_file.c", native / "tv_crc32.c"]
    sources += (native / "max78000").glob("*.c")
    include = ["-I", native, "-I", native / "max78000"]
    subprocess.run(["gcc", *flags, *include, *sources, "-o", program], check=True)
    done = subprocess.run([program, *paths], capture_output=True, text=True)
    assert done.stdout == f"0 there {size}\n0 none 0\n0 none 0\n", done.stderr[-3000:]
