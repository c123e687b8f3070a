# SPDX-License-Identifier: MIT
"""tinyvlm-tune --report: one page with what a board calls somebody's photos, and the mistakes.

One HTML file without scripts or anything from elsewhere; it looks as tinyvlm-pack's does. Small
pictures of the photos are in it: the centred square of each, which is what an encoder sees.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ..net.intake import seen_square
from ..picture import rgb
from ..words.report import PAGE
from .answers import Answers, Rates, rates, taken_for, worst

SIDE = 144  # pixels of a small picture
GALLERY = 24  # pictures of a kind
CROWDED = 20  # labels; of more the matrix has those with most mistakes


@dataclass(frozen=True)
class Facts:
    """What the page shows. after: None if the file stays as it is; said, changes: sentences."""

    name: str
    folder: str
    paths: Sequence[Path]
    before: Answers
    after: Answers | None
    said: Sequence[str]
    changes: Sequence[str]


def page(facts: Facts) -> str:
    """The page as text."""
    sets = [(facts.name, facts.before)]
    if facts.after is not None:
        sets.append(("tuned, held out", facts.after))
    parts = [
        f"<h1>{escape(facts.name)} on {escape(facts.folder)}</h1>",
        _figures(sets),
        *(f"<p class=verdict>{escape(line)}</p>" for line in facts.said),
    ]
    if facts.changes:
        items = "".join(f"<li>{escape(change)}" for change in facts.changes)
        parts.append(f"<h2>What changed</h2>\n<ul>{items}</ul>")
    parts += [_matrices(sets), _labels(sets), *_galleries(facts)]
    return PAGE.format(title=escape(facts.name), style=_STYLE, body="\n".join(parts))


# -- figures ----------------------------------------------------------------------------------


def _figures(sets: list[tuple[str, Answers]]) -> str:
    rows = []
    for name, answers in sets:
        found = rates(answers)
        rows.append(f"<tr><th scope=row>{escape(name)}{_bar(found)}{_named(found)}")
    heads = ("answers by", "right", "unknown", "wrong", "named, though it shows none")
    held = (
        "<p>Held out: each photo was answered by a file that was tuned without it.</p>"
        if len(sets) > 1
        else ""
    )
    return (
        "<div class=scroll tabindex=0 role=region aria-label='Answers in short'>"
        f"<table class=short><tr>{''.join(f'<th scope=col>{head}' for head in heads)}\n"
        + "\n".join(rows)
        + f"</table></div>{held}"
    )


def _bar(found: Rates) -> str:
    if not found.shown:
        return "<td>-<td>-<td>-"
    cells = (("right", found.right), ("", found.unknown), ("wrong", found.wrong))
    return "".join(_share(kind, count, found.shown) for kind, count in cells)


def _named(found: Rates) -> str:
    return _share("wrong", found.named, found.none) if found.none else "<td>no such photos"


def _share(kind: str, part: int, whole: int) -> str:
    share = f"{100 * part / whole:.0f}"
    return f"<td class='bar {kind}' style=--v:{share}>{share} % <small>{part} of {whole}</small>"


# -- the matrix -------------------------------------------------------------------------------


def _matrices(sets: list[tuple[str, Answers]]) -> str:
    pick = ""
    if len(sets) > 1:
        radios = "".join(
            f"<label><input type=radio name=answers id=a{i}{' checked' * (i == len(sets) - 1)}> "
            f"{escape(name)}</label> "
            for i, (name, _) in enumerate(sets)
        )
        pick = f"<div role=radiogroup aria-label='Answers by'>Answers by {radios}</div>\n"
    shown = _shown([answers for _, answers in sets])
    size = len(sets[0][1].labels) + 1
    some = "" if len(shown) == size else f" ({len(shown) - 1} labels with most mistakes)"
    grids = "".join(_grid(answers, shown, i, name) for i, (name, answers) in enumerate(sets))
    return (
        f"<h2>What was called what{some}</h2>\n<div{' class=pick' * bool(pick)}>{pick}{grids}"
        "</div>\n"
        "<p>A row is what photos show, a column what they were called. Right answers are "
        "framed.</p>"
    )


def _shown(every: list[Answers]) -> list[int]:
    size = len(every[0].labels) + 1
    if size <= CROWDED + 1:
        return list(range(size))
    matrix = sum(answers.matrix() for answers in every)
    np.fill_diagonal(matrix, 0)
    unknown = matrix[:-1, -1]  # fills no cell but the last: comes after what is taken for others
    named = matrix[:, :-1].sum(axis=0) + matrix[:-1, :-1].sum(axis=1)
    most = np.lexsort((-unknown, -named))[:CROWDED]
    return [*sorted(most.tolist()), size - 1]


def _grid(answers: Answers, shown: list[int], number: int, name: str) -> str:
    counts, none = answers.matrix(), len(answers.labels)
    heads = "".join(f"<th scope=col><span>{escape(answers.name(i))}</span>" for i in shown)
    lines = []
    for i in shown:
        if not counts[i].any():
            continue
        what = "shows none" if i == none else escape(answers.labels[i])
        cells = "".join(
            f"<td style=--v:{100 * counts[i, j] / counts[i].sum():.0f}"
            f"{' class=own' * (i == j)}>{counts[i, j] or ''}"
            for j in shown
        )
        lines.append(f"<tr><th scope=row>{what}{cells}")
    return (
        f"<div class='scroll m{number}' tabindex=0 role=region aria-label='Answers by "
        f"{escape(name)}'><table class='heat counts'><tr><td>{heads}\n"
        + "\n".join(lines)
        + "</table></div>\n"
    )


def _labels(sets: list[tuple[str, Answers]]) -> str:
    before, last = sets[0][1], sets[-1][1]
    none, rows = len(before.labels), []
    for number in range(none + 1):
        mine = before.target == number
        if not mine.any():
            continue
        name = "shows none" if number == none else escape(before.labels[number])
        shares = "".join(
            f"<td>{100 * (answers.said[mine] == number).mean():.0f} %"
            f"<td>{'' if number == none else f'{100 * (answers.said[mine] == none).mean():.0f} %'}"
            for _, answers in sets
        )
        rows.append(
            f"<tr><th scope=row>{name}<td>{mine.sum()}{shares}"
            f"<td class=text>{escape(taken_for(last, number))}"
        )
    heads = "<th scope=col>right<th scope=col>unknown"
    if len(sets) > 1:
        heads += "<th scope=col>tuned: right<th scope=col>tuned: unknown"
    return (
        "<h2>Labels</h2>\n<div class=scroll tabindex=0 role=region aria-label=Labels><table>"
        f"<tr><th scope=col>label<th scope=col>photos{heads}"
        "<th scope=col class=words>most often called instead\n"
        + "\n".join(rows)
        + "</table></div>"
    )


# -- the photos -------------------------------------------------------------------------------


def _galleries(facts: Facts) -> list[str]:
    before, after = facts.before, facts.after
    if after is None:
        return [_gallery("Mistakes", worst(before), facts)]
    return [
        _gallery("Still wrong", [i for i in worst(after) if before.wrong[i]], facts),
        _gallery("Wrong since tuning", [i for i in worst(after) if not before.wrong[i]], facts),
        _gallery("Right since tuning", [i for i in worst(before) if not after.wrong[i]], facts),
    ]


def _gallery(title: str, photos: list[int], facts: Facts) -> str:
    if not photos:
        return f"<h2>{title}: none</h2>"
    figures = "\n".join(_figure(i, facts) for i in photos[:GALLERY])
    more = f"<p>... and {len(photos) - GALLERY} more.</p>" if len(photos) > GALLERY else ""
    return f"<h2>{title}: {len(photos)}</h2>\n<div class=gallery>{figures}</div>{more}"


def _figure(i: int, facts: Facts) -> str:
    path, before, after = facts.paths[i], facts.before, facts.after
    target = int(before.target[i])
    shows = before.labels[target] if target < len(before.labels) else "none of them"
    said = f"{before.name(before.said[i])} {before.score[i]:.2f}"
    if after is not None:
        said += f" → {after.name(after.said[i])} {after.score[i]:.2f}"
    where = f"{path.parent.name}/{path.name}"
    return (
        f"<figure><img src='{small(path)}' width={SIDE} height={SIDE} alt=''>"
        f"<figcaption><b>{escape(shows)}</b><br>{escape(said)}<br><small>{escape(where)}</small>"
        "</figcaption></figure>"
    )


def small(path: Path) -> str:
    """The photo's centred square as a data: address."""
    with Image.open(path) as opened:
        opened.draft("RGB", (4 * SIDE, 4 * SIDE))  # a phone's JPEG: decoded small at once
        image = rgb(opened)
    left, upper, side = seen_square(*image.size)
    square = image.crop((left, upper, left + side, upper + side)).resize(
        (SIDE, SIDE), Image.Resampling.LANCZOS
    )
    with BytesIO() as file:
        square.save(file, "JPEG", quality=80)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


_STYLE = """
.pick:has(#a0:checked) .m0, .pick:has(#a1:checked) .m1 { display: block }
.short td { min-width: 6rem }
.short small { color: var(--soft) }
.bar { --bar: var(--line); background: linear-gradient(to right, var(--bar) calc(var(--v) * 1%),
  transparent 0) bottom / 100% 4px no-repeat }
.bar.right { --bar: #2e8b57 }
.bar.wrong { --bar: var(--mark) }
.heat.counts th, .heat.counts td { font-size: .9rem; min-width: 1.6rem }
.heat.counts td { color: var(--on) }
h1, p, li { overflow-wrap: anywhere }
.heat td.own { outline: 1px solid var(--soft); outline-offset: -1px; font-weight: bold }
.gallery { display: flex; flex-wrap: wrap; gap: .8rem }
.gallery figure { margin: 0; width: 144px; overflow-wrap: anywhere }
.gallery img { display: block; border-radius: 4px; background: var(--line) }
.gallery figcaption b { color: var(--text) }
"""
