# SPDX-License-Identifier: MIT
"""Prototype files: written by the host, read by the host and by the device package."""

import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvlm import files, tvp
from tinyvlm.device import slow
from tinyvlm.device import vocab as device_vocab


def sample(rows=3, dim=16, bits=8, background=0, seed=0):
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
    )


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
    slow.score(embedding.tobytes(), vocab._vectors, 5, 16, bits, dim, out)
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
    assert vocab.match(background) == [("unknown", 1 - vocab.ranked(background, 1, 0)[1])]
    label = written.vectors[0].tobytes()
    assert [name for name, _ in vocab.match(label)] == ["label 0 ü"]


@pytest.mark.parametrize("read", [tvp.from_bytes, device_vocab.Vocab], ids=["host", "device"])
def test_every_truncation_and_every_bit_flip_is_refused(read):
    data = tvp.to_bytes(sample(2, 8, background=1))
    for length in range(len(data)):
        with pytest.raises(ValueError):
            read(data[:length])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError):
            read(bytes(flipped))
    read(data + b"more")  # bytes after the file are ignored


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
