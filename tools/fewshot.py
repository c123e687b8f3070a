# SPDX-License-Identifier: MIT
"""How well vocab.add() learns: a table of accuracy by how often each thing was shown.

    python tools/fewshot.py --data ../shared/data/train --markdown docs/vocabulary.md

What the columns are is said in host/tinyvlm/measure/fewshot.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tinyvlm.files import explain
from tinyvlm.measure import page
from tinyvlm.measure.eval_table import markdown
from tinyvlm.measure.fewshot import GAINS, SHOTS, accuracy, embeddings
from tinyvlm.net import tvlm
from tinyvlm.shipped import DEFAULT_MODEL
from tinyvlm.words.encoders import create_text_encoder
from tinyvlm.words.prototypes import encode
from tinyvlm.words.space import normalize
from tinyvlm.words.vocabulary import Entry


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="train shards")
    parser.add_argument("--dim", type=int, default=64, help="dimensions compared (default: 64)")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the table there, too")
    args = parser.parse_args(argv)
    try:
        found, label, names = embeddings(args.data)
        entries = [Entry(name, (name,), 1) for name in names]
        model = tvlm.load(DEFAULT_MODEL)
        words, _ = encode(entries, create_text_encoder("lexicon"), model)
    except (OSError, ValueError) as error:
        print(f"fewshot: {explain(error)}", file=sys.stderr)
        return 2
    photos = normalize(found[:, : args.dim].astype(float))
    words = normalize(words[:, : args.dim])
    by_words = ((photos @ words.T).argmax(1) == label).mean()
    rows = [["shots", "all shown", *(f"half, gain {gain}" for gain in GAINS)]]
    for shots in SHOTS:
        shown, mixed = accuracy(photos, label, words, shots, GAINS, seed=1)
        rows.append([str(shots), *(f"{100 * share:.1f}" for share in (shown, *mixed))])
    text = f"Words alone: {100 * by_words:.1f}; encoder {model.fingerprint.hex()}."
    text += f"\n\n{markdown(rows)}"
    print(text)
    if args.markdown:
        page.replace(args.markdown, "<!-- begin: shown -->", "<!-- end: shown -->", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
