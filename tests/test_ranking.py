# SPDX-License-Identifier: MIT
"""From cosines to answers: one meaning of a score, whatever the size, wherever it is computed."""

from array import array

import _tinyvlm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvlm.device import ranking, slow, vocab
from tinyvlm.words import tvp

ENGINES = {"C": _tinyvlm, "Python": slow}


def random_vocab(labels, dim=64, background=0, seed=0, bits=8, **more):
    vectors = np.random.default_rng(seed).normal(size=(labels + background, dim))
    return tvp.Prototypes(
        labels=[f"label {i}" for i in range(labels)],
        vectors=tvp.quantize(vectors, bits),
        fingerprint=bytes(8),
        encoder="test",
        bits=bits,
        background=background,
        **more,
    )


def query(dim=64, seed=1):
    return np.random.default_rng(seed).integers(-128, 128, dim).astype(np.int8).tobytes()


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    """Vocabularies that are compared by the engine in C, or in plain Python."""
    module = ENGINES[request.param]
    for name in ("rank", "score", "weigh"):
        monkeypatch.setattr(ranking, name, getattr(module, name))
    monkeypatch.setattr(ranking, "best_labels", module.best)
    return module


def opened(prototypes, threshold=0):
    made = vocab.Vocab(tvp.to_bytes(prototypes))
    made.threshold = threshold
    return made


@pytest.mark.parametrize("shown", [False, True], ids=["words", "shown"])
@pytest.mark.parametrize("background", [0, 5])
@pytest.mark.parametrize("none", [None, 0.25])
@pytest.mark.parametrize("labels", [1, 16, 511, 512, 600, 2000])
def test_a_score_is_the_softmax_over_all_labels(engine, labels, none, background, shown):
    """And over "none of them", if that takes part."""
    learnt = {i: (i, 5.0 + i, 0.5 + i % 4 / 8) for i in range(1, labels, 3)} if shown else {}
    more = {"rivals": background, "none": [none]} if none else {}
    made = random_vocab(labels, background=background, learnt=learnt, logit_scale=18.5, **more)
    words, near = opened(made), query()
    rows, e = made.to_float(), np.frombuffer(near, np.int8).astype(float)
    cosines = rows.astype(float) @ e / np.linalg.norm(e)
    cosines[list(learnt)] *= [gain for _, _, gain in learnt.values()]
    rest = np.exp(18.5 * none) if none else 0
    want = np.exp(18.5 * cosines) / (np.exp(18.5 * cosines).sum() + rest)
    scores = array("f", bytes(4 * labels))
    words.match_into(near, scores)
    assert np.allclose(scores, want[:labels], atol=1e-6)
    found = words.match(near, labels)
    if background and cosines.argmax() >= labels:
        assert found == [("unknown", 1 - max(scores))]
    else:
        assert {name for name, _ in found} == set(words.labels)
        # to the last bit what classify_into() says
        assert [score for _, score in found] == sorted(scores, reverse=True)
        assert all(scores[words.labels.index(name)] == score for name, score in found)


@pytest.mark.parametrize("labels", [100, 600, 2000])
def test_as_many_answers_as_were_asked_for(engine, labels):
    words = opened(random_vocab(labels))
    for top in (1, 64, 65, 100, labels, labels + 9):
        found = words.match(query(), top)
        assert len(found) == min(top, labels) == len(dict(found))


def test_a_label_more_takes_its_share_and_no_more(engine):
    """Scores do not jump where a list gets long."""
    best = []
    for labels in (510, 511, 512, 513):
        words = opened(random_vocab(labels, logit_scale=12.0))
        best.append(words.match(words.prototypes()[0][:64])[0][1])
    assert best == pytest.approx([best[0]] * 4, rel=0.01)


@given(
    labels=st.integers(1, 40),
    background=st.integers(0, 20),
    dim=st.integers(1, 40),
    less=st.integers(0, 39),
    bits=st.sampled_from([8, 4]),
    scale=st.floats(0, 100, width=32),
    threshold=st.floats(0, 1, width=32),
    none=st.one_of(st.just(-2.0), st.floats(-1, 1, width=32)),
    count=st.integers(0, 45),
    seed=st.integers(0, 999),
)
def test_c_and_python_are_equal_to_the_last_bit(
    labels, background, dim, less, bits, scale, threshold, none, count, seed
):
    rng = np.random.default_rng(seed)
    rows, used = labels + background, max(1, dim - less)
    vectors = rng.integers(0, 256, rows * tvp.row_bytes(dim, bits), np.uint8)
    vectors[rng.random(len(vectors)) < 0.3] = 0  # rows of zeros, and equal ones
    embedding = rng.integers(-128, 128, dim).astype(np.int8).tobytes()
    shown = array("H", sorted(rng.choice(labels, int(rng.integers(0, labels + 1)), False)))
    gains = array("f", [*rng.random(len(shown)), 1])  # never empty: that is not aligned
    how = array("f", [scale, threshold, none])
    results = []
    for module in ENGINES.values():
        cosines = array("f", bytes(4 * rows))
        module.score(embedding, vectors.tobytes(), rows, dim, bits, used, cosines)
        module.weigh(cosines, shown, len(shown), gains)
        scores, index = array("f", bytes(4 * labels)), array("H", bytes(90))
        sure = module.rank(cosines, labels, rows, how, scores, count, index)
        best, order = array("f", bytes(180)), array("H", bytes(90))
        what = embedding, vectors.tobytes(), labels, rows, dim, bits, used
        also = module.best(*what, shown, len(shown), gains, how, count, order, best)
        kept = min(count, labels)
        assert also == sure and index == order
        assert best[:kept] == array("f", [scores[i] for i in index[:kept]])
        results.append((cosines, scores if count else None, sure, index[:kept]))
    assert results[0] == results[1]


@pytest.mark.parametrize("cosines", [[0.5], [0.5, 0.5], [-1, 1], [1, -1], [0, float("nan")]])
@pytest.mark.parametrize("scale", [0, 1, 31, 1e9, -5, float("inf"), float("nan")])
@pytest.mark.parametrize("none", [-2, 0, 1, float("inf"), float("nan")])
def test_extreme_scales_and_cosines(cosines, scale, none):
    results = []
    for module in ENGINES.values():
        scores, index = array("f", bytes(8)), array("H", bytes(4))
        rows = len(cosines)
        values, how = array("f", cosines), array("f", [scale, 0, none])
        sure = module.rank(values, rows, rows, how, scores, rows, index)
        results.append((sure, list(scores), list(index)))
        assert all(0 <= score <= 1 for score in scores)
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "change",
    [
        {"labels": 3, "rows": 2},
        {"labels": -1},
        {"dim": 9},
        {"dim": 0},
        {"bits": 5},
        {"count": -1},
        {"count": 4},
        {"shown_count": 3},
        {"shown_count": 2},
        {"embedding": bytes(3)},
        {"vectors": bytes(15)},
        {"how": array("f", [1, 0])},
        {"shown_count": 2, "shown": array("H", [0, 1])},  # gains of one
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(change):
    whole = {
        "embedding": bytes(8),
        "vectors": bytes(16),
        "labels": 2,
        "rows": 2,
        "stored_dim": 8,
        "bits": 8,
        "dim": 4,
        "shown": array("H", [0]),
        "shown_count": 1,
        "gains": array("f", [1]),
        "how": array("f", [1, 0, -2]),
        "count": 2,
        "index": array("H", bytes(4)),
        "scores": array("f", bytes(12)),
    }
    assert _tinyvlm.best(*whole.values()) == 2
    with pytest.raises(ValueError):
        _tinyvlm.best(*(whole | change).values())
