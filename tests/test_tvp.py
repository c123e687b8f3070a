# SPDX-License-Identifier: MIT
"""Prototype files: written by the host, read by the host and by the device package."""

import math
import os
import zlib
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvlm import files
from tinyvlm.device import slow
from tinyvlm.device import vocab as device_vocab
from tinyvlm.words import background, tvp


def sample(rows=3, dim=16, bits=8, background=0, seed=0, **more):
    vectors = np.random.default_rng(seed).normal(size=(rows + background, dim))
    return tvp.Prototypes(
        labels=[f"label {i} ü" for i in range(rows)],
        vectors=tvp.quantize(vectors, bits),
        fingerprint=b"12345678",
        encoder="test-encoder",
        text_encoder="lexicon",
        prompt="a photo of a {}",
        bits=bits,
        background=background,
        **more,
    )


LEARNT = {1: (3, 8.0, 0.75), 2: (65535, 5.5, 0.5)}
LEVELS = {"logit_scale": 16.0, "threshold": 0.375, "prefixes": [(2, 4.0, 0.625), (4, 8.0, 0.5)]}
NONE = LEVELS | {"none": [0.75, 0.5, 0.25], "rivals": 1}


@given(
    rows=st.integers(1, 9),
    dim=st.integers(1, 40),
    bits=st.sampled_from([8, 4]),
    background=st.integers(0, 3),
    seed=st.integers(0, 999),
)
def test_round_trip_on_the_host_and_on_the_device(rows, dim, bits, background, seed):
    written = sample(rows, dim, bits, background, seed)
    data = tvp.to_bytes(written)
    back = tvp.from_bytes(data)
    assert (back.vectors == written.vectors).all()
    assert (back.labels, back.bits, back.background) == (written.labels, bits, background)
    vocab = device_vocab.Vocab(data)
    assert vocab.labels == written.labels
    assert (vocab.dim, vocab.bits, vocab.encoder) == (dim, bits, "test-encoder")


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("dim", [1, 5, 16])
def test_cosines_at_every_prefix_equal_numpy(bits, dim):
    written = sample(5, 16, bits)
    embedding = np.random.default_rng(1).integers(-128, 128, 16).astype(np.int8)
    vocab = device_vocab.Vocab(tvp.to_bytes(written))
    vocab.dim = dim
    rows = written.vectors[:, :dim].astype(float)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(embedding[:dim])
    want = rows @ embedding[:dim] / np.maximum(lengths, 1e-9)  # a prefix of zeros scores 0
    assert np.allclose(vocab.cosines(array("b", embedding.tobytes())), want, atol=1e-6)
    # the engine's score and the Python one that boards without the engine use
    out = array("f", bytes(4 * 5))
    slow.score(embedding.tobytes(), vocab.prototypes()[0], 5, 16, bits, dim, out)
    assert np.allclose(out, want, atol=1e-6)


def test_match_is_the_softmax_best_first():
    written = sample(4, 8)
    vocab = device_vocab.Vocab(tvp.to_bytes(written))
    found = vocab.match(written.vectors[2].tobytes(), top=4)
    assert found[0][0] == "label 2 ü"
    assert math.isclose(sum(score for _, score in found), 1, rel_tol=1e-6)
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
    assert len(vocab.match(written.vectors[2].tobytes(), top=9)) == 4


def test_threshold_hides_and_background_takes_its_share():
    written = sample(2, 8, background=1)
    vocab = device_vocab.Vocab(tvp.to_bytes(written))
    background = written.vectors[2].tobytes()
    assert vocab.match(background)[0][0] == "unknown"  # the background row is the nearest
    vocab.threshold = 0.5
    scores = array("f", bytes(8))
    assert vocab.match_into(background, scores) == -1
    assert vocab.match(background) == [("unknown", 1 - max(scores))] and max(scores) < 0.5
    label = written.vectors[0].tobytes()
    assert [name for name, _ in vocab.match(label)] == ["label 0 ü"]


@pytest.mark.parametrize("read", [tvp.from_bytes, device_vocab.Vocab], ids=["host", "device"])
def test_every_truncation_and_every_bit_flip_is_refused(read):
    data = tvp.to_bytes(sample(2, 8, background=1, learnt={0: (1, 2.0, 0.5)}, **NONE))
    for length in range(len(data)):
        with pytest.raises(ValueError):
            read(data[:length])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError):
            read(bytes(flipped))
    read(data + b"more")  # bytes after the file are ignored


def test_dim_and_threshold_may_be_numpy_s():
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2)))
    vocab.dim, vocab.threshold = np.int64(8), np.float32(0.5)
    assert (vocab.dim, vocab.threshold) == (8, 0.5)
    assert type(vocab.dim) is int and type(vocab.threshold) is float


