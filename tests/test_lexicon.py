# SPDX-License-Identifier: MIT
"""The shipped table of words: what is in it, and how plurals, spellings and typos are taken."""

import json
from pathlib import Path

import numpy as np
import pytest
from tars import encoded, write

from tinyvlm.shipped import DATA, DEFAULT_MODEL
from tinyvlm.train.lexicon import composition, words
from tinyvlm.words import lexicon
from tinyvlm.words.lexicon import KINDS, Lexicon, canonical, singulars
from tinyvlm.words.space import UnknownPhrase

TYPED = """
dog, puppy, kitten, guinea pig, goldfish, hamster, budgie, tortoise, gecko, leash, fish tank,
spoon, fork, mug, frying pan, kettle, toaster, fridge, faucet, cutting board, spatula, whisk,
corkscrew, oven mitt, banana, tomato, garlic, pizza, hammer, screwdriver, wrench, pliers, hacksaw,
drill bit, sandpaper, nail, screw, bolt, nut, vise, tape measure, soldering iron, multimeter,
cable tie, circuit board, toolbox, duct tape, safety glasses, 3d printer, led, arduino, padlock,
car, truck, bus, bicycle, motorcycle, van, ambulance, police car, fire truck, pedestrian, cyclist,
traffic light, stop sign, crosswalk, traffic cone, license plate, pothole, excavator, forklift,
rose, sunflower, lawn mower, wheelbarrow, watering can, garden hose, flower pot, bird feeder, bee,
ladybug, snail, wasp, squirrel, magpie, weed, mushroom, secateurs, trowel, garden gnome, cactus,
office chair, laptop, keyboard, monitor, stapler, paper clip, scissors, sticky note, smartphone,
headphones, whiteboard, wastebasket, usb stick, charger, backpack, water bottle, keychain, wallet,
teddy bear, doll, lego brick, toy car, puzzle, soccer ball, dice, playing card, rubber duck,
action figure, rubik's cube, frisbee, skateboard, remote control, xylophone, person, face, hand,
thumbs up, hat, sock, toothbrush, washing machine, candle, banknote, credit card, parcel, postman,
fire, smoke, snow, cloud, moon, solar panel, letter, tweezers, seed, plastic bag, cardboard box,
dragon, hoodie, moustache, caravan, tower crane, cat flap, dog lead, hamster cage, muntjac, westie,
washing line, bauble, dehumidifier, sandcastle, toadstool, seaweed, wisteria, hanging basket,
cafetiere, cheese grater, sourdough, halloumi, dragon fruit, vice, hole saw, laser cutter, solder,
power supply, heat shrink, thermocouple, quad bike, combine harvester, no entry sign, skateboarder,
onesie, hi vis vest, head torch, playstation, desk fan, lifeguard
"""

COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball
bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife,
spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair,
couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone,
microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
toothbrush
"""
CIFAR = """
apple, aquarium_fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge,
bus, butterfly, camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock, cloud,
cockroach, couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish, forest, fox, girl,
hamster, house, kangaroo, keyboard, lamp, lawn_mower, leopard, lion, lizard, lobster, man,
maple_tree, motorcycle, mountain, mouse, mushroom, oak_tree, orange, orchid, otter, palm_tree,
pear, pickup_truck, pine_tree, plain, plate, poppy, porcupine, possum, rabbit, raccoon, ray, road,
rocket, rose, sea, seal, shark, shrew, skunk, skyscraper, snail, snake, spider, squirrel,
streetcar, sunflower, sweet_pepper, table, tank, telephone, television, tiger, tractor, train,
trout, tulip, turtle, wardrobe, whale, willow_tree, wolf, woman, worm
"""


def read(name):
    """`left: right` lines of a file of tests/data, without comments."""
    text = (Path(__file__).parent / "data" / name).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(": ", 1)) for line in lines]


def split(text):
    return [word.strip() for word in text.split(",")]


@pytest.fixture(scope="module")
def shipped():
    return Lexicon.load(DATA / "lexicon.npz")


def test_size(shipped):
    assert len(shipped) >= 20_000
    assert shipped.vectors.shape == (len(shipped), 256) and shipped.vectors.dtype == np.int8
    assert (DATA / "lexicon.npz").stat().st_size <= 8_000_000


def test_what_people_type_is_there(shipped):
    names = [" ".join(name.split()) for name in TYPED.split(",")]
    assert not [n for n in names if not shipped.encode(n).how.startswith(KINDS)]


@pytest.mark.parametrize(
    ("classes", "count"),
    [(words.FOOD, 101), (words.FLOWERS, 102), (COCO, 80), (CIFAR, 100)],
    ids=["food-101", "flowers-102", "coco", "cifar-100"],
)
def test_class_names_of_public_sets_are_there(shipped, classes, count):
    names = [" ".join(name.split()) for name in classes.split(",")]
    assert len(set(names)) == count
    assert not [n for n in names if not shipped.encode(n).how.startswith(KINDS)]


@pytest.mark.parametrize(("of", "names"), read("class_names.txt"))
def test_class_names_of_textures_and_places_pack(shipped, of, names):
    found = [shipped.encode(name).how for name in split(names)]  # UnknownPhrase if one does not
    assert sum("ignored" in how for how in found) < len(found) / 20


@pytest.mark.parametrize(("word", "neighbours"), read("makers_words.txt"))
def test_a_makers_word_lies_where_it_belongs(shipped, word, neighbours):
    vector = shipped.encode(word).vector
    near, far = (
        max(vector @ shipped.encode(other).vector for other in split(words))
        for words in neighbours.split("|")
    )
    assert near > far


def test_the_makers_list_is_long():
    assert len(dict(read("makers_words.txt"))) == len(read("makers_words.txt")) >= 300


def test_names_are_in_the_form_in_which_they_are_compared(shipped):
    assert [name for name in shipped.index if canonical(name) != name] == []


@pytest.mark.parametrize(
    ("name", "kind"), [("cat", "exact"), ("sky", "ensemble"), ("secateurs", "estimated")]
)
def test_every_name_tells_where_its_vector_comes_from(shipped, name, kind):
    assert shipped.kind(name) == kind
    assert shipped.encode(name).how == kind


@pytest.mark.parametrize(
    ("words", "one"),
    [
        ("cats", "cat"),
        ("strawberries", "strawberry"),
        ("boxes", "box"),
        ("knives", "knife"),
        ("leaves", "leaf"),
        ("stoves", "stove"),
        ("tomatoes", "tomato"),
        ("mice", "mouse"),
        ("geese", "goose"),
        ("firemen", "fireman"),
        ("children", "child"),
        ("traffic lights", "traffic light"),
    ],
)
def test_plurals(shipped, words, one):
    assert one in singulars(words)
    assert (shipped.encode(words).vector == shipped.encode(one).vector).all()


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Lawn-Mower", "lawn mower"),
        ("teddybear", "teddy bear"),
        ("rubiks cube", "rubik's cube"),
        ("screw_driver", "screwdriver"),
        ("a corn", "corn"),  # not an acorn
    ],
)
def test_spellings(shipped, typed, name):
    assert (shipped.encode(typed).vector == shipped.encode(name).vector).all()


@pytest.mark.parametrize(
    ("typed", "name"),
    [("screwdrivr", "screwdriver"), ("giraf", "giraffe"), ("wheelbarow", "wheelbarrow")],
)
def test_suggestions(shipped, typed, name):
    with pytest.raises(UnknownPhrase, match=rf"did you mean .*{name}"):
        shipped.encode(typed)


def test_a_plural_that_the_teacher_knows_keeps_its_own_vector(shipped):
    assert shipped.encode("gloves").how == "exact"


def test_no_english_word_loses_its_s(shipped):
    for name in ("glass", "bus", "brass", "scissors", "lens"):
        assert shipped.encode(name).how in KINDS


def test_estimates_lie_near_their_kind(shipped):
    """A word that CLIP's table lacks is nearer to things like it than to others."""
    for word, near, far in (
        ("excavator", "bulldozer", "hamster"),
        ("soldering iron", "screwdriver", "rose"),
        ("smartphone", "cellular telephone", "horse"),
        ("gerbil", "hamster", "truck"),
    ):
        assert shipped.kind(word) == "estimated"
        vector = shipped.encode(word).vector
        assert vector @ shipped.encode(near).vector > vector @ shipped.encode(far).vector + 0.2


def test_kinds_have_a_number_each(shipped):
    assert set(np.unique(shipped.kinds)) == set(range(len(lexicon.KINDS)))


@pytest.mark.parametrize("count", [2, 3])
def test_a_composed_name_is_nearer_to_its_true_vector_than_its_noun(shipped, count):
    number, [(alone_hit, alone), (hit, cosine)] = composition.names(shipped, count)
    assert number > 40 and hit > alone_hit and cosine > alone + 0.05
    assert len(shipped) == len(shipped.vectors)  # every name is back in its place


def test_what_a_caption_says_of_its_nouns(shipped):
    words = "a black dog on the beach".split()
    assert set(composition.phrases(shipped, words)) == {
        ("colour", "black", "dog"),
        ("place", "beach", "dog"),
    }


def test_told_apart_is_a_share_of_pairs():
    assert composition.area(np.array([3.0, 1, 2, 0]), np.array([True, True, False, False])) == 75


def test_phrases_are_told_apart_by_photos(shipped):
    """Photos of dogs, some on a beach: the phrase puts these first, the noun alone cannot."""
    texts = [["a dog on a beach"]] * 6 + [["a dog at home"]] * 6
    dog, both = (shipped.encode(phrase).vector for phrase in ("dog", "beach dog"))
    seen = np.stack([both] * 6 + [dog - 0.1 * both] * 6)
    [line] = composition.told_apart(shipped, shipped, "photos", texts, seen)
    assert line.split() == (
        "photos, place 1 phrases, 6 times noun alone 0.0 % phrase 100.0 %".split()
    )
    assert composition.told_apart(shipped, shipped, "photos", texts[:4], seen[:4]) == []


def test_an_encoders_photos_come_with_their_captions(tmp_path):
    folder = tmp_path / "eval"
    folder.mkdir()
    with pytest.raises(SystemExit, match="no flickr8k-test"):
        composition.embedded(tmp_path, DEFAULT_MODEL, 1)
    parts = []
    for number in range(2):
        captions = json.dumps({"captions": [f"a dog {number}"]}).encode()
        picture = np.full((20, 20, 3), 90 * number, np.uint8)
        parts += [(f"{number}.png", encoded(picture, "PNG")), (f"{number}.json", captions)]
    write(folder / "flickr8k-test-000.tar.gz", parts)
    texts, vectors = composition.embedded(tmp_path, DEFAULT_MODEL, 1)
    assert texts == [["a dog 0"], ["a dog 1"]]
    assert vectors.shape == (2, 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
