# SPDX-License-Identifier: MIT
"""Fit, measure and store the regression of `--text-encoder sentence` (words/sentence.py).

    python -m tinyvlm.train.lexicon.regression --data ../shared/data             # measures
    python -m tinyvlm.train.lexicon.regression --data ../shared/data --write     # and stores

Names: the 400 of measured.txt, their spellings, synonyms and near copies all unknown.  Captions:
500, a fifth of the photos unknown at a time.  All in the student's 256 dimensions.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np

from tinyvlm.files import write_atomic
from tinyvlm.shipped import DATA
from tinyvlm.train.lexicon import measure
from tinyvlm.train.lexicon.estimate import Meanings, Ridge
from tinyvlm.train.text import load_table
from tinyvlm.words.lexicon import Lexicon, canonical
from tinyvlm.words.sentence import CODE, Sentences, Spelling, kernel
from tinyvlm.words.space import UnknownPhrase, normalize

FOLDS = 5


def report(kind: str, made: np.ndarray, truth: np.ndarray, centre: np.ndarray, mine=...) -> str:
    """One line: retrieval@1 among all of `truth`, and cosine, both centred, of the rows `mine`."""
    hit, cosine = measure.compare(normalize(made - centre), normalize(truth - centre))
    return f"{kind:38}{len(hit[mine]):5}  {measure.figures(hit[mine], cosine[mine])}"


def composed(lexicon: Lexicon, phrase: str) -> np.ndarray:
    """What the lexicon makes of a sentence; zeros, which find nothing, where it cannot."""
    try:
        return lexicon.encode(phrase).vector
    except UnknownPhrase:
        return np.zeros(lexicon.vectors.shape[1], np.float32)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--write", action="store_true", help="store it in the package")
    args = p.parse_args()
    lexicon, meanings, sentences = Lexicon.load(DATA / "lexicon.npz"), Meanings(), Sentences()
    rows = load_table(args.data / "text" / "clip-vit-b-32-openai.npz").rows
    with np.load(args.data / "clip" / "flickr8k-caption-text-embeddings.npz") as table:
        captions = [str(caption) for caption in table["captions"]]
        photo = np.unique(table["image"], return_inverse=True)[1]
        vectors = np.concatenate([np.stack([v for _, v in rows]), table["emb"]])
    names = [name for name, _ in rows]
    texts = names + [canonical(caption) for caption in captions]
    y = lexicon.text_space.project(normalize(vectors.astype(np.float32))).astype(np.float32)
    codes = np.clip(np.round(sentences(texts) * CODE), -127, 127).astype(np.int8)
    meaning = codes.astype(np.float32) / CODE
    alike = kernel(meaning @ meaning.T, Spelling(texts)(texts)).astype(np.float32)

    family = measure.families(names, np.stack([v for _, v in rows]), meanings)
    group = np.concatenate([family, family.max() + 1 + photo])
    test = np.array([names.index(n) for n in measure.MEASURED.read_text().splitlines()])
    made = np.empty_like(y[len(names) :])
    for fold in range(FOLDS):
        out = len(names) + np.flatnonzero(photo % FOLDS == fold)
        both = np.concatenate([test, out])
        known = np.flatnonzero(~np.isin(group, group[both]))
        ridge = Ridge(alike[np.ix_(known, known)], y[known])
        made[out - len(names)] = ridge(alike[np.ix_(out, known)])
    seen = {meanings.main(names[i]) for i in known if i < len(names)} - {None}
    kinds = np.array([measure.relation(names[i], seen, meanings) for i in test])
    centre = y[known[known < len(names)]].mean(0)
    guess = ridge(alike[np.ix_(test, known)])
    print(report("names", guess, y[test], centre))
    for kind in sorted(set(kinds)):
        print(report(f"  {kind}", guess, y[test], centre, kinds == kind))
    truth = y[len(names) :]
    print(report("captions", made, truth, truth.mean(0)))
    old = np.stack([composed(lexicon, caption) for caption in captions])
    print(report("captions, composed by the lexicon", old, truth, truth.mean(0)))

    if args.write:
        ridge = Ridge(alike, y)
        scale = np.abs(ridge.weights).max(0) / 127
        out = io.BytesIO()
        np.savez_compressed(
            out,
            texts=np.frombuffer("\n".join(texts).encode(), np.uint8),
            codes=codes,
            weights=np.round(ridge.weights / scale).astype(np.int8),
            scale=scale.astype(np.float32),
            centre=ridge.centre.astype(np.float32),
            length=np.float32(ridge.length),
            space=np.array(lexicon.space),
            model=np.array(sentences.model()),
        )
        size = write_atomic(DATA / "sentence.npz", out.getvalue())
        print(f"{DATA / 'sentence.npz'}: {len(texts)} texts, {size} bytes, {lexicon.space}")


if __name__ == "__main__":
    main()
