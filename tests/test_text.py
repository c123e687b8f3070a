# SPDX-License-Identifier: MIT
"""Text encoders: the lexicon's rules, and open_clip's zero-shot head reproduced."""

import numpy as np
import pytest

from tinyvlm.shipped import DATA
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.lexicon import Lexicon
from tinyvlm.words.space import TextMap, UnknownPhrase, space_of


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon.load(DATA / "lexicon.npz")


def test_vectors_are_unit_and_near_words_are_nearer(lexicon):
    cat, kitten, rocket = (lexicon.encode(w).vector for w in ("cat", "kitten", "rocket"))
    assert np.isclose(np.linalg.norm(cat), 1, atol=1e-5)
    assert cat @ kitten > cat @ rocket


@pytest.mark.parametrize(
    ("phrase", "how"),
    [
        ("cat", "exact"),
        ("cats", "exact (cat)"),
        ("a cat", "exact (cat)"),
        ("my cat", "exact (cat)"),
    ],
)
def test_exact(lexicon, phrase, how):
    encoded = lexicon.encode(phrase)
    assert encoded.how == how
    assert (encoded.vector == lexicon.encode("cat").vector).all()


@pytest.mark.parametrize("phrase", ["-", "_", "()", "", " "])
def test_no_word_at_all(lexicon, phrase):
    with pytest.raises(UnknownPhrase, match="is not in the lexicon"):
        lexicon.encode(phrase)


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("strawberry rocket", ["strawberry", "rocket"]),
        ("the guinea pig on my sofa", ["guinea pig", "sofa"]),  # the longest names, not words
        ("dogs and a traffic light at the beach", ["dog", "traffic light", "beach"]),
        ("rocket with a rocket and a strawberry", ["rocket", "strawberry"]),
        ("strawberry lawnmower", ["strawberry", "lawn mower"]),
    ],
)
def test_a_phrase_is_the_mean_of_the_names_in_it(lexicon, phrase, names):
    encoded = lexicon.encode(phrase)
    assert encoded.how == f"composed of {' + '.join(names)}"
    alike = [encoded.vector @ lexicon.encode(name).vector for name in names]
    assert np.isclose(np.linalg.norm(encoded.vector), 1, atol=1e-5)
    total = sum(lexicon.encode(name).vector for name in names)
    assert np.allclose(total / np.linalg.norm(total), encoded.vector, atol=1e-5)
    assert min(alike) > 0.3


def test_unknown_modifier_is_told_and_unknown_head_is_an_error(lexicon):
    assert lexicon.encode("qwxz rocket").how == "'qwxz' is not known and ignored; using 'rocket'"
    with pytest.raises(UnknownPhrase, match="did you mean .*elephant"):
        lexicon.encode("elefant")
    with pytest.raises(UnknownPhrase, match="not in the lexicon"):
        lexicon.encode("rocket qwxz")  # a typing error there is no rocket
    with pytest.raises(UnknownPhrase, match="text-encoder"):
        lexicon.encode("qwxz")


def test_a_file_that_is_no_lexicon(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"not a zip")
    with pytest.raises(ValueError, match="not a tinyvlm lexicon"):
        Lexicon.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match="not a tinyvlm lexicon"):
        Lexicon.load(path)


def test_a_lexicon_that_is_damaged_or_not_complete(tmp_path):
    """Every cut, and every byte changed: it opens, or a ValueError in one line names the file."""
    path = tmp_path / "x.npz"
    tables = {
        "names": np.frombuffer(b"cat\ndog", np.uint8),
        "kinds": np.zeros(2, np.uint8),
        "vectors": np.ones((2, 8), np.int8),
        "centre": np.zeros(4, np.float16),
        "projection": np.ones((4, 8), np.float16),
        "space": np.array("test"),
    }
    np.savez_compressed(path, **tables)
    data = path.read_bytes()
    assert len(Lexicon.load(path)) == 2
    damaged = [data[:at] for at in range(len(data))]
    damaged += [data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :] for at in range(len(data))]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            Lexicon.load(path)
        except ValueError as error:
            said = str(error)
            assert "\n" not in said and said.startswith(f"{path}: "), said
            assert "damaged or not complete" in said or "not a tinyvlm lexicon" in said
            refused += 1
    assert refused > len(data)  # every cut, and most of the changes
    np.savez(path, **tables | {"kinds": np.zeros(1, np.uint8)})
    with pytest.raises(ValueError, match="differ in length"):
        Lexicon.load(path)
    for kinds in (np.full(2, 3, np.uint8), np.zeros(2), np.zeros((2, 2), np.uint8)):
        np.savez(path, **tables | {"kinds": kinds})
        with pytest.raises(ValueError, match="not a tinyvlm lexicon .*kinds are not 0 to 2"):
            Lexicon.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="not a tinyvlm lexicon"):
        Lexicon.load(path)
    with pytest.raises(FileNotFoundError):
        Lexicon.load(tmp_path / "none.npz")


def test_unknown_text_encoder():
    with pytest.raises(ValueError, match="use `lexicon`, `sentence` or `open_clip:MODEL/TAG`"):
        create_text_encoder("word2vec")


def test_projection_is_a_centred_linear_map():
    rng = np.random.default_rng(0)
    space = TextMap("t", rng.normal(size=6), rng.normal(size=(6, 4)))
    vectors = rng.normal(size=(5, 6))
    want = (vectors - space.centre) @ space.projection
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    assert np.allclose(space.project(vectors), want, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "begin"),
    [
        ("open_clip:ViT-B-32/openai", "clip-vit-b-32-openai/"),
        ("open_clip:ViT-B-32-quickgelu/openai", "clip-vit-b-32-openai/"),
        ("open_clip:ViT-B-16/folder/weights.pt", "clip-vit-b-16-weights.pt/"),
    ],
)
def test_a_text_space_is_named_after_its_text_tower(spec, begin):
    assert space_of(spec) == begin
    lexicons = create_text_encoder("lexicon").space
    assert lexicons.startswith(begin) == ("ViT-B-32" in spec)
