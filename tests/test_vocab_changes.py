# SPDX-License-Identifier: MIT
"""add(), learn() and remove() are all or nothing: an exception at any line leaves the old
vocabulary or the new one, whether it is Ctrl-C or a heap that is full."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from test_device_calls import machines, rom  # noqa: F401
from test_tvp import sample

from tinyvlm.device import tvp as device_tvp
from tinyvlm.device import vocab as device_vocab
from tinyvlm.words import tvp

SHOWN, ASKED = bytes(range(1, 17)), bytes(range(16, 0, -1))
OURS = {device_vocab.__file__, device_tvp.__file__}
CHANGES = {
    "a new label": lambda vocab: vocab.learn("new", SHOWN),
    "a word": lambda vocab: vocab.learn("label 1 ü", SHOWN),
    "shown before": lambda vocab: vocab.learn("label 2 ü", SHOWN),
    "away": lambda vocab: vocab.remove("label 0 ü"),
    "away, shown": lambda vocab: vocab.remove("label 2 ü"),
}


def state(vocab, path):
    """All that can be seen: the file it would write, its answers, what another frame makes."""
    said = vocab.match(ASKED, top=9), list(vocab.cosines(ASKED)), list(vocab.labels), len(vocab)
    vocab.save(str(path))
    first = path.read_bytes()
    vocab.learn("label 2 ü" if "label 2 ü" in vocab.labels else "label 1 ü", ASKED)
    vocab.save(str(path))
    return said, first, path.read_bytes()


def stop_at(line, call):
    """Runs call(), with a KeyboardInterrupt before the `line`th line of the package's own code.

    Returns whether it came that far.
    """
    left = line

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("again", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_exception_at_any_line_leaves_the_old_or_the_new(tmp_path, change, again, bits):
    data = tvp.to_bytes(sample(4, 16, bits, background=1, learnt={2: (2, 7.0, 0.9)}))
    path = tmp_path / "mine.tvp"

    def fresh():
        vocab = device_vocab.Vocab(data)
        if again:  # it has been in RAM since
            vocab.learn("label 2 ü", SHOWN)
        vocab.match(ASKED)
        return vocab

    old, changed = fresh(), fresh()
    change(changed)
    either = state(old, path), state(changed, path)
    assert either[0] != either[1]
    line, found = 0, set()
    while True:
        vocab = fresh()
        if not stop_at(line, lambda vocab=vocab: change(vocab)):
            break
        assert (now := state(vocab, path)) in either, line
        found.add(either.index(now))
        line += 1
    assert line > 10 and 0 in found


def test_a_ranking_from_before_a_change_still_answers_as_before():
    """It has its own buffers: who holds one is not shown rows of another shape."""
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(3, 16)))
    vocab.learn("label 1 ü", SHOWN)  # from here on it is in RAM
    ranking = vocab.ranking()
    before = np.array(ranking.compare(ranking.take(), ASKED, 16))
    vocab.learn("label 1 ü", ASKED)
    vocab.remove("label 0 ü")
    assert (np.array(ranking.compare(ranking.take(), ASKED, 16)) == before).all()


def test_none_of_them_weighs_the_same_beside_more_labels(tmp_path):
    """exp(scale * none) grows with the labels, at every prefix, in memory and in the file."""
    made = replace(sample(3, 16), prefixes=[(8, 6.0, 0.25)], none=[0.5, 0.25])
    vocab = device_vocab.Vocab(tvp.to_bytes(made))
    for name in "abc":
        vocab.learn(name, SHOWN)
    vocab.save(str(tmp_path / "grown.tvp"))
    for grown in (vocab, device_vocab.Vocab(str(tmp_path / "grown.tvp"))):
        for dim, none, level in ((8, 0.5, (6.0, 0.25)), (16, 0.25, (None, vocab.threshold))):
            grown.dim = dim
            scale, threshold, now = grown.level()
            assert threshold == level[1] and level[0] in (None, scale)
            assert now == pytest.approx(none + math.log(6 / 3) / scale)
        for name in "abc":
            grown.remove(name)
        assert grown.level()[2] == pytest.approx(0.25)


def test_without_none_of_them_a_change_leaves_the_level():
    vocab = device_vocab.Vocab(tvp.to_bytes(sample(3, 16)))
    before = vocab.level()
    vocab.learn("new", SHOWN)
    assert vocab.level() == before


SQUEEZE = """
import gc
from array import array
def state(v):
    return list(v.labels), bytes(v.prototypes()[0]), list(v.cosines(ASKED))
def squeezed(call, room):
    hold, size, keep = [None] * 400, 1 << 20, bytearray(room)
    gc.collect()
    i = 0
    while size >= 16 and i < 400:
        try:
            hold[i] = bytearray(size)
            i += 1
        except MemoryError:
            size //= 2
    keep = None
    try:
        call()
        return True
    except MemoryError:
        return False
def at_all_sizes(change, most):
    done = [0, 0, 0]  # old, new, half
    changed = fresh()
    change(changed)
    old, new = state(fresh()), state(changed)
    for room in range(0, most, 48):
        v = fresh()
        complete = squeezed(lambda: change(v), room)
        now = state(v)
        half = now != (new if complete else old)
        done[2 if half else complete] += 1
    return done
"""


ON_BOARD = ["v.learn('new', SHOWN)", "v.learn('label 1 ü', SHOWN)", "v.remove('label 1 ü')"]


@pytest.mark.parametrize("change", ON_BOARD)
def test_a_full_heap_leaves_the_old_one(machines, change):  # noqa: F811
    """On the board, with every room from none to what it takes."""
    board = machines[0]
    data = tvp.to_bytes(sample(3, 16, learnt={1: (2, 7.0, 0.9)}))
    board.exec(f"SHOWN, ASKED, DATA = {SHOWN!r}, {ASKED!r}, {data!r}\n{SQUEEZE}")
    board.exec("def fresh():\n    return tinyvlm.Vocab(DATA)")
    board.exec(f"def change(v):\n    {change}")
    old, new, half = board.eval("at_all_sizes(change, 1536)")
    print(f"{change}: {old} times the old one, {new} the new one, {half} half")
    assert old > 3 and new > 3 and not half
