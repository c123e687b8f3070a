# SPDX-License-Identifier: MIT
"""tinyvlm-pack, as it is typed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyvlm import Vocab
from tinyvlm.net import tvlm
from tinyvlm.shipped import DEFAULT_MODEL, ENCODERS, model_path
from tinyvlm.words import background, tvp
from tinyvlm.words.background import KNOB
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.prototypes import build

TOP = Path(__file__).resolve().parents[1]


def run(*arguments, cwd):
    if "--text-encoder" not in arguments:  # equal with and without the extra `words`
        arguments = (*arguments, "--text-encoder", "lexicon")
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


def test_words_that_may_be_errors_are_named_first(tmp_path):
    """However many labels are estimated, which nobody can mend."""
    fine = ["secateurs", "trowel", "gecko", "multimeter", "arduino", "sandpaper", "keychain"]
    (tmp_path / "v.txt").write_text("\n".join([*fine, "blorpy mug"]))
    lines = run("v.txt", cwd=tmp_path).stdout.splitlines()
    assert lines[0] == "  blorpy mug: 'blorpy' is not known and ignored; using 'mug'"
    assert lines[1] == "  secateurs: estimated"
    assert lines[5] == "  ... and 3 more; --explain lists them"


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
        (b"cat\n", ["--prompt", "a photo"], "needs one {} and no other brace"),
        (b"cat\n", ["--prompt", "{{}}"], "--prompt '{{}}': needs one {} and no other brace"),
        (b"cat\n", ["--prompt", "a {} {x}"], "needs one {} and no other brace"),
        (b"my cat Felix\n", [], "did you mean cat, "),
        (b"cat\n", ["--text-encoder", "bert"], "use `lexicon`, `sentence` or `open_clip"),
        (b"cat\n", ["--model", "none.tvlm"], "none.tvlm: no such file"),
        (b"cat\n", ["--model", "v.txt"], "v.txt: not a tinyvlm encoder"),
        (b"cat\nKatze\n", [], "the lexicon is English; `Katze: cat` shows Katze"),
        (b"cat\n", ["-o", "v.txt"], "v.txt is the word list; give another name with -o"),
        (b"cat\n", ["--report", "v.txt"], "v.txt is the word list; give another name with --rep"),
        (b"cat\n", ["--report", "v.tvp"], "v.tvp is the packed file; give another name with --r"),
        (b"cat\n", ["-o", "."], ".: a folder; give the name of a file"),
        (b"cat\n", ["-o", "none/v.tvp"], "tinyvlm-pack: none: no such folder; make it first"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(tmp_path, words, options, message):
    (tmp_path / "v.txt").write_bytes(words)
    done = run("--vocab", "v.txt", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["v.txt"]


@pytest.mark.parametrize("given", [["v.txt"], ["--vocab", "v.txt"], ["-", "-o", "v.tvp"]])
def test_three_ways_to_give_a_list(tmp_path, given):
    (tmp_path / "v.txt").write_text("cat\n")
    command = [sys.executable, TOP / "host" / "tinyvlm-pack", *given, "--text-encoder", "lexicon"]
    with (tmp_path / "v.txt").open() as words:
        done = subprocess.run(command, cwd=tmp_path, stdin=words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tvp.read(tmp_path / "v.tvp").labels == ["cat"]
    assert "v.tvp: 1 label x 64 dimensions x 8 bits, " in done.stdout
    assert repr(Vocab(tmp_path / "v.tvp")).startswith("Vocab(1 label, dim 64 of 64, 8 bits, ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-"], "a list from standard input has no name; give one with -o FILE.tvp"),
        (["-", "-o", "v.tvp"], "standard input:1: '-' has no letters"),
        (["a.txt", "--vocab", "b.txt"], "argument --vocab: not allowed with argument LIST.txt"),
        ([], "one of the arguments LIST.txt --vocab is required"),
    ],
)
def test_no_list_or_a_bad_one(tmp_path, given, message):
    command = [sys.executable, TOP / "host" / "tinyvlm-pack", *given, "--text-encoder", "lexicon"]
    done = subprocess.run(command, cwd=tmp_path, input="-\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and not list(tmp_path.iterdir())


def test_prompts_that_are_not_used_are_not_recorded(tmp_path):
    (tmp_path / "v.txt").write_text("cat\n")
    done = run("--vocab", "v.txt", "--prompt", "a photo of a {}", cwd=tmp_path)
    assert done.returncode == 0 and "--prompt is not used" in done.stderr
    assert tvp.read(tmp_path / "v.tvp").prompt == ""


def test_as_many_prompts_as_one_likes():
    """CLIP has 80; a file's string has 255 bytes."""
    model = tvlm.load(DEFAULT_MODEL)
    few, many = (tuple(f"a photo of a {{}}, number {i}" for i in range(n)) for n in (3, 80))
    vectors = np.ones((1, 64))
    assert build(["cat"], vectors, model, prompts=few).prompt == " | ".join(few)
    said = [build(["cat"], vectors, model, prompts=some).prompt for some in (many, many[1:])]
    assert said[0].startswith("80 prompts, SHA-256 ") and said[0][3:] != said[1][3:]


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