def test_scale_and_threshold_follow_dim():
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2, 16, **LEVELS)))
    scales = {2: 4.0, 4: 8.0, 16: 16.0}
    thresholds = {2: 0.625, 4: 0.5, 16: 0.375}
    for dim in (16, 1, 2, 3, 4, 5, 8, 15, 16):
        vocab.dim = dim
        assert vocab.logit_scale == pytest.approx(background.interpolate(scales, dim))
        assert vocab.threshold == pytest.approx(background.interpolate(thresholds, dim))
    # and scores are made of them
    vocab.dim, vocab.threshold = 4, 0
    embedding = sample(2, 16).vectors[0].tobytes()
    cosines = list(vocab.cosines(embedding))
    scores = np.exp(8 * np.array(cosines))
    assert vocab.match(embedding)[0][1] == pytest.approx(scores.max() / scores.sum())


def test_a_threshold_that_was_set_stays(tmp_path):
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2, 16, **LEVELS)))
    vocab.threshold = 0.75
    vocab.save(str(tmp_path / "mine.tvp"))
    for each in (vocab, device_vocab.Vocab(str(tmp_path / "mine.tvp"))):
        for dim, scale in ((16, 16), (2, 4), (3, None), (16, 16)):
            each.dim = dim
            assert each.threshold == 0.75 and each.logit_scale == (scale or each.logit_scale)


def test_one_scale_and_threshold_hold_for_every_prefix():
    data = tvp.to_bytes(sample(2, 16, logit_scale=9, threshold=0.25))
    assert data[31] == 0  # as files were before there were prefixes
    vocab = device_vocab.Vocab(data)
    for dim in (1, 7, 16):
        vocab.dim = dim
        assert (vocab.logit_scale, vocab.threshold) == (9, 0.25)


@pytest.mark.parametrize("more", ["one", "levels", "none", "none for all"])
@pytest.mark.parametrize("learnt", [{}, LEARNT], ids=["words", "shots"])
def test_both_write_the_same_bytes(tmp_path, more, learnt):
    """What the device learned survives the host, and the other way round."""
    more = {"one": {}, "levels": LEVELS, "none": NONE, "none for all": {"none": [0.5]}}[more]
    written = sample(3, 16, background=1, learnt=learnt, **more)
    data = tvp.to_bytes(written)
    back = tvp.from_bytes(data)
    assert back.learnt == learnt and back.prefixes == written.prefixes
    assert (back.none, back.rivals) == (written.none, written.rivals)
    assert tvp.to_bytes(back) == data
    vocab = device_vocab.Vocab(data)
    assert vocab.save(str(tmp_path / "mine.tvp")) == len(data)
    assert (tmp_path / "mine.tvp").read_bytes() == data
    vocab.learn("label 1 ü", bytes(range(16)))
    vocab.save(str(tmp_path / "mine.tvp"))
    counts = {1: 4, 2: 65535} if learnt else {1: 1}
    found = tvp.read(tmp_path / "mine.tvp").learnt
    assert {label: row[0] for label, row in found.items()} == counts
    assert found[1][1] == (9 if learnt else 6)  # a word counts as five frames


def signed(data):
    data = bytearray(data)
    data[12:16] = zlib.crc32(data[16:]).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("read", [tvp.from_bytes, device_vocab.Vocab], ids=["host", "device"])
@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (31, 16, "made by a newer tinyvlm"),
        (31, 1, "shown things by an older tinyvlm; pack it again and show them again"),
        (-21, 99, "inconsistent prefixes"),  # more of them than the file has
        (-20, 0, "inconsistent prefixes"),
        (-20, 4, "inconsistent prefixes"),  # the second one is 4, too
        (-10, 16, "inconsistent prefixes"),  # that is all numbers, no prefix
    ],
)
def test_prefixes_that_cannot_be(read, at, value, message):
    data = bytearray(tvp.to_bytes(sample(2, 16, **LEVELS)))
    data[at] = value
    with pytest.raises(ValueError, match=message):
        read(signed(data))


