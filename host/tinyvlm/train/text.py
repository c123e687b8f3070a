# SPDX-License-Identifier: MIT
"""Names to CLIP text vectors, and the linear map from CLIP's 512 dimensions to the student's 256.

The table is `clip-vit-b-32-openai.npz`: L2-normalized text vectors of "a NAME" from several
sources.  One word may have several rows; the sources are ranked, plain single names first.  Three
kinds of vectors come out, and every name remembers its kind:

    clip        a row of the table for this very name (or its singular)
    ensemble    a template-ensembled row (SUN397, RESISC45, ...), moved to where plain rows lie
    estimated   no row: regression from a sentence encoder and WordNet (lexicon/estimate.py)
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinyvlm.words.lexicon import canonical, singulars
from tinyvlm.words.space import TextMap, normalize, space_of

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
    """Lookup from a name in canonical form to its CLIP vector."""

    vector: dict[str, np.ndarray]  # name -> (512,) float32, length 1
    kind: dict[str, str]  # name -> "clip" | "ensemble" | "estimated"
    centre: np.ndarray  # (512,) float32: mean over the distinct plain names
    rows: list[tuple[str, np.ndarray]] = field(default_factory=list)  # plain: text, vector

    def find(self, name: str) -> str | None:
        """The key under which `name` (or its singular) is stored."""
        name = canonical(name)
        for key in (name, *singulars(name)):
            if key in self.vector:
                return key
        return None

    def add(self, vectors: dict[str, np.ndarray]) -> None:
        """Estimates of names that it lacks."""
        self.vector |= vectors
        self.kind |= dict.fromkeys(vectors, "estimated")


def read_rows(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """(names, their sources, vectors (n, d) float32) of a table. SystemExit if it is none."""
    try:
        with np.load(path) as z:
            rows, names, sources = z["emb"].astype(np.float32), z["names"], z["source"]
        if rows.ndim != 2 or not len(rows) == len(names) == len(sources):
            raise ValueError(f"{len(names)} names for vectors of the shape {list(rows.shape)}")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0]
        raise SystemExit(
            f"{path} is no table of CLIP's vectors, an .npz with emb, names and source ({reason})"
        ) from None
    return [str(n) for n in names], [str(s) for s in sources], rows


def load_table(path: Path) -> TextTable:
    """Plain rows first (by rank), then synonyms of ImageNet rows, then ensembled rows."""
    names, sources, rows = read_rows(path)
    vector: dict[str, np.ndarray] = {}
    plain: dict[str, np.ndarray] = {}  # what the text tower was given -> vector

    def of(wanted: str) -> Iterator[tuple[str, np.ndarray]]:
        return ((n, v) for n, s, v in zip(names, sources, rows, strict=True) if s == wanted)

    for source in RANK:
        for name, v in of(source):
            plain.setdefault(canonical(name), v)
            # Objects365 joins alternatives with '/': "Cabinet/shelf".
            for part in (name, *(name.split("/") if "/" in name else ())):
                vector.setdefault(canonical(part), v)
    # LVIS explains in (): "mouse_(computer_equipment)" is a mouse where no source has plain mice.
    for source in RANK:
        for name, v in of(source):
            vector.setdefault(canonical(re.sub(r"_?\(.*\)", "", name)), v)
    # Tiny-ImageNet vectors are of the first name alone; ImageNet's of the whole synonym string.
    for source, count in (("tiny_imagenet(nayer)", 1), ("imagenet(nayer)", 99)):
        for name, v in of(source):
            parts = name.split(",")[:count]
            plain.setdefault(canonical(",".join(parts)), v)
            for part in map(canonical, parts):
                if len(parts) == 1 or part not in MEANS_ELSE:
                    vector.setdefault(part, v)
    centre = np.unique(np.stack(list(vector.values())), axis=0).mean(0)
    kind = dict.fromkeys(vector, "clip")
    ensemble: dict[str, list[np.ndarray]] = {}
    for name, s, v in zip(names, sources, rows, strict=True):
        if s == ENSEMBLE:
            for key in {canonical(name), VIEWS.sub("", canonical(name))}:
                ensemble.setdefault(key, []).append(v)
    for key, v in _move_ensemble(ensemble, vector, centre).items():
        vector[key] = v
        kind[key] = "ensemble"
    return TextTable(vector, kind, centre.astype(np.float32), list(plain.items()))


def _move_ensemble(
    ensemble: dict[str, list[np.ndarray]], plain: dict[str, np.ndarray], centre: np.ndarray
) -> dict[str, np.ndarray]:
    """Shift ensembled rows by the mean difference over the names that both have."""
    mean = {k: normalize(np.mean(v, 0)) for k, v in ensemble.items()}
    both = [k for k in mean if k in plain]
    shift = np.mean([plain[k] - mean[k] for k in both], 0)
    # centred lengths differ too (an ensemble is an average): match them
    length_plain = np.mean([np.linalg.norm(plain[k] - centre) for k in both])
    length_moved = np.mean([np.linalg.norm(mean[k] + shift - centre) for k in both])
    gain = length_plain / length_moved
    return {
        k: normalize(centre + gain * (v + shift - centre)).astype(np.float32)
        for k, v in mean.items()
        if k not in plain and not re.search(r"\d{4}$|circle|triangle|kph|^\d$", k)
    }


def add_estimates(table: TextTable, names: list[str]) -> None:
    """Give every name that has no vector, nor has its singular, an estimated one."""
    missing = sorted({canonical(n) for n in names if table.find(n) is None})
    if missing:
        from tinyvlm.train.lexicon import estimate  # needs a sentence encoder and WordNet

        vectors = estimate.Estimator(table.rows)(missing)
        for name, v in zip(missing, vectors, strict=True):
            table.vector[name] = v
            table.kind[name] = "estimated"


# -- 512 -> 256 ----------------------------------------------------------------------------------


def text_map(centre: np.ndarray, matrix: np.ndarray, encoder: str = TEXT_ENCODER) -> TextMap:
    """The map with rows `matrix` (dim, d). `encoder`: whose vectors it takes.

    Its name has a hash of it, so that an encoder and a lexicon can tell whether they agree.
    """
    data = np.ascontiguousarray(centre, "<f4").tobytes()
    data += np.ascontiguousarray(matrix, "<f4").tobytes()
    name = f"{space_of(encoder)}{hashlib.sha256(data).hexdigest()[:16]}"
    return TextMap(name, centre, matrix.T)


def stored_map(centre: np.ndarray, matrix: np.ndarray, encoder: str = TEXT_ENCODER) -> TextMap:
    """The same in float16, as encoders and lexicons have it."""
    parts = (a.astype(np.float16).astype(np.float32) for a in (centre, matrix))
    return text_map(*parts, encoder)


def whitened_pca(table: TextTable, dim: int, alpha: float) -> TextMap:
    """PCA of the distinct centred vectors, each axis divided by its deviation to the power alpha.

    alpha 0 is plain PCA (a few axes dominate every prefix), 1 full whitening (all axes equal).
    """
    known = np.stack([v for k, v in table.vector.items() if table.kind[k] != "estimated"])
    x = np.unique(known, axis=0) - table.centre
    _, s, axes = np.linalg.svd(x, full_matrices=False)
    dim = min(dim, len(x) - 1)  # minus their mean, n vectors differ in n - 1 axes
    deviation = s[:dim] / np.sqrt(len(x))
    matrix = axes[:dim] * deviation[:, None] ** -alpha
    matrix /= np.sqrt(np.mean(np.sum((x @ matrix.T) ** 2, 1)))  # typical length 1
    return text_map(table.centre, matrix.astype(np.float32))