@pytest.fixture
def chosen(tmp_path):
    """The shipped encoder with background words, threshold and scales of this test."""
    model = tmp_path / "m" / "mine.tvlm"
    model.parent.mkdir()
    model.write_bytes(DEFAULT_MODEL.read_bytes())
    knob = {"right": 70.4, "unknown": 21.6, "wrong": 8, "named": 20}
    off = {"logit_scale": 20.0, "right": 90, "unknown": 0, "wrong": 10, "named": 100}

    def row(scale, none, threshold):
        rest = {name: knob | {"threshold": at} for name, at in zip(KNOB, threshold, strict=True)}
        return {"logit_scale": scale, "none": none, "off": off, **rest}

    few = {"16": row(8.0, 0.5, (0.8, 0.6, 0.2)), "64": row(16.0, 0.25, (0.6, 0.4, 0.1))}
    many = {"16": row(8.0, 0.75, (0.7, 0.5, 0.1)), "64": row(16.0, 0.5, (0.5, 0.3, 0.1))}
    fingerprint = tvlm.load(model).fingerprint.hex()
    found = {"fingerprint": fingerprint, "sizes": {"2": {"dims": few}, "8": {"dims": many}}}
    found |= {"words": ["bottle", "puppy", "banana", "nosuchwordatall"], "margin": 0.5}
    background.beside(model).write_text(json.dumps(found))
    return model


def test_none_of_them_takes_part_and_words_are_what_heat_is_seen_against(tmp_path, chosen):
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    done = run("--vocab", "v.txt", "--model", chosen, "--explain", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    made = tvp.read(tmp_path / "v.tvp")
    assert (made.labels, made.background, len(made.vectors)) == (["dog", "car"], 2, 4)
    assert (made.logit_scale, round(made.threshold, 3), made.rivals) == (16, 0.4, 0)
    assert made.prefixes == [(16, 8, pytest.approx(0.6))] and made.none == [0.5, 0.25]
    assert "dog, car; unknown if no score reaches 0.40" in done.stdout
    assert "background" not in done.stdout  # no word takes a frame away
    # the rows are those of the words; puppy is too near dog
    alone = tmp_path / "w.txt"
    alone.write_text("bottle\nbanana\n")
    run("--vocab", "w.txt", "--unknown", "off", cwd=tmp_path)
    assert (tvp.read(tmp_path / "w.tvp").vectors == made.vectors[2:]).all()


@pytest.mark.parametrize(
    ("unknown", "threshold"), [("cautious", 0.6), ("balanced", 0.4), ("eager", 0.1)]
)
def test_the_knob_and_its_rates(tmp_path, chosen, unknown, threshold):
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    done = run("--vocab", "v.txt", "--model", chosen, "--unknown", unknown, cwd=tmp_path)
    assert tvp.read(tmp_path / "v.tvp").threshold == pytest.approx(threshold)
    assert (
        "of 100 frames that show one of these, about 70 are named right, 22 unknown, 8 wrong; "
        "of 100 that show none, 20 are named\n"
    ) in done.stdout


def test_a_background_of_ones_own(tmp_path, chosen):
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    (tmp_path / "b.txt").write_text("kitchen\npuppy\nsofa\n")
    arguments = ("--vocab", "v.txt", "--model", chosen, "--background", "b.txt")
    done = run(*arguments, "--explain", cwd=tmp_path)
    assert "would take a label's frames: puppy (cosine 0.6" in done.stderr
    assert "background: kitchen, sofa\n  without puppy: cosine 0.6" in done.stdout
    made = tvp.read(tmp_path / "v.tvp")
    assert (made.background, made.rivals) == (4, 2)
    vocab = Vocab(tmp_path / "v.tvp")
    assert vocab.match(made.vectors[2].tobytes())[0][0] == "unknown"
    done = run(*arguments, "--unknown", "off", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--background needs unknown; leave out --unknown off" in done.stderr


def test_between_what_was_fitted(tmp_path, chosen):
    """Between dimensions and between sizes the logarithm decides; beyond, the last one."""
    for words, none in ((2, 0.375), (4, 0.5), (8, 0.625), (9, 0.625)):
        names = "dog car tree house cloud ball ship cup bed".split()[:words]
        (tmp_path / "v.txt").write_text("\n".join(names))
        run("--vocab", "v.txt", "--model", chosen, "--dim", 32, cwd=tmp_path)
        made = tvp.read(tmp_path / "v.tvp")
        assert made.logit_scale == pytest.approx(12)
        assert made.none[-1] == pytest.approx(none)
        assert made.threshold == pytest.approx(0.5 + 0.4 * (0.375 - none), abs=0.001)


@pytest.mark.parametrize("unknown", ["balanced", "off"])
def test_a_prefix_is_as_if_packed_with_it(tmp_path, chosen, unknown):
    """vocab.dim = 20 uses the scale and the threshold that --dim 20 packs."""
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    vocabs = {}
    for dim in (100, 64, 20, 16, 8):
        args = ("--vocab", "v.txt", "--model", chosen, "--dim", dim, "--unknown", unknown)
        assert run(*args, cwd=tmp_path).returncode == 0
        vocabs[dim] = Vocab(tmp_path / "v.tvp")
    for dim, small in vocabs.items():
        vocabs[100].dim = dim
        assert vocabs[100].logit_scale == pytest.approx(small.logit_scale)
        assert vocabs[100].threshold == pytest.approx(small.threshold, abs=0.0006)  # rounded


def test_without_unknown_nothing_is_added(tmp_path, chosen):
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    done = run("--vocab", "v.txt", "--model", chosen, "--unknown", "off", cwd=tmp_path)
    made = tvp.read(tmp_path / "v.tvp")
    assert (made.background, made.threshold, done.stderr) == (0, 0, "")


def test_background_words_of_another_encoder_are_not_used(tmp_path, chosen):
    beside = background.beside(chosen)
    found = json.loads(beside.read_text()) | {"fingerprint": "00" * 8}
    beside.write_text(json.dumps(found))
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    done = run("--vocab", "v.txt", "--model", chosen, cwd=tmp_path)
    assert "nothing is known about unknown for mine.tvlm: every frame gets" in done.stderr
    assert tvp.read(tmp_path / "v.tvp").background == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"fingerprint": "", "sizes": {}}', '{"sizes": {"2": {"words": []}}}']
)
def test_a_damaged_file_of_background_words(tmp_path, chosen, text):
    background.beside(chosen).write_text(text)
    (tmp_path / "v.txt").write_text("dog\ncar\n")
    done = run("--vocab", "v.txt", "--model", chosen, cwd=tmp_path)
    assert done.returncode == 2 and "mine.background.json: not made by" in done.stderr
    assert not (tmp_path / "v.tvp").exists()


