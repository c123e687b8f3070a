# SPDX-License-Identifier: MIT
"""Two ask at once: a callback in the middle of a call, at any line of it, and threads."""

import sys
from array import array
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nets import Builder
from test_tvp import LEARNT, NONE, sample

from tinyvlm.device import encoder as device_encoder
from tinyvlm.device import locate, ranking, vocab
from tinyvlm.device.frame import RGB888, Frame
from tinyvlm.net import tvlm
from tinyvlm.net.graph import Graph
from tinyvlm.words import tvp

OURS = {module.__file__ for module in (device_encoder, locate, ranking, vocab)}


@pytest.fixture
def loaded(tmp_path):
    """(a vocabulary, two embeddings, two frames) with an encoder for them loaded."""
    build = Builder(12, seed=1)
    build.conv(5, 3, 2)
    graph: Graph = build.finish(16, dense=True)
    data = tvlm.to_bytes(graph)
    (tmp_path / "e.tvlm").write_bytes(data)
    device_encoder.load(str(tmp_path / "e.tvlm"))
    written = sample(5, 16, background=2, learnt=LEARNT, **NONE)
    written.fingerprint = data[16:24]
    words = vocab.Vocab(tvp.to_bytes(written))
    words.threshold = 0
    rng = np.random.default_rng(3)
    embeddings = [rng.integers(-127, 128, 16, np.int8).tobytes() for _ in range(2)]
    frames = [Frame(rng.bytes(3 * 144), 12, 12, RGB888) for _ in range(2)]
    yield words, embeddings, frames
    device_encoder._default = None


def into(call, *more):
    scores = array("f", bytes(4 * 5))
    return call(*more, scores), bytes(scores)


CALLS = {
    "match": lambda words, near, frame: words.match(near, 3),
    "match_into": lambda words, near, frame: into(words.match_into, near),
    "classify": lambda words, near, frame: device_encoder.classify(frame, words),
    "classify_into": lambda words, near, frame: into(device_encoder.classify_into, frame, words),
    "detect": lambda words, near, frame: locate.detect(frame, words, 0),
    "heatmap": lambda words, near, frame: bytes(locate.heatmap(frame, 1, words).values),
}


def meanwhile(line, outer, inner):
    """outer(), with inner() before the `line`th line of the package's code; None: that is not."""
    left, done = [line], []

    def trace(frame, event, arg):
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                done.append(inner())
        return trace

    sys.settrace(trace)
    try:
        answer = outer()
    finally:
        sys.settrace(None)
    return (answer, done[0]) if done else None


@pytest.mark.parametrize("second", CALLS)
@pytest.mark.parametrize("first", CALLS)
def test_a_callback_at_any_line_changes_no_answer(loaded, first, second):
    words, embeddings, frames = loaded
    calls = [
        lambda: CALLS[first](words, embeddings[0], frames[0]),
        lambda: CALLS[second](words, embeddings[1], frames[1]),
    ]
    want, line = (calls[0](), calls[1]()), 1
    while (found := meanwhile(line, *calls)) is not None:
        assert found == want, line
        line += 1
    assert line > 10


def test_threads_share_a_vocabulary(loaded):
    """Every thread gets the answers that it gets alone."""
    words, _, _ = loaded
    rng = np.random.default_rng(4)
    asked = [rng.integers(-127, 128, 16, np.int8).tobytes() for _ in range(500)]
    alone = [words.match(near, 3) for near in asked]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda near: words.match(near, 3), asked))
    finally:
        sys.setswitchinterval(before)
    assert found == alone
