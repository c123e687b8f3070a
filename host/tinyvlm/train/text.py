# SPDX-License-Identifier: MIT
"""Names to CLIP text vectors, and the linear map from CLIP's 512 dimensions to the student's 256.

The table is `clip-vit-b-32-openai.npz`: L2-normalised text vectors of "a NAME" from several
sources.  One word may have several rows; the sources are ranked, plain single names first.  Three
kinds of vectors come out, and every name remembers its kind:

    clip        a row of the table for this very name (or its singular)
    ensemble    a template-ensembled row (SUN397, RESISC45, ...), moved to where plain rows lie
    estimated   no row: regression from a sentence encoder and WordNet (lexicon/estimate.py)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinyvlm.words.lexicon import canonical as normalise
from tinyvlm.words.lexicon import singulars
from tinyvlm.words.space import normalize as unit
from tinyvlm.words.space import space_of

TEXT_ENCODER = "open_clip:ViT-B-32/openai"
RANK = ("lvis(detic)", "oid(detic)", "o365(detic)", "cifar100(nayer)", "cifar10(nayer)")
ENSEMBLE = "8vision(knots)"
# Scene names carry a view ("temple east asia", "church outdoor"): the plain word is their mean.
VIEWS = re.compile(
    r" (indoor|outdoor|exterior|interior|natural|urban|home|east asia|south asia|establishment"
    r"|vehicle|public|water|snowy|block|fan|plunge|sand|vegetation)$"
)
# ImageNet's rows are of whole synonym strings ("breakwater, groin, groyne, mole, ...").  These
# synonyms mean something else first, so that such a row is not theirs.
MEANS_ELSE = set(
    "ai anteater bath beam board bullet carrier cell chopper claw coach comfort comforter dipper"
    " drop ear essence groin hack head helix hip hopper jack killer light mail market mole nursery"
    " ounce painter partridge plaque press puff rig rocker rubber scope site spike spiral spot"
    " torpedo whorl blower".split()
)


@dataclass
class TextTable:
    """Lookup from a normalised name to its CLIP vector."""

    vector: dict[str, np.ndarray]  # name -> (512,) float32, length 1
    kind: dict[str, str]  # name -> "clip" | "ensemble" | "estimated"
    centre: np.ndarray  # (512,) float32: mean over the distinct plain names
    rows: list[tuple[str, np.ndarray]] = field(default_factory=list)  # plain: text, vector

    def find(self, name: str) -> str | None:
        """The key under which `name` (or its singular) is stored."""
        name = normalise(name)
        for key in (name, *singulars(name)):
            if key in self.vector:
                return key
        return None


def load_table(path: Path) -> TextTable:
    """Plain rows first (by rank), then synonyms of ImageNet rows, then ensembled rows."""
    z = np.load(path)
    rows = z["emb"].astype(np.float32)
    names = [str(n) for n in z["names"]]
    sources = [str(s) for s in z["source"]]
    vector: dict[str, np.ndarray] = {}
    plain: dict[str, np.ndarray] = {}  # what the text tower was given -> vector

    def of(wanted: str) -> Iterator[tuple[str, np.ndarray]]:
        return ((n, v) for n, s, v in zip(names, sources, rows, strict=True) if s == wanted)

    for source in RANK:
        for name, v in of(source):
            plain.setdefault(normalise(name), v)
            # Objects365 joins alternatives with '/': "Cabinet/shelf".
            for part in (name, *(name.split("/") if "/" in name else ())):
                vector.setdefault(normalise(part), v)
    # LVIS explains in (): "mouse_(computer_equipment)" is a mouse where no source has plain mice.
    for source in RANK:
        for name, v in of(source):
            vector.setdefault(normalise(re.sub(r"_?\(.*\)", "", name)), v)
    # Tiny-ImageNet vectors are of the first name alone; ImageNet's of the whole synonym string.
    for source, count in (("tiny_imagenet(nayer)", 1), ("imagenet(nayer)", 99)):
        for name, v in of(source):
            parts = name.split(",")[:count]
            plain.setdefault(normalise(",".join(parts)), v)
            for part in map(normalise, parts):
                if len(parts) == 1 or part not in MEANS_ELSE:
                    vector.setdefault(part, v)
    centre = np.unique(np.stack(list(vector.values())), axis=0).mean(0)
    kind = dict.fromkeys(vector, "clip")
    ensemble: dict[str, list[np.ndarray]] = {}
    for name, s, v in zip(names, sources, rows, strict=True):
        if s == ENSEMBLE:
            for key in {normalise(name), VIEWS.sub("", normalise(name))}:
                ensemble.setdefault(key, []).append(v)
    for key, v in _move_ensemble(ensemble, vector, centre).items():
        vector[key] = v
        kind[key] = "ensemble"
    return TextTable(vector, kind, centre.astype(np.float32), list(plain.items()))


def _move_ensemble(
    ensemble: dict[str, list[np.ndarray]], plain: dict[str, np.ndarray], centre: np.ndarray
) -> dict[str, np.ndarray]:
    """Shift ensembled rows by the mean difference over the names that both have."""
    mean = {k: unit(np.mean(v, 0)) for k, v in ensemble.items()}
    both = [k for k in mean if k in plain]
    shift = np.mean([plain[k] - mean[k] for k in both], 0)
    # centred lengths differ too (an ensemble is an average): match them
    length_plain = np.mean([np.linalg.norm(plain[k] - centre) for k in both])
    length_moved = np.mean([np.linalg.norm(mean[k] + shift - centre) for k in both])
    gain = length_plain / length_moved
    return {
        k: unit(centre + gain * (v + shift - centre)).astype(np.float32)
        for k, v in mean.items()
        if k not in plain and not re.search(r"\d{4}$|circle|triangle|kph|^\d$", k)
    }


def add_estimates(table: TextTable, names: list[str]) -> None:
    """Give every name that has no vector, nor has its singular, an estimated one."""
    missing = sorted({normalise(n) for n in names if table.find(n) is None})
    if missing:
        from tinyvlm.train.lexicon import estimate  # needs a sentence encoder and WordNet

        vectors = estimate.Estimator(table.rows)(missing)
        for name, v in zip(missing, vectors, strict=True):
            table.vector[name] = v
            table.kind[name] = "estimated"


# -- 512 -> 256 ----------------------------------------------------------------------------------


@dataclass
class TextSpace:
    """Linear map into the student's space: unit((v - centre) @ matrix.T), any prefix re-unit."""

    centre: np.ndarray  # (512,) float32
    matrix: np.ndarray  # (256, 512) float32
    encoder: str = TEXT_ENCODER  # whose vectors it maps

    def project(self, vectors: np.ndarray, dim: int | None = None) -> np.ndarray:
        """(n, 512) CLIP vectors -> (n, dim) unit vectors."""
        return unit((vectors - self.centre) @ self.matrix[:dim].T)

    def rounded(self) -> TextSpace:
        """The map in float16, as encoders and lexicons have it."""
        parts = (a.astype(np.float16).astype(np.float32) for a in (self.centre, self.matrix))
        return TextSpace(*parts, self.encoder)

    @property
    def name(self) -> str:
        """Text space and a hash of its map: what an encoder and a lexicon must agree on."""
        data = np.ascontiguousarray(self.centre, "<f4").tobytes()
        data += np.ascontiguousarray(self.matrix, "<f4").tobytes()
        return f"{space_of(self.encoder)}{hashlib.sha256(data).hexdigest()[:16]}"


def whitened_pca(table: TextTable, dim: int, alpha: float) -> TextSpace:
    """PCA of the distinct centred vectors, each axis divided by its deviation to the power alpha.

    alpha 0 is plain PCA (a few axes dominate every prefix), 1 full whitening (all axes equal).
    """
    known = np.stack([v for k, v in table.vector.items() if table.kind[k] != "estimated"])
    x = np.unique(known, axis=0) - table.centre
    _, s, axes = np.linalg.svd(x, full_matrices=False)
    deviation = s[:dim] / np.sqrt(len(x))
    matrix = axes[:dim] * deviation[:, None] ** -alpha
    matrix /= np.sqrt(np.mean(np.sum((x @ matrix.T) ** 2, 1)))  # typical length 1
    return TextSpace(table.centre, matrix.astype(np.float32))
