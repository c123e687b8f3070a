# SPDX-License-Identifier: MIT
"""Word lists, and what tinyvlm-pack makes of them: what the page must make of them, too.

python tests/word_lists.py FOLDER     # golden.json, whole.bin, lexicon.bin for web/words
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import os
import random
import sys
import unicodedata
from dataclasses import replace
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import web_lexicon  # noqa: E402

from tinyvlm import packit  # noqa: E402
from tinyvlm.shipped import DATA, ENCODERS  # noqa: E402
from tinyvlm.words import tvlx  # noqa: E402
from tinyvlm.words.background import KNOB  # noqa: E402
from tinyvlm.words.lexicon import Lexicon  # noqa: E402

UNKNOWN = (*KNOB, "off")
SHOWN = (
    "Katze Käse Straße ΟΔΟΣ собака 猫 고양이 🐱 İzmir Ünal ﬁlm naïve Ꭰꭰ ıslak"  # noqa: RUF001
).split()
GLUE = (" ", "\t", " on the ", " with a ", " and ", "-", "_", " (", " in my ")
BAD = (  # lines that no list may have; {} is a word
    ": cat",
    "{}:",
    "{}: , ,",
    "{}: a: b",
    "dog, {}, cup",
    "unknown",
    "UNKNOWN: {}",
    "un\u200cknown: {}",
    "{}: !?",
    "...",
    'it\'s "{}" \\: ?',
    "a\tb\x07{}",
    "\x7f{}",
    "é" * 140 + ": {}",
    "x" * 1001 + ": {}",
    "{}: " + "cup, " * 1001,
    "{}: \u3000\u0378\U000e0001",
    "qwrtz: {}",
    "'quoted' label: ?",
    "both ' and \" quotes: ?",
    "dog\ndog",
    "Straße: cup\nSTRASSE: mug",
    "ﬁsh: cup\nfish: mug",
    "ς: cup\nΣ: mug",
    "zero\u200bwidth: cup\nzerowidth: mug",
    "marks\u200e: cup\nmarks: mug",
    "①: cup\n1: mug",
    "ǅ: cup\nǆ: mug",
    "ᾳ: cup\nαι: mug",
    "ꭰ: cup\nᎠ: mug",
    "İ: cup\ni̇: mug",
)
RAW = (  # whole files
    b"",
    b"\n \n# nothing\n",
    b"TVPR\x01\0",
    b"c\0a\0t\0",
    b"cat\n\xff\xfe\ndog\n",
    b"cat\n\xed\xa0\x80\n",
    b"\xef\xbb\xbf\xef\xbb\xbf\n",
    b"zzzzqqqq\n" * 1 + b"\n".join(b"qwxzv%03d" % i for i in range(130)),
    b"\n".join(b"bad %d:" % i for i in range(130)),
    b"cat\x0bdog\x1ccup\xc2\x85mug: zebra\n",
    b"x" * 900 + b"\n" + b"ab" * 150 + b"\n",
)


def main(folder: Path) -> None:
    """Write everything into `folder`."""
    Lexicon.load = functools.cache(Lexicon.load)
    lexicon = Lexicon.load(DATA / "lexicon.npz")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "whole.bin").write_bytes(tvlx.whole(lexicon))
    (folder / "other.bin").write_bytes(tvlx.whole(changed(lexicon)))
    (folder / "fewer.bin").write_bytes(tvlx.whole(changed(lexicon, slice(1, None))))
    (folder / "lexicon.bin").write_bytes(web_lexicon.fitting(lexicon, web_lexicon.BYTES)[1])
    cases = [packed(folder, *case) for case in (*good(lexicon), *bad(lexicon))]
    (folder / "golden.json").write_text(json.dumps(cases))
    (folder / "letters.json").write_text(json.dumps(letters()))


def changed(lexicon: Lexicon, kept: slice = slice(None)) -> Lexicon:
    """The lexicon of another version: of its last name another vector, or with fewer names."""
    vectors = lexicon.vectors[kept].copy()
    vectors[-1, 0] ^= 1
    names = {name: row for row, name in enumerate(list(lexicon.index)[kept])}
    return replace(lexicon, index=names, kinds=lexicon.kinds[kept], vectors=vectors)


def letters() -> dict:
    """What Python says of all characters: runs as [last, whether], and what casefold() changes."""
    every = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    ask = {
        "assigned": lambda c: unicodedata.category(c) != "Cn",
        "spoken": str.isalnum,
        "printed": str.isprintable,
        "space": str.isspace,
    }
    runs = {
        name: [[ord(list(run)[-1]), bool(yes)] for yes, run in groupby(every, said)]
        for name, said in ask.items()
    }
    return runs | {"folded": {c: c.casefold() for c in every if c != c.casefold()}}


def good(lexicon: Lexicon) -> list[tuple]:
    """200 lists that can be packed, with the options."""
    rng, names, cases = random.Random(19), list(lexicon.index), []
    for i in range(200):
        count = rng.choice((1, 2, 3, 3, 5, 10, 10, 20, 50, 100, rng.randint(1, 100)))
        lines, seen = [], set()
        while len(seen) < count:
            label, line = entry(rng, names, lexicon)
            if label not in seen:
                seen.add(label)
                lines.append(line)
        for at in range(0, len(lines), 7):
            lines.insert(at, rng.choice(("", "# a comment, with: all", "   ", "\ufeff")))
        ends = rng.choice(("\n", "\r\n", "\r"))
        raw = rng.choice((b"", b"\xef\xbb\xbf")) + (ends.join(lines) + ends).encode()
        dim = (16, 32, 64, 128, 256)[i % 5] if i % 3 else rng.randint(16, 256)
        bits, others = 4 if i % 8 == 7 else 8, b""
        if i % 5 == 0 and i % 4 != 3:
            others = "\n".join([*rng.sample(names, 6), lines[-1].strip("\ufeff")]).encode()
        cases.append((raw, ENCODERS[i // 4 % 4], dim, UNKNOWN[i % 4], bits, others))
    return cases


def entry(rng: random.Random, names: list[str], lexicon: Lexicon) -> tuple[str, str]:
    """A label, folded, and its line. The lexicon knows the phrases."""
    kind = rng.random()
    if kind < 0.35:
        label = rng.choice(names)
        label = rng.choice((label, label.title(), label.upper(), f" {label}  # said"))
    elif kind < 0.5:
        label = phrase(rng, names, lexicon)
    else:
        shown = f"{rng.choice(SHOWN)} {rng.randint(1, 999)}"
        parts = [phrase(rng, names, lexicon) for _ in range(rng.choice((1, 1, 2, 3, 6)))]
        return shown.casefold(), f"{shown} : {' ,'.join(parts)}"
    return " ".join(label.split("#")[0].casefold().split()), label


def phrase(rng: random.Random, names: list[str], lexicon: Lexicon) -> str:
    """A name, its plural, two names and what stands between them, or with a word that is none."""
    while True:
        name = rng.choice(names)
        text = rng.choice(
            (
                name,
                f"the {name}",
                f"{name}s",
                name.replace(" ", ""),
                name.replace(" ", rng.choice("-_")),
                f"{name}{rng.choice(GLUE)}{rng.choice(names)}",
                f"{rng.choice(names)}{rng.choice(GLUE)}{name}{rng.choice(GLUE)}{rng.choice(names)}",
                f"wrzlbrmft {name}",
                f"wrzlbrmft ‘it’s' {name} {name}",
            )
        )
        with contextlib.suppress(ValueError):
            lexicon.encode(text)
            return text


def bad(lexicon: Lexicon) -> list[tuple]:
    """Lists that are refused, and options."""
    rng, names = random.Random(20), list(lexicon.index)
    lists = [*RAW, *(line.replace("{}", rng.choice(names)).encode() for line in BAD)]
    for _ in range(60):  # slips of the keyboard
        lines = []
        for _ in range(rng.randint(1, 4)):
            name = list(rng.choice(names))
            at = rng.randrange(len(name))
            name[at : at + 1] = rng.choice(("", "q", name[at] * 2, "é", name[at] + "zx"))
            lines.append("".join(name) + rng.choice(("", " qqx", " with qqx")))
        lists.append("\n".join(lines).encode())
    cases = [(raw, ENCODERS[i % 4], 64, "balanced", 8) for i, raw in enumerate(lists)]
    cases += [(b"cat\n", "base", dim, "balanced", 8) for dim in (0, -1, 257)]
    return [*cases, (b"cat\n", "nano", 64, "off", 8, b"dog\n")]


def packed(
    folder: Path, raw: bytes, model: str, dim: int, unknown: str, bits: int, others: bytes = b""
) -> dict:
    """What tinyvlm-pack makes of a list and says about it."""
    where, out, err = Path.cwd(), io.StringIO(), io.StringIO()
    options = f"--text-encoder lexicon --model {model} --dim {dim} --unknown {unknown}"
    options += f" --bits {bits}" + " --background room.txt" * bool(others)
    os.chdir(folder)
    try:
        Path("list.txt").write_bytes(raw)
        Path("room.txt").write_bytes(others)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = packit.main(["list.txt", *options.split()])
        tvp = b"" if status else Path("list.tvp").read_bytes()
    finally:
        os.chdir(where)
    texts = {"list": raw, "others": others, "tvp": tvp}
    return {
        **{key: base64.b64encode(value).decode() for key, value in texts.items()},
        **{"model": model, "dim": dim, "unknown": unknown, "bits": bits},
        "said": out.getvalue().splitlines(),
        "told": [line.removeprefix("tinyvlm-pack: ") for line in err.getvalue().splitlines()],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
