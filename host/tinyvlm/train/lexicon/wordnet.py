# SPDX-License-Identifier: MIT
"""WordNet's nouns: what they mean, their hypernyms, and which of them one can photograph.

Read from the dictionary files of Princeton's WordNet 3.0 (Debian: `apt-get install wordnet`), as
described in its manual pages wndb(5) and senseidx(5).  Needed only when vectors are estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinyvlm.words.lexicon import singulars

FOLDER = Path("/usr/share/wordnet")
# The first two digits of a noun's record, lexnames(5): what kind of thing it is.
KINDS = dict(
    enumerate(
        "top act animal artifact attribute body cognition communication event feeling food group"
        " location motive object person phenomenon plant possession process quantity relation"
        " shape state substance time".split(),
        start=3,
    )
)


@dataclass(frozen=True)
class Synset:
    """One meaning: its words as written, its kind, its hypernyms, and its gloss."""

    words: tuple[str, ...]
    kind: str
    hypernyms: tuple[int, ...]  # offsets
    instance: bool  # a single thing with a name of its own: the Eiffel Tower
    usage: tuple[int, ...]  # offsets of notes on usage: slang, ethnic slur, ...
    gloss: str


@dataclass
class WordNet:
    """`synsets` by offset in data.noun; `senses`: a lower-case name's (offset, weight), first
    sense first; the weight is how often the sense was met in a tagged text, plus a half.
    `plurals` holds the irregular ones: mice -> mouse."""

    synsets: dict[int, Synset]
    senses: dict[str, list[tuple[int, float]]]
    plurals: dict[str, str]

    def ancestors(self, offset: int) -> dict[int, int]:
        """Every hypernym of `offset`, itself included, with the steps to it."""
        found, edge, steps = {offset: 0}, [offset], 0
        while edge:
            steps += 1
            edge = [a for o in edge for a in self.synsets[o].hypernyms if a not in found]
            found.update(dict.fromkeys(edge, steps))
        return found

    def lookup(self, name: str) -> list[tuple[int, float]]:
        """Senses of a name, or of its longest ending that is a noun ("blue street lamp")."""
        words = name.split()
        for start in range(len(words)):
            ending = " ".join(words[start:])
            for form in (ending, self.plurals.get(ending, ""), *singulars(ending)):
                if form in self.senses:
                    return self.senses[form]
        return []

    def one(self, name: str, kind: str) -> int:
        """Offset of the first sense of `name` that is of this kind."""
        return next(o for o, _ in self.senses[name] if self.synsets[o].kind == kind)


def read(folder: Path = FOLDER) -> WordNet:
    """All nouns. FileNotFoundError with what to install when WordNet is not there."""
    if not (folder / "data.noun").exists():
        raise FileNotFoundError(f"{folder}/data.noun: no WordNet; try `apt-get install wordnet`")
    counts = {}  # (lemma, sense number) -> how often the sense was met
    for line in (folder / "cntlist.rev").read_text().splitlines():
        key, number, count = line.split()
        lemma, _, rest = key.partition("%")
        if rest.startswith("1:"):
            counts[lemma, int(number)] = int(count)
    synsets = {}
    for line in _records(folder / "data.noun"):
        data, _, gloss = line.partition(" | ")
        fields = data.split()
        size = int(fields[3], 16)
        words = tuple(w.replace("_", " ") for w in fields[4 : 4 + 2 * size : 2])
        at = 5 + 2 * size
        pointers = [fields[i : i + 4] for i in range(at, at + 4 * int(fields[at - 1]), 4)]
        synsets[int(fields[0])] = Synset(
            words,
            KINDS[int(fields[1])],
            tuple(int(p[1]) for p in pointers if p[0] in ("@", "@i")),
            any(p[0] == "@i" for p in pointers),
            tuple(int(p[1]) for p in pointers if p[0] == ";u" and p[2] == "n"),
            gloss.strip(),
        )
    senses = {}
    for line in _records(folder / "index.noun"):
        fields = line.split()
        offsets = fields[-int(fields[2]) :]
        senses[fields[0].replace("_", " ").replace("-", " ")] = [
            (int(o), counts.get((fields[0], i), 0) + 0.5) for i, o in enumerate(offsets, start=1)
        ]
    plurals = {}
    for line in (folder / "noun.exc").read_text().splitlines():
        many, *one = line.replace("_", " ").split(" ")
        plurals.setdefault(many, one[-1])
    return WordNet(synsets, senses, plurals)


def _records(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("  ")]
