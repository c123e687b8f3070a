# SPDX-License-Identifier: MIT
"""What is known about the class names: spellings, hypernyms, and the classes held out.

Everything here is plain knowledge about English words, written by hand; no image was looked at.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinyvlm.train import text
from tinyvlm.words.lexicon import canonical, singulars

UNLABELLED = "a photo"  # the text that unlabelled images carry
MOST = 5000  # classes; more different texts than that are captions
FEWEST = 3  # words of a caption
LONGEST = 3  # words of a name that is looked for in one

# Held out by class: never trained on, used to choose hyper-parameters (zero-shot validation).
# All are Tiny-ImageNet classes (350 images each); their other names are listed too.
HELD_OUT = {
    "bighorn": ("bighorn", "ram", "bighorn sheep"),
    "lesser panda": ("lesser panda", "red panda"),
    "standard poodle": ("standard poodle", "poodle"),
    "grasshopper": ("grasshopper",),
    "jellyfish": ("jellyfish",),
    "goose": ("goose",),
    "pomegranate": ("pomegranate",),
    "espresso": ("espresso",),
    "ice lolly": ("ice lolly", "popsicle", "lollipop"),
    "teapot": ("teapot",),
    "tractor": ("tractor",),
    "moving van": ("moving van",),
    "school bus": ("school bus",),
    "gondola": ("gondola",),
    "obelisk": ("obelisk",),
    "sombrero": ("sombrero",),
    "bathtub": ("bathtub",),
    "umbrella": ("umbrella",),
    "rugby ball": ("rugby ball", "rugby"),
    "thatch": ("thatch",),
}

# Spellings of the data sets that have a better known plain name.
ALIASES = {
    "tv or monitor": "television",
    "cup or mug": "mug",
    "salt or pepper shaker": "saltshaker",
    "hat with a wide brim": "hat",
    "domestic cat": "cat",
    "swine": "pig",
    "motorbike": "motorcycle",
    "pants": "trousers",
    "phone": "telephone",
    "trash": "garbage",
    "ketch sailboat": "sailboat",
    "schooner sailing ship": "sailing ship",
    "hawksbill sea turtle": "sea turtle",
    "bonsai tree": "bonsai",
    "bass fish": "fish",
    "tick insect": "tick",
    "cougar face": "cougar",
    "crocodile head": "crocodile",
    "flamingo head": "flamingo",
    "mole (animal)": "mole",
    "seal (animal)": "seal",
    "mouse (animal)": "mouse animal",
    "cricket (insect)": "cricket insect",
    "bat (animal)": "bat animal",
    "aubergine": "eggplant",
    "regular tomato": "tomato",
    "solid potato": "potato",
    "floury potato": "potato",
    "carrots": "carrot",
    "eyeglasses": "glasses",
    "rooster": "cock",
    "baby bed": "infant bed",
    "spaceship": "spacecraft",
}

# Shop brands say little: what is in the carton does.
BRAND = re.compile(r"arla|god morgon|garant|oatly|yoggi|alpro|valio|tropicana|bravo")
CONTENTS = (
    ("juice", "juice"),
    ("ghurt", "yogurt"),
    ("sour cream", "sour cream"),
    ("milk", "milk"),
)

# No data set has people for classes, but most captions are of some. Which of these words one uses
# is chance: it means a person just as well.
PERSON = "person"
PEOPLE = ("man", "woman", "boy", "girl", "child", "baby")

# Hypernym -> its hyponyms (only names that occur in the data matter).
HYPERNYMS = {
    "dog": "golden retriever, labrador retriever, german shepherd, yorkshire terrier, afghan"
    " hound, basenji, bernese mountain dog, bull mastiff, dalmatian, kelpie, old english"
    " sheepdog, papillon, pomeranian, puppy",
    "cat": "egyptian cat, persian cat, tabby, siamese cat, kitten",
    "bird": "american coot, american egret, bald eagle, bittern, black stork, black swan,"
    " brambling, bulbul, canary, cock, crane, crow, dowitcher, drake, duck, eagle, emu,"
    " falcon, finch, flamingo, hawk, hen, heron, house finch, hummingbird, ibis, jay, junco,"
    " king penguin, kingfisher, little blue heron, lorikeet, ostrich, owl, oystercatcher,"
    " parrot, peacock, pelican, penguin, pheasant, pigeon, ptarmigan, raven, red backed"
    " sandpiper, redshank, robin, rooster, seagull, sparrow, spoonbill, stork, swan, toucan,"
    " vulture, woodpecker",
    "fish": "goldfish, lionfish, coho, barracouta, great white shark, tiger shark, shark, ray",
    "snake": "boa constrictor, garter snake",
    "lizard": "banded gecko, common iguana, european fire salamander",
    "frog": "bullfrog, tailed frog",
    "turtle": "sea turtle, box turtle, loggerhead",
    "insect": "ant, bee, beetle, butterfly, cockroach, dragonfly, dung beetle, firefly, fly,"
    " ground beetle, lacewing, ladybug, leaf beetle, leafhopper, long horned beetle, mantis,"
    " mayfly, monarch, moth, rhinoceros beetle, sulphur butterfly, termite, tiger beetle,"
    " wasp, weevil, cabbage butterfly, lycaenid, ringlet, admiral, damselfly, cricket insect",
    "butterfly": "monarch, sulphur butterfly, cabbage butterfly, lycaenid, ringlet, admiral",
    "beetle": "ladybug, ground beetle, leaf beetle, dung beetle, tiger beetle, rhinoceros beetle,"
    " long horned beetle, weevil",
    "spider": "black widow, barn spider",
    "bear": "brown bear, american black bear, ice bear",
    "elephant": "african elephant, indian elephant",
    "monkey": "baboon, chimpanzee, gorilla, ape, madagascar cat",
    "deer": "moose",
    "antelope": "gazelle, gerenuk, hartebeest",
    "horse": "pony",
    "cattle": "ox, cow, bison, buffalo, water buffalo, calf",
    "crocodile": "african crocodile, american alligator",
    "dinosaur": "stegosaurus, brontosaurus, triceratops, allosaurus, ankylosaurus, brachiosaurus,"
    " diplodocus, iguanodon, tyrannosaurus, velociraptor",
    "car": "sports car, convertible, limousine, beach wagon, cab, taxi, jeep, minivan, model t,"
    " racer, formula 1 racing",
    "truck": "trailer truck, tow truck, pickup, fire engine, fire truck",
    "train": "bullet train, freight car, electric locomotive, steam locomotive, passenger car",
    "bus": "minibus",
    "airplane": "airliner, warplane, aircraft",
    "boat": "lifeboat, canoe, speedboat, fireboat, kayak, yacht, ferry, sailboat, raft",
    "ship": "container ship, liner, aircraft carrier, sailing ship, schooner, ferry, wreck",
    "bridge": "suspension bridge, steel arch bridge, viaduct",
    "bottle": "beer bottle, pop bottle, pill bottle, water bottle, wine bottle, water jug",
    "chair": "rocking chair, folding chair, windsor chair, throne",
    "table": "dining table, desk, pool table",
    "flower": "daisy, rose, sunflower, tulip, dandelion, lotus, water lily, orchid, lily",
    "tree": "palm tree, bonsai, joshua tree, oak, pine, birch, maple, willow",
    "fruit": "apple, banana, orange, lemon, pear, peach, mango, pineapple, strawberry, grape,"
    " grapes, kiwi, plum, cherry, watermelon, papaya, apricot, lychee, nectarine, fig,"
    " passion fruit, granny smith, royal gala apple, pink lady apple, red delicious apple,"
    " golden delicious apple, conference pear, kaiser pear, anjou pear, jackfruit",
    "apple": "granny smith, royal gala apple, pink lady apple, red delicious apple,"
    " golden delicious apple",
    "clock": "analog clock, wall clock, digital watch, stopwatch, hourglass",
    "guitar": "acoustic guitar, electric guitar",
    "piano": "grand piano, upright",
    "telephone": "pay phone, dial telephone, cellular telephone, cellphone",
    "shoe": "sandal, running shoe, loafer, cowboy boot, boot, sneaker",
    "hat": "cowboy hat",
    "ball": "basketball, volleyball, soccer ball, baseball, tennis ball, ping pong ball",
    "house": "cottage, cliff dwelling",
    "mushroom": "gyromitra, earthstar, coral fungus",
    PERSON: ", ".join(PEOPLE) + ", human face, boxing, wrestling,"
    " professional wrestling, kabaddi, gymnastics,"
    " fencing, weightlifting, swimming, tennis, badminton, table tennis, field hockey, ice hockey,"
    " soccer, sport shooting, ballplayer, groom, scuba diver, soldier, academic gown,"
    " military uniform, bikini, swimming trunks, kimono, poncho, miniskirt,"
    " cardigan, vestment, neck brace",
    "building": "barn, church, palace, castle, mosque, monastery, temple, pagoda, triumphal arch,"
    " minaret, water tower, cliff dwelling, house, skyscraper, lighthouse, buildings",
    "temple": "pagoda",
    "keyboard": "computer keyboard",
    "mountain": "alp, cliff, volcano",
    "pig": "hog, wild boar",
    "camel": "arabian camel",
    "shirt": "t shirt, long sleeved shirt",
    "musical instrument": "oboe, organ, euphonium, accordion, mandolin, saxophone, violin,"
    " cello, electric guitar, acoustic guitar, grand piano, drum, trumpet",
    "food": "pizza, pretzel, meat loaf, mashed potato, potpie, ice cream, guacamole, bread,"
    " doughnut, mooncake, steamed bun, fried dough twist, sachima",
}


def text_name(name: str) -> str:
    """The plain name whose text vector stands for data set class `name`."""
    name = " ".join(name.lower().replace("_", " ").split())
    if BRAND.search(name):
        return next((word for key, word in CONTENTS if key in name), canonical(name))
    return canonical(ALIASES.get(name, name))


def held_out_names() -> set[str]:
    """All names of the classes held out, in canonical form."""
    return {canonical(n) for names in HELD_OUT.values() for n in names}


_HELD_OUT = held_out_names()


@lru_cache(1 << 16)
def held_out(name: str) -> bool:
    """Is data set class `name` one of those held out?"""
    return text_name(name) in _HELD_OUT


def held_out_image(id: str, name: str) -> bool:
    """Is this image kept out of training: by its class, or one in 50 by its id?"""
    return held_out(name) or zlib.crc32(id.encode()) % 50 == 0


def hypernyms(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """For n canonical names: (above, ignore), both (n, n) bool.

    above[i, j]: j is a hypernym of i.  ignore[i, j]: when i is right, j is not wrong either.
    """
    index = {n: i for i, n in enumerate(names)}
    above = np.zeros((len(names), len(names)), bool)
    for upper, lower in HYPERNYMS.items():
        for name in lower.split(","):
            i, j = index.get(canonical(name)), index.get(upper)
            if i is not None and j is not None and i != j:
                above[i, j] = True
    above |= above.astype(int) @ above.astype(int) > 0  # butterfly -> insect, for a monarch
    return above, above | above.T


def subject(caption: str, names: Container[str]) -> str | None:
    """What a caption is of: the first of `names` in it. "Two dogs on a man's bed": dog."""
    words = re.findall(r"[a-z]+", caption.lower())
    if len(words) < FEWEST:
        return None
    for i in range(len(words)):
        for n in range(LONGEST, 0, -1):
            name = " ".join(words[i : i + n])
            for form in (name, *singulars(name)):
                if form in names:
                    return form
    return None


@dataclass
class Classes:
    """The class names of a data set, c of them.

    vectors    (c, d) float32 text vectors
    hypernyms  (c, c) bool, hypernyms[i, j]: j is a hypernym of i ("dog" of "basenji")
    ignore     (c, c) bool, ignore[i, j]: j is no wrong answer when i is right
    held_out   (c,) bool: never trained on
    index      text of a sample -> class
    """

    names: list[str]
    vectors: np.ndarray
    hypernyms: np.ndarray
    ignore: np.ndarray
    held_out: np.ndarray
    index: dict[str, int]

    def __post_init__(self) -> None:
        self._open = {name: i for i, name in enumerate(self.names) if not self.held_out[i]}

    def of(self, text: str) -> int:
        """The class of a sample by its text, a name or a caption; -1: none."""
        if (found := self.index.get(text)) is not None:
            return found
        return self._open.get(subject(text, self._open), -1)


def find_classes(texts: Iterable[str], table: text.TextTable) -> Classes | None:
    """The classes among the texts of a data set: those that the table has; None if it has none.

    Their hypernyms come along, and people.
    """
    plain = {t: text_name(t) for t in texts if t != UNLABELLED}
    plain = {t: name for t, name in plain.items() if table.find(name) is not None}
    if not plain:
        return None
    more = (name for name in (*HYPERNYMS, *PEOPLE) if table.find(name) is not None)
    names = sorted({*plain.values(), *more})
    index = {name: i for i, name in enumerate(names)}
    vectors = np.stack([table.vector[table.find(name)] for name in names])
    out = np.array([name in _HELD_OUT for name in names])
    of_text = {t: index[name] for t, name in plain.items()}
    return Classes(names, vectors, *hypernyms(names), out, of_text)