def test_the_shipped_encoders_know_unknown():
    lexicon = create_text_encoder("lexicon")
    for name in ENCODERS:
        model = model_path(name)
        fingerprint = tvlm.load(model).fingerprint
        for labels in (1, 5, 10, 1000):
            limits = []
            for unknown in KNOB:
                found = background.find(model, fingerprint, labels, unknown)
                assert found, f"python -m tinyvlm.background --data SHARDS --model {name}"
                limits.append([found.threshold_at(dim) for dim in (16, 64, 256)])
                assert all(0 < limit < 1 for limit in limits[-1])
            assert (np.diff(limits, axis=0) < 0).all()  # cautious, balanced, eager
            words, rows = found.rows(lexicon, lexicon.encode("cat").vector[None])
            assert len(words) >= 0.5 * len(found.words) and len(rows) == len(words)


def test_all_is_well_in_one_line_more(tmp_path):
    (tmp_path / "v.txt").write_text("cat\nbanana\n")
    done = run("--vocab", "v.txt", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("nearest: cat and banana, cosine ")
    assert "none likely confused; --dim 16 would do" in lines[3]


def test_quiet(tmp_path):
    (tmp_path / "v.txt").write_text("cat\nred car\n")
    done = run("--vocab", "v.txt", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "v.tvp").exists()


def test_explain(tmp_path):
    (tmp_path / "v.txt").write_text("cat\nbird\neagle\nStuhl: chair, armchair\n")
    done = run("--vocab", "v.txt", "--explain", "--dim", "32", "--unknown", "off", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert any(re.match(r"cat    exact; gain 0\.\d\d; near it: ", line) for line in lines)
    assert any(line.startswith("Stuhl  2 phrases known; gain ") for line in lines)
    [heads] = [line for line in lines if line.startswith("cosine at")]
    assert heads.split()[2:] == ["16", "32*", "64", "128", "256"]
    [sizes] = [line for line in lines if line.startswith("bytes ")]
    for dim, size in zip((16, 32, 64, 128, 256), sizes.split()[1:], strict=True):
        run("--vocab", "v.txt", "--dim", dim, "--unknown", "off", cwd=tmp_path)
        assert (tmp_path / "v.tvp").stat().st_size == int(size)


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "v.txt").write_text("cat\ndog\n")
    done = run("--vocab", "v.txt", "--report", "no/where.html", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "tinyvlm-pack: no: no such folder; make it first\n"
    assert [path.name for path in tmp_path.iterdir()] == ["v.txt"]


def test_nothing_heavy_is_imported():
    code = (
        "import sys, tinyvlm.packit\n"
        "print(sorted({'torch', 'open_clip', 'PIL', '_tinyvlm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_shipped_encoders_have_names(tmp_path):
    assert model_path("nano") == DEFAULT_MODEL.with_name("nano.tvlm")
    assert model_path("nano.tvlm") == Path("nano.tvlm") and model_path("mine") == Path("mine")


def test_a_list_that_is_called_like_its_output_stays(tmp_path):
    (tmp_path / "v.tvp").write_text("cat\n")
    done = run("--vocab", "v.tvp", cwd=tmp_path)
    assert "v.tvp is the word list; give another name with -o" in done.stderr
    assert (tmp_path / "v.tvp").read_text() == "cat\n"