@pytest.mark.parametrize("rows", [3, 300])  # a list of labels, and a file in place
@pytest.mark.parametrize("read", [tvp.read, device_vocab.Vocab], ids=["host", "device"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("label 1 ü".encode(), "label 2 ü".encode(), "the same label twice"),
        (b"label 1 \xc3", b"label 1 \xff", "a string is not UTF-8"),
        (b"lexicon", b"lexico\xc3", "a string is not UTF-8"),
        (b"\x0a\0label 1 \xc3\xbc", b"\0\0\x08\0label 1 ", "an empty label"),
    ],
)
def test_strings_that_cannot_be(tmp_path, rows, read, old, new, message):
    """The file's name is said, and when it is opened, not when the label is shown."""
    if rows > 256 and message == "the same label twice" and read is device_vocab.Vocab:
        pytest.skip("a board compares up to 256 labels with each other")
    data = tvp.to_bytes(sample(rows, 4))
    assert data.count(old) == 1
    (tmp_path / "x.tvp").write_bytes(signed(data.replace(old, new)))
    with pytest.raises(ValueError, match=f"x.tvp: {message}; pack it again"):
        read(str(tmp_path / "x.tvp"))


def test_the_same_files_are_legal_on_both():
    """Every byte behind the checksum, changed in four ways, and the checksum with it."""
    data, said = tvp.to_bytes(sample(3, 8, background=1, learnt=LEARNT, **NONE)), {}
    for at in range(16, len(data)):
        for change in (0x01, 0x10, 0x80, 0xFF):
            changed = bytearray(data)
            changed[at] ^= change
            verdicts = []
            for read in (tvp.from_bytes, device_vocab.Vocab):
                try:
                    read(signed(changed))
                    verdicts.append(True)
                except ValueError as error:
                    assert str(error).startswith("vocabulary: ")
                    verdicts.append(False)
            assert verdicts[0] == verdicts[1], (at, change)
            said[verdicts[0]] = said.get(verdicts[0], 0) + 1
    print(f"{said[True]} accepted, {said[False]} refused, all verdicts equal")
    assert said[False] > 100


def test_unknown_cannot_be_shown():
    """It could not be told from the verdict."""
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2, 16)))
    with pytest.raises(ValueError, match="'unknown' is what shows none of the labels"):
        vocab.learn("unknown", bytes(range(16)))


@pytest.mark.parametrize("read", [tvp.from_bytes, device_vocab.Vocab], ids=["host", "device"])
@pytest.mark.parametrize(
    ("learnt", "at", "value", "message"),
    [
        ({}, -14, 2, "inconsistent background"),  # more rivals than background rows
        ({0: (1, 2.0, 0.5)}, -14, 9, "inconsistent shots"),  # more of them than the file has
        ({0: (1, 2.0, 0.5)}, -12, 2, "inconsistent shots"),  # of a label that is not there
    ],
)
def test_what_follows_must_be_consistent(read, learnt, at, value, message):
    data = bytearray(tvp.to_bytes(sample(2, 16, background=1, learnt=learnt, **NONE)))
    data[at] = value
    with pytest.raises(ValueError, match=message):
        read(signed(data))


def test_none_takes_its_share_at_every_prefix_and_silent_rows_none():
    """Against numpy; the row that does not compete changes nothing."""
    written = sample(2, 16, background=2, **NONE)
    vocab = device_vocab.Vocab(tvp.to_bytes(written))
    embedding = np.random.default_rng(5).integers(-127, 128, 16).astype(np.int8)
    levels = {16: (16.0, 0.25), 4: (8.0, 0.5), 2: (4.0, 0.75)}
    for dim, (scale, none) in levels.items():
        vocab.dim, vocab.threshold = dim, 0
        rows = written.vectors[:3, :dim].astype(float)
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(embedding[:dim])
        cosines = np.append(rows @ embedding[:dim] / lengths, none)
        want = np.exp(scale * cosines) / np.exp(scale * cosines).sum()
        scores = array("f", bytes(8))
        vocab.match_into(embedding.tobytes(), scores)
        assert np.allclose(scores, want[:2], atol=1e-5)
        assert len(vocab.cosines(embedding.tobytes())) == 3  # labels, and what competes


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefixes": [(0, 1, 1)]},
        {"prefixes": [(16, 1, 1)]},
        {"prefixes": [(4, 1, 1), (2, 1, 1)]},
        {"none": [0.5, 0.5]},
        {"rivals": 1},
        {"learnt": {2: (1, 1.0, 1.0)}},
        {"learnt": {0: (65536, 1.0, 1.0)}},
        {"learnt": {0: (-1, 1.0, 1.0)}},
        {"logit_scale": math.nan},
        {"threshold": math.inf},
        {"none": [math.nan]},
        {"learnt": {0: (1, 1.0, math.inf)}},
    ],
)
def test_what_does_not_fit_is_not_written(wrong):
    with pytest.raises(
        ValueError, match="must ascend|one cosine|1 rivals of 0|be of labels|finite"
    ):
        tvp.to_bytes(sample(2, 16, **wrong))


