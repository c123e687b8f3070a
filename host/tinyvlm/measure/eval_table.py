# SPDX-License-Identifier: MIT
"""What tinyvlm-eval prints: Markdown tables that a terminal shows well, too."""

from __future__ import annotations

SHOWN = 5  # confusions a set


def tables(results: dict) -> str:
    """One table an encoder: a line a measure, a column a prefix; all figures in per cent."""
    encoders: dict[str, list[dict]] = {}
    for report in results["reports"]:
        encoders.setdefault(report["fingerprint"], []).append(report)
    blocks = []
    for reports in encoders.values():
        first = reports[0]
        title = (
            f"{first['encoder']} ({first['file']}, {first['fingerprint']}), words by "
            f"{results['text_encoder']}, {results['software']}; per cent at each prefix:"
        )
        dims = [row["dim"] for row in first["rows"]]
        lines = [["set", "measure", "chance", *map(str, dims)]]
        for report in reports:
            lines += _lines(report)
        blocks.append(f"{title}\n\n{_markdown(lines)}")
    return "\n\n".join(blocks)


def _lines(report: dict) -> list[list[str]]:
    rows, classes = report["rows"], report["classes"]
    about = f"{report['set']}: {report['photos']:,} photos, {classes} classes"
    chance = 100 / classes
    measures = [
        ("top-1, float prototypes", chance, "float_top1"),
        ("top-1, int8", chance, "int8_top1"),
        ("top-1, int4", chance, "int4_top1"),
        ("top-5, int8", min(5 * chance, 100), "int8_top5"),
        ("retrieval, precision@1", chance, "precision1"),
        ("retrieval, precision@5", chance, "precision5"),
        ("retrieval, precision@10", chance, "precision10"),
        ("retrieval, mean average precision", chance, "map"),
    ]
    if pointed := report["pointing"]:
        what = f"pointing, {pointed['boxes']:,} boxes; always the centre: {pointed['centre']:.1f}"
        measures.append((what, pointed["random"], "pointing"))
    return [
        [about if i == 0 else "", what, f"{chance:.1f}", *(f"{row[key]:.1f}" for row in rows)]
        for i, (what, chance, key) in enumerate(measures)
    ]


def _markdown(lines: list[list[str]]) -> str:
    """Columns of equal width; the first two to the left, numbers to the right."""
    columns = []
    for i, column in enumerate(zip(*lines, strict=True)):
        width = max(map(len, column))
        rule = "-" * width if i < 2 else "-" * (width - 1) + ":"
        side = "<" if i < 2 else ">"
        columns.append([f"{cell:{side}{width}}" for cell in (column[0], rule, *column[1:])])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True))


def confusion_lines(reports: list[dict]) -> str:
    """The most frequent errors of each encoder on each set, one line each."""
    lines = []
    for report in reports:
        pairs = report["confusions"]["pairs"][:SHOWN]
        shown = ", ".join(f"{p['true']} -> {p['said']} {p['photos']}/{p['of']}" for p in pairs)
        lines.append(
            f"{report['encoder']} on {report['set']}, taken for another at "
            f"{report['confusions']['dim']} numbers: {shown or 'none'}"
        )
    return "\n".join(lines)
