# SPDX-License-Identifier: MIT
"""tinyvlm-pack --report: one page about a vocabulary, to look at and to send to somebody.

One HTML file without scripts, fonts or pictures from elsewhere. The matrix is a table, so that it
can be read aloud, copied and searched; which dimension it shows is a group of radio buttons, which
a keyboard can reach. Light or dark as the reader's system is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from .background import said
from .lint import CLOSE, Lint, Pair
from .space import normalize
from .tvp import Prototypes
from .vocabulary import plural

LABELS = 40  # of a larger vocabulary, those that are in the nearest pairs
PAIRS = 30
WIDTH, HEIGHT, MARGIN = 640, 260, 40  # of the chart


@dataclass(frozen=True)
class Facts:
    """What the page says beside the lint. sizes: bytes of the file by dimension."""

    name: str
    prototypes: Prototypes
    size: int
    notes: Sequence[str]
    words: Sequence[str]
    sizes: dict[int, int]


def page(facts: Facts, vectors: np.ndarray, lint: Lint) -> str:
    """The page as text. vectors: unit length (labels, most), of `facts.prototypes.labels`."""
    p = facts.prototypes
    parts = [
        f"<h1>{escape(facts.name)}</h1>",
        f"<p>{plural(len(p.labels), 'label')}, {p.dim} dimensions of {p.bits} bits, "
        f"{facts.size:,} bytes, for encoder {escape(p.encoder)} ({p.fingerprint.hex()}), words by "
        f"{escape(p.text_encoder)}.</p>",
        _verdict(lint),
    ]
    if lint.pairs:
        parts += [_matrix(p.labels, vectors, lint), _nearest(lint)]
    parts += [_dimensions(facts, lint), _words(facts)]
    return PAGE.format(title=escape(facts.name), style=_style(lint), body="\n".join(parts))


def _verdict(lint: Lint) -> str:
    if not lint.pairs:
        text = "One label: there is nothing to confuse it with."
    elif count := lint.confused[lint.dim]:
        pairs = "pair of labels is" if count == 1 else "pairs of labels are"
        text = f"{count} {pairs} likely confused (cosine {CLOSE:g} or more)."
    else:
        best = lint.pairs[0]
        text = (
            f"No two labels are likely confused; the nearest are {escape(best.first)} and "
            f"{escape(best.second)}, cosine {lint.at(best, lint.dim):.2f}."
        )
    return (
        f"<p class=verdict>{text} Smallest dimension that keeps apart what the full vectors keep "
        f"apart: {lint.suggested}.</p>"
    )


# -- the matrix -------------------------------------------------------------------------------


def _matrix(labels: Sequence[str], vectors: np.ndarray, lint: Lint) -> str:
    shown = _shown(labels, lint)
    some = "" if len(shown) == len(labels) else f" ({len(shown)} labels of the nearest pairs)"
    radios = "".join(
        f"<label><input type=radio name=dim id=d{dim}{' checked' * (dim == lint.dim)}> "
        f"{dim}{' (packed)' * (dim == lint.dim)}</label> "
        for dim in lint.dims
    )
    tables = "".join(_grid([labels[i] for i in shown], vectors[shown], dim) for dim in lint.dims)
    return (
        f"<h2>Similarity of the labels{some}</h2>\n"
        f"<div class=pick><div role=radiogroup aria-label=Dimensions>Dimensions {radios}</div>\n"
        f"{tables}</div>\n"
        f"<p>Cosines in hundredths. {100 * CLOSE:.0f} and more, framed: likely confused.</p>"
    )


def _shown(labels: Sequence[str], lint: Lint) -> list[int]:
    if len(labels) <= LABELS:
        return list(range(len(labels)))
    number = {label: i for i, label in enumerate(labels)}
    names = (name for pair in lint.pairs for name in (pair.first, pair.second))
    return sorted([number[name] for name in dict.fromkeys(names)][:LABELS])


def _grid(labels: Sequence[str], vectors: np.ndarray, dim: int) -> str:
    rows = normalize(vectors[:, :dim])
    cosines = np.rint(100 * (rows @ rows.T)).astype(int)
    names = [escape(label) for label in labels]
    heads = "".join(f"<th scope=col><span>{name}</span>" for name in names)
    lines = []
    for i, name in enumerate(names):
        cells = "".join(
            "<td class=same>" if i == j else _cell(int(cosines[i, j])) for j in range(len(names))
        )
        lines.append(f"<tr><th scope=row>{name}{cells}")
    return (
        f"<div class='scroll m{dim}' tabindex=0 role=region "
        f"aria-label='Similarity at {dim} dimensions'><table class=heat>"
        f"<tr><td>{heads}\n" + "\n".join(lines) + "</table></div>\n"
    )


def _cell(hundredths: int) -> str:
    close = " class=close" if hundredths >= 100 * CLOSE else ""
    return f"<td style=--v:{max(hundredths, 0)}{close}>{hundredths}"


# -- the rest ---------------------------------------------------------------------------------


def _nearest(lint: Lint) -> str:
    heads = "".join(f"<th scope=col{' class=packed' * (d == lint.dim)}>{d}" for d in lint.dims)
    rows = []
    for pair in lint.pairs[:PAIRS]:
        cells = "".join(
            f"<td{' class=close' * (cosine >= CLOSE)}>{cosine:.2f}" for cosine in pair.cosines
        )
        rows.append(f"<tr><th scope=row>{escape(pair.first)}, {escape(pair.second)}{cells}")
    return (
        "<h2>Nearest pairs</h2>\n<div class=scroll tabindex=0 role=region "
        f"aria-label='Nearest pairs'><table><tr><th scope=col>cosine at{heads}\n"
        + "\n".join(rows)
        + f"</table></div>\n{_chart(lint, lint.pairs[:5])}"
    )


def _chart(lint: Lint, pairs: Sequence[Pair]) -> str:
    """The nearest pairs by dimension: do more dimensions tell them apart?"""
    inner_w, inner_h = WIDTH - 2 * MARGIN - 130, HEIGHT - 2 * MARGIN
    step = inner_w / max(len(lint.dims) - 1, 1)

    def y(cosine: float) -> float:
        return MARGIN + inner_h * (1 - max(min(cosine, 1.0), 0.0))

    parts = [
        f"<line class=axis x1={MARGIN} x2={MARGIN + inner_w:.0f} y1={y(v):.1f} y2={y(v):.1f} />"
        f"<text x={MARGIN - 6} y={y(v) + 4:.1f} text-anchor=end>{v:g}</text>"
        for v in (0, 0.5, 1)
    ]
    parts.append(
        f"<line class=limit x1={MARGIN} x2={MARGIN + inner_w:.0f} "
        f"y1={y(CLOSE):.1f} y2={y(CLOSE):.1f} />"
        f"<text x={MARGIN - 6} y={y(CLOSE) + 4:.1f} text-anchor=end>{CLOSE:g}</text>"
    )
    for k, dim in enumerate(lint.dims):
        parts.append(
            f"<text x={MARGIN + k * step:.1f} y={HEIGHT - MARGIN + 18} text-anchor=middle>"
            f"{dim}</text>"
        )
    floor = 0.0  # names at the right end are pushed apart
    for pair in sorted(pairs, key=lambda pair: -pair.cosines[-1]):
        points = " ".join(
            f"{MARGIN + k * step:.1f},{y(c):.1f}" for k, c in enumerate(pair.cosines)
        )
        at = floor = max(y(pair.cosines[-1]) + 4, floor + 15)
        name = f"{pair.first}, {pair.second}"
        parts.append(
            f"<polyline points='{points}' />"
            f"<text x={MARGIN + inner_w + 8:.0f} y={at:.1f}>"
            f"{escape(name if len(name) < 22 else name[:20] + '…')}</text>"
        )
    return (
        f"<figure><svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='Cosine of the nearest "
        f"pairs by dimension, as in the table'>{''.join(parts)}</svg><figcaption>Cosine of the "
        f"nearest pairs by dimension; dashed: likely confused from here on.</figcaption></figure>"
    )


def _dimensions(facts: Facts, lint: Lint) -> str:
    rows = "".join(
        f"<tr{' class=packed' * (dim == lint.dim)}><th scope=row>{dim}"
        f"<td>{facts.sizes[dim]:,}<td>{lint.confused[dim]}"
        f"<td>{', '.join(_remarks(dim, lint))}\n"
        for dim in lint.dims
    )
    return (
        "<h2>Dimensions</h2>\n<div class=scroll tabindex=0 role=region aria-label=Dimensions>"
        "<table><tr><th scope=col>dimensions<th scope=col>bytes"
        f"<th scope=col>pairs likely confused<th scope=col>remark\n{rows}</table></div>"
    )


def _remarks(dim: int, lint: Lint) -> list[str]:
    return ["packed"] * (dim == lint.dim) + ["suggested"] * (dim == lint.suggested)


def _words(facts: Facts) -> str:
    p = facts.prototypes
    rows = "".join(
        f"<tr><th scope=row>{escape(label)}<td class=text>{escape(note)}\n"
        for label, note in zip(p.labels, facts.notes, strict=True)
    )
    text = (
        "<h2>Words</h2>\n<table><tr><th scope=col>label<th scope=col class=words>vector\n"
        f"{rows}</table>"
    )
    if p.threshold:
        least = said(p.threshold)
        text += f"\n<h2>None of them</h2>\n<p>A frame is unknown if no score reaches {least}"
        if facts.words:
            text += f", or if it is nearer to one of: {escape(', '.join(facts.words))}"
        text += ".</p>"
    return text


def _style(lint: Lint) -> str:
    return "\n".join(
        f".pick:has(#d{dim}:checked) .m{dim} {{ display: block }}" for dim in lint.dims
    )


PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --page: #fff; --text: #1a1a1a; --soft: #595959; --line: #ccc;
  --hot: #f08c2e; --on: #000; --mark: #a3001b }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #16181b; --text: #ececec; --soft: #adadad; --line: #4a4d52;
    --hot: #b05a08; --on: #fff; --mark: #ff9aa8 }}
}}
body {{ background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ margin-bottom: 0 }}
.verdict {{ border-left: 4px solid var(--hot); padding-left: .8rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--line) }}
th[scope=row], td.text {{ text-align: left; font-weight: normal }}
th:first-child {{ text-align: left }}
th.words {{ text-align: left }}
th.packed, .packed th {{ font-weight: bold }}
td.close {{ color: var(--mark); font-weight: bold }}
.scroll {{ overflow-x: auto; max-width: 100% }}
:focus-visible {{ outline: 3px solid var(--hot); outline-offset: 2px }}
.pick .scroll {{ display: none; margin-top: .6rem }}
.pick label {{ margin-left: .8rem; white-space: nowrap }}
.heat th, .heat td {{ border: 0; font-size: .75rem; padding: .2rem .3rem; min-width: 1.3rem }}
.heat th[scope=col] {{ vertical-align: bottom; padding: .3rem 0 }}
.heat th[scope=col] span {{ writing-mode: vertical-rl; transform: rotate(180deg);
  font-weight: normal }}
.heat th[scope=row] {{ white-space: nowrap }}
.heat td {{ background: color-mix(in srgb, var(--hot) calc(var(--v, 0) * 1%), var(--page)) }}
.heat td.close {{ color: var(--on); outline: 2px solid var(--mark); outline-offset: -2px }}
.heat td.same {{ background: var(--line) }}
figure {{ margin: 1rem 0; max-width: 40rem }}
figcaption {{ color: var(--soft); font-size: .9rem }}
svg {{ width: 100% }}
svg text {{ fill: var(--text); font-size: 12px }}
svg line {{ stroke: var(--line) }}
svg .limit {{ stroke: var(--mark); stroke-dasharray: 5 4 }}
svg polyline {{ fill: none; stroke: var(--hot); stroke-width: 2 }}
{style}
</style>
{body}
</html>
"""