def test_dim_must_be_in_the_file():
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2, 8)))
    for dim in (0, 9, -1):
        with pytest.raises(ValueError, match="holds 8"):
            vocab.dim = dim


def test_sizes_are_the_advertised_ones():
    float_bytes = 4 * 64 * 20
    for bits, factor in ((8, 4), (4, 8)):
        vectors = len(tvp.to_bytes(sample(20, 64, bits))) - len(tvp.to_bytes(sample(20, 2, bits)))
        assert vectors * factor == float_bytes - 4 * 2 * 20


def test_write_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "pets.tvp"
    tvp.write(sample(2), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("the plug was pulled")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError):
        tvp.write(sample(3), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["pets.tvp"]


@pytest.mark.parametrize("left", ["mine.tvp", "mine.tvp.new"])  # the latter by a FAT
def test_a_full_disk_keeps_the_old_file_and_no_half_of_the_new(tmp_path, monkeypatch, left):
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2)))
    vocab.save(str(tmp_path / "mine.tvp"))
    before = (tmp_path / "mine.tvp").read_bytes()
    vocab.learn("more", bytes(range(16)))
    whole, calls = vocab._parts, []

    def full():
        calls.append(1)
        for part in whole():
            yield part
            if len(calls) == 3:  # the others are for the size and the checksum
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(vocab, "_parts", full)
    (tmp_path / "mine.tvp").rename(tmp_path / left)
    with pytest.raises(OSError, match="No space"):
        vocab.save(str(tmp_path / "mine.tvp"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tvp"]
    assert (tmp_path / "mine.tvp").read_bytes() == before


def test_save_where_a_file_is_not_renamed_over_another(tmp_path, monkeypatch):
    """As on FAT; and the power may go between its two steps."""
    path, rename = tmp_path / "a.tvp", os.rename
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2)))
    vocab.save(str(path))
    vocab.learn("more", bytes(range(16)))

    def fat(old, new):
        if os.path.exists(new):
            raise OSError(17, "File exists")
        rename(old, new)

    def off(old, new):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "rename", off)
    with pytest.raises(OSError, match="Input/output"):
        vocab.save(str(path))
    assert device_vocab.Vocab(str(path)).labels == vocab.labels
    assert [each.name for each in tmp_path.iterdir()] == ["a.tvp.new"]
    monkeypatch.setattr(files.os, "rename", fat)
    vocab.learn("and more", bytes(range(16)))
    vocab.save(str(path))
    assert device_vocab.Vocab(str(path)).labels == vocab.labels
    assert [each.name for each in tmp_path.iterdir()] == ["a.tvp"]


def test_numbers_of_another_kind_are_refused():
    """Their bytes would be taken for int8, or a float32 be written into half of each."""
    pytest.importorskip("_tinyvlm")
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2)))
    for embedding in (np.ones(16, np.float32), array("f", [1] * 16), array("h", [1] * 16)):
        for call in (vocab.match, vocab.cosines):
            with pytest.raises(ValueError, match=f"items of 1 byte.* {embedding.itemsize} bytes"):
                call(embedding)
    with pytest.raises(ValueError, match="items of 4 bytes.* 8 bytes"):
        vocab.match_into(bytes(16), array("d", [0, 0]))
    assert vocab.match(np.ones(16, np.int8)) == vocab.match(array("b", [1] * 16))


def test_save_takes_no_folders_place(tmp_path, monkeypatch):
    """LittleFS and FAT remove an empty folder as they do a file."""
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2)))
    (tmp_path / "words").mkdir()
    monkeypatch.setattr(files.os, "remove", lambda path: os.rmdir(path))
    with pytest.raises(IsADirectoryError, match="words"):
        vocab.save(str(tmp_path / "words"))
    assert [each.name for each in tmp_path.iterdir()] == ["words"]
    assert (tmp_path / "words").is_dir()


def test_save_of_what_came_from_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(2)))
    with pytest.raises(ValueError, match="came from no file"):
        vocab.save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [False, True], ids=["half", "whole"])
def test_half_a_file_never_becomes_the_vocabulary(tmp_path, monkeypatch, keep):
    """PATH.new of a copy that was cut off, no PATH, and a disk without room for a new one."""
    vocab, path = device_vocab.Vocab(tvp.to_bytes(sample(2))), tmp_path / "mine.tvp"
    data = tvp.to_bytes(sample(3))
    (tmp_path / "mine.tvp.new").write_bytes(data if keep else data[:-1])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        vocab.save(str(path))
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [data] * keep
    monkeypatch.undo()
    vocab.save(str(path))
    assert device_vocab.Vocab(str(path)).labels == vocab.labels
