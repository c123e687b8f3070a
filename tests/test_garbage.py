# SPDX-License-Identifier: MIT
"""What a frame leaves on the heap: nothing, or the answer and nothing else.

A collection of garbage stops a loop for milliseconds at a moment that nobody chose. So these
tests turn it off and count, on the virtual board; the PC has to give the same answers.
"""

import ast

import pytest
from test_device_calls import PC, both, close, machines, random_vocab, rom  # noqa: F401

from tinyvlm.words import tvp

PREPARE = """
import gc
from array import array
def grown(call, frames=5):
    call(); call()
    gc.collect(); gc.disable()
    most = 0
    for _ in range(frames):
        before = gc.mem_alloc()
        call()
        most = max(most, gc.mem_alloc() - before)
    gc.enable()
    return most
e = tinyvlm.encoder.loaded()
f, out = picture('motorcycle'), bytearray(e.dim)
v = tinyvlm.Vocab(ROM + '/words.tvp')
"""
SHOWN = "v.add('my mug', picture('coffee')); v.add('dog', picture('rocket'))\n"
INTO = [
    "e.embed_into(f, out)",
    "tinyvlm.classify_into(f, v, scores)",
    "v.match_into(out, scores)",
    "v.cosines(out)",
]


@pytest.mark.parametrize("shown", ["", SHOWN], ids=["words", "shown"])
def test_nothing_at_all(machines, shown):  # noqa: F811
    """Not even what is given back at once: the calls work while the heap is locked."""
    board = machines[0]
    board.exec(PREPARE + shown + "scores = array('f', bytes(4 * len(v)))\nimport micropython")
    for call in INTO:
        board.exec(
            f"def call():\n    {call}\n"
            "n = grown(call)\n"
            "micropython.heap_lock()\n"
            "try:\n    call()\n"
            "finally:\n    micropython.heap_unlock()"
        )
        assert board.eval("n") == 0, call


def test_counting_sees_a_single_float(machines):  # noqa: F811
    board = machines[0]
    board.exec(PREPARE + "x = 1.5\ndef call():\n    return x + 1")
    assert board.eval("grown(call)") == 16


# A list takes 32 bytes up to 4 answers, then a little more; an answer is a tuple and a float of 16
# bytes each, for detect() a tuple of 32 with one of 32 in it, and a float for the whole frame's
# score. So one float too many is seen.
ANSWERS = [
    ("tinyvlm.classify(f, v, 1)", 1, 32),
    ("tinyvlm.classify(f, v)", 3, 32),
    ("tinyvlm.classify(f, v, 9)", 6, 32),
    ("tinyvlm.detect(f, v)", 1, 96),
    ("v.match(out, 3)", 3, 32),
]


@pytest.mark.parametrize("shown", ["", SHOWN], ids=["words", "shown"])
def test_the_answer_and_nothing_else(machines, shown):  # noqa: F811
    board = machines[0]
    board.exec(PREPARE + shown + "e.embed_into(f, out)\nv.threshold = 0")
    for call, least, each in ANSWERS:
        board.exec(f"def call():\n    return {call}")
        answers, grown = board.eval("(len(call()), grown(call))")
        print(f"{call:28} {answers} answers, {grown} bytes")
        assert answers >= least
        assert grown <= (32 if answers <= 4 else 48) + each * answers, call
    board.exec("v.threshold = 1\ndef call():\n    return tinyvlm.classify(f, v)")
    label, grown = board.eval("(call()[0][0], grown(call))")
    assert label == "unknown" and grown <= 80
    assert board.eval("tinyvlm.detect(f, v)") == []
    assert board.eval("grown(lambda: tinyvlm.detect(f, v))") <= 48


