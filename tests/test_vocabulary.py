# SPDX-License-Identifier: MIT
"""Word lists: what is accepted, and what each bad line gets told."""

import pytest

from tinyvlm.words import vocabulary


def test_as_many_bad_lines_are_told_as_one_reads():
    with pytest.raises(ValueError) as error:
        vocabulary.parse(b"a: b: c\n" * 100_000)
    assert len(str(error.value).splitlines()) == 100


def labels(text):
    return [entry.label for entry in vocabulary.parse(text.encode())]


def test_comments_blank_lines_and_spaces():
    assert labels("# pets\n\n  cat \nguinea   pig # a comment\n\t\n") == ["cat", "guinea pig"]


def test_tabs_are_spaces():
    """As a table's cells bring them."""
    raw = b"house\tcat\ndog:\tdog,\tguide\tdog\t\n"
    assert [(entry.label, entry.phrases) for entry in vocabulary.parse(raw)] == [
        ("house cat", ("house cat",)),
        ("dog", ("dog", "guide dog")),
    ]


def test_phrases_replace_the_label_and_duplicates_among_them_count_once():
    [entry] = vocabulary.parse(b"Katze: cat, kitten , cat,\n")
    assert entry == vocabulary.Entry("Katze", ("cat", "kitten"), 1)


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbfcat\r\ndog\r\n", b"cat\ndog", b"cat\n\n\ndog\n"])
def test_byte_order_mark_and_line_ends(raw):
    assert [entry.label for entry in vocabulary.parse(raw)] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no labels in it"),
        (b"# only a comment\n", "no labels in it"),
        (b"cat\nCat\n", ":2: 'Cat' stands in line 1 already"),
        (b"cat\n\xff\xfe\n", ":2: not UTF-8"),
        ("cat\n".encode("utf-16"), "pets.txt: not UTF-8"),
        (b"TVPR\1\0\n\xff", "pets.txt: packed already"),
        (b": cat\n", ":1: no label before the colon"),
        (b"cat:\n", ":1: 'cat' has no phrase after the colon"),
        (b"cat: a: b\n", ":1: two colons"),
        (b"ca\x07t\n", ":1: a control character"),
        (b"cat: " + b"word " * 2_500_000, ":1: at most 1000 phrases of 1000 letters"),
        (b"cat: " + b"word, " * 100_000, ":1: at most 1000 phrases of 1000 letters"),
        (b"".join(b"w%d\n" % i for i in range(100_000)), ":65536: more than 65535 labels"),
        (b"x" * 256, ":1: the label has 256 bytes, at most 255 fit"),
        (b"unknown\n", ":1: 'unknown' is what a frame is called that shows none of the labels"),
        (b"Unknown: cat\n", ":1: 'Unknown' is what a frame is called that shows none"),
        (b"cat, dog ,bird\n", ":1: several labels in a line? write cat / dog / bird in 3 lines"),
        (b"-\n", ":1: '-' has no letters; write `-: other words for it`"),
        (b"_\n", ":1: '_' has no letters"),
        (b"x: ()\n", ":1: '()' has no letters; write `x: other words for it`"),
        ("\U0001f431\n".encode(), ":1: '\U0001f431' has no letters"),
        ("caf\u00e9\ncafe\u0301\n".encode(), ":2: 'caf\u00e9' stands in line 1 already"),
        ("cat\nca\u200bt\n".encode(), ":2: 'cat' stands in line 1 already"),
        ("cat\nca\u200dt\n".encode(), ":2: 'ca\\u200dt' stands in line 1 already"),
        ("cat\n\uff43\uff41\uff54\n".encode(), ":2: '\uff43\uff41\uff54' stands in line 1"),
    ],
)
def test_bad_lists(raw, message):
    with pytest.raises(vocabulary.VocabularyError) as error:
        vocabulary.parse(raw, "pets.txt")
    assert message in str(error.value)
    assert str(error.value).startswith("pets.txt:")


def test_what_is_not_seen_is_not_kept_and_letters_are_composed():
    assert labels("\ufeffdo\u200bg: dog\nsoft\u00adball\ncafe\u0301\n") == [
        "dog",
        "softball",
        "café",
    ]
    assert labels("\U0001f431: cat\n\U0001f468\u200d\U0001f4bb: programmer\n") == [
        "\U0001f431",
        "\U0001f468\u200d\U0001f4bb",
    ]


def test_all_bad_lines_are_told_at_once():
    with pytest.raises(vocabulary.VocabularyError) as error:
        vocabulary.parse(b"cat\ncat\n: x\nb:\n", "pets.txt")
    assert [line.split(" ")[0] for line in str(error.value).splitlines()] == [
        "pets.txt:2:",
        "pets.txt:3:",
        "pets.txt:4:",
    ]
