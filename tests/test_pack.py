# SPDX-License-Identifier: MIT
"""tinyvlm-pack, as it is typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinyvlm import tvp

TOP = Path(__file__).resolve().parents[1]


def run(*arguments, cwd):
    command = [sys.executable, TOP / "host" / "tinyvlm-pack", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_from_a_list_to_a_file(tmp_path):
    (tmp_path / "pets.txt").write_text("# pets\ncat\ndog: dog, puppy\n\nMeerschwein: guinea pig\n")
    done = run("--vocab", "pets.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tvp.read(tmp_path / "pets.tvp")
    assert made.labels == ["cat", "dog", "Meerschwein"]
    assert (made.dim, made.bits, made.text_encoder) == (64, 8, "lexicon")
    size = (tmp_path / "pets.tvp").stat().st_size
    assert f"pets.tvp: 3 labels x 64 dimensions x 8 bits, {size} bytes" in done.stdout
    assert made.encoder in done.stdout and made.fingerprint.hex() in done.stdout


@pytest.mark.parametrize(("dim", "bits"), [(16, 8), (256, 4), (7, 4), (1, 8)])
def test_dim_and_bits(tmp_path, dim, bits):
    (tmp_path / "v.txt").write_text("cat\ndog\n")
    done = run("--vocab", "v.txt", "-o", "out.tvp", "--dim", dim, "--bits", bits, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tvp.read(tmp_path / "out.tvp")
    assert (made.dim, made.bits) == (dim, bits)


def test_any_dim_is_a_prefix_of_a_larger_one(tmp_path):
    (tmp_path / "v.txt").write_text("cat\ndog\nmotorcycle\n")
    whole = {}
    for dim in (256, 64):
        run("--vocab", "v.txt", "--dim", dim, cwd=tmp_path)
        whole[dim] = tvp.read(tmp_path / "v.tvp").to_float()
    cut = whole[256][:, :64] / ((whole[256][:, :64] ** 2).sum(1, keepdims=True) ** 0.5)
    assert ((cut * whole[64]).sum(1) > 0.999).all()


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (b"cat\ncat\n", [], "v.txt:2: 'cat' stands in line 1 already"),
        (b"cat\n\xff\n", [], "v.txt:2: not UTF-8"),
        (b"cat\nelefant\n", [], "v.txt:2: 'elefant' is not in the lexicon; did you mean elephant"),
        (b"", [], "no labels in it"),
        (b"cat\n", ["--dim", "300"], "--dim 300: "),
        (b"cat\n", ["--dim", "0"], "--dim 0: "),
        (b"cat\n", ["--prompt", "a photo"], "needs one {}"),
        (b"cat\n", ["--text-encoder", "bert"], "use `lexicon` or `open_clip:MODEL/TAG`"),
        (b"cat\n", ["--model", "none.tvlm"], "none.tvlm: no such file"),
        (b"cat\n", ["--model", "v.txt"], "v.txt: not a tinyvlm encoder"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(tmp_path, words, options, message):
    (tmp_path / "v.txt").write_bytes(words)
    done = run("--vocab", "v.txt", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["v.txt"]


def test_a_missing_list(tmp_path):
    done = run("--vocab", "nothing.txt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tinyvlm-pack: nothing.txt: no such file or directory\n"


def test_a_failed_run_leaves_the_old_file(tmp_path):
    (tmp_path / "v.txt").write_text("cat\n")
    run("--vocab", "v.txt", cwd=tmp_path)
    before = (tmp_path / "v.tvp").read_bytes()
    (tmp_path / "v.txt").write_text("qwxz\n")
    assert run("--vocab", "v.txt", cwd=tmp_path).returncode == 2
    assert (tmp_path / "v.tvp").read_bytes() == before


def test_nothing_heavy_is_imported():
    code = (
        "import sys, tinyvlm.pack\n"
        "print(sorted({'torch', 'open_clip', 'PIL', '_tinyvlm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