def test_embed_and_heatmap_leave_their_array(machines):  # noqa: F811
    board = machines[0]
    board.exec(PREPARE + "def call():\n    return tinyvlm.embed(f)")
    assert board.eval("grown(call) - e.dim") <= 32
    board.exec("def call():\n    return tinyvlm.heatmap(f, 'motorcycle', v)")
    cells, grown = board.eval("(len(call().values), grown(call))")
    print(f"heatmap of {cells} cells: {grown} bytes")
    assert 4 * cells < grown <= 4 * cells + 128


@pytest.mark.parametrize("shown", [False, True], ids=["words", "shown"])
def test_many_labels(machines, shown):  # noqa: F811
    """The nearest alone are kept: no buffer for all of them."""
    labels = random_vocab([f"label {i}" for i in range(600)], 64, 4)
    data = tvp.to_bytes(labels)
    code = (
        "v = tinyvlm.Vocab(DATA)\nv.threshold = 0\n"
        "near = bytearray(bytes(v.prototypes()[0][64 * 555:64 * 556]))\nnear[0] ^= 85\n"
    )
    if shown:
        code += "v.learn('label 9', near)\nv.learn('my mug', near[32:] + near[:32])\n"
    board, pc = machines
    # a large literal is for files: the raw REPL compiles what it gets
    pc.exec(f"DATA = {data!r}")
    board.exec("DATA = bytearray()")
    for at in range(0, len(data), 4096):
        board.exec(f"DATA.extend({data[at : at + 4096]!r})")
    board.exec(PREPARE + code + "def call():\n    return v.match(near)")
    pc.exec("from array import array\n" + code)
    there, here = both(machines, "print(v.match(near))")
    assert close(there, here) and len(ast.literal_eval(there)) == 3
    # names of so many labels are read from the file: text, and what reading leaves
    texts = 0 if shown else 3 * 112
    assert board.eval("grown(call)") <= 32 + 32 * 3 + texts
    board.exec(
        "r = v.ranking()\nb = r.take()\ndef call():\n    r.best(b, near, v.dim, v.level(), 3)"
    )
    assert board.eval("grown(call)") == 0
    there, here = both(
        machines,
        "scores, found = array('f', bytes(4 * len(v))), v.match(near)\n"
        "best = v.labels[v.match_into(near, scores)]\n"
        "some = array('f', [max(scores)] + [score for _, score in found])\n"
        "print([best, [label for label, _ in found], list(bytes(some))])",
    )
    assert there == here  # to the last bit
    best, names, some = ast.literal_eval(there)
    assert best == names[0] and some[:4] == some[4:8]


def test_classify_into_says_what_classify_says(machines):  # noqa: F811
    there, here = both(
        machines,
        "from array import array\n"
        "v = tinyvlm.Vocab(ROM + '/words.tvp')\n"
        "scores, said = array('f', bytes(4 * len(v))), []\n"
        "for name in ('motorcycle', 'coffee', 'chelsea', 'coins', 'china', 'rocket'):\n"
        "    f = picture(name)\n"
        "    said.append([tinyvlm.classify_into(f, v, scores), list(scores)])\n"
        "    said[-1].append(tinyvlm.classify(f, v, 1))\n"
        "labels = v.labels\n"
        "print(said)\n",
    )
    assert close(there, here)
    labels = machines[1].names["labels"]
    names = []
    for index, scores, [(label, score)] in ast.literal_eval(there):
        names.append(label)
        assert label == ("unknown" if index < 0 else labels[index])
        assert score == pytest.approx(1 - max(scores) if index < 0 else scores[index])
        assert max(scores) == scores[index] or index < 0
        assert 0 < sum(scores) < 1  # the rest is the background's
    assert "unknown" in names and "motorcycle" in names


def test_scores_that_are_too_few(machines):  # noqa: F811
    for said in both(
        machines,
        "from array import array\n"
        "try:\n    v.match_into(bytes(256), array('f', [0] * 5))\n"
        "except ValueError as e:\n    print(e)",
    ):
        assert said.startswith("scores has room for 5 values, the vocabulary 6 labels: give it")
