# SPDX-License-Identifier: MIT
"""What tinyvlm-eval prints: Markdown tables that a terminal shows well, too."""

from __future__ import annotations

from collections.abc import Iterable

from . import published

SHOWN = 5  # confusions a set
KEPT = (16, 64)  # dimensions whose share of the full accuracy is shown
TASKS = (("to_text", "photo to caption"), ("to_image", "caption to photo"))


def tables(results: dict) -> str:
    """One table an encoder: a line a measure, a column a prefix; all figures in per cent."""
    blocks = []
    for print_, (named, captioned) in _by_encoder(results).items():
        first = (named or captioned)[0]
        title = (
            f"{first['encoder']} ({first['file']}, {print_}), words by "
            f"{results['text_encoder']}, {results['software']}; per cent at each prefix:"
        )
        dims = [row["dim"] for row in first["rows"]]
        lines = [["set", "measure", "chance", *map(str, dims), published.CLIP]]
        for report in named:
            lines += _lines(report)
        for report in captioned:
            lines += _caption_lines(report)
        if not any(line[-1] for line in lines[1:]):
            lines = [line[:-1] for line in lines]
        blocks.append(f"{title}\n\n{markdown(lines)}")
    return "\n\n".join(blocks)


def _by_encoder(results: dict) -> dict[str, tuple[list[dict], list[dict]]]:
    """fingerprint -> (naming reports, caption reports)."""
    found: dict[str, tuple[list[dict], list[dict]]] = {}
    for kind, key in enumerate(("reports", "captions")):
        for report in results.get(key, []):
            found.setdefault(report["fingerprint"], ([], []))[kind].append(report)
    return found


def about(report: dict) -> str:
    """The set, and what of it was measured: "food101-64px: 2,400 photos, 80 of 101 classes"."""
    missing = len(report.get("missing", []))
    of = f" of {report['classes'] + missing}" if missing else ""
    return f"{report['set']}: {report['photos']:,} photos, {report['classes']}{of} classes"


def _lines(report: dict) -> list[list[str]]:
    rows, classes = report["rows"], report["classes"]
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
    figure = published.clip(report["set"], classes)
    return [
        [
            about(report) if i == 0 else "",
            what,
            f"{chance:.1f}",
            *(f"{row[key]:.1f}" for row in rows),
            f"{figure:.1f}" if figure and key == "int8_top1" else "",
        ]
        for i, (what, chance, key) in enumerate(measures)
    ]


def _caption_lines(report: dict) -> list[list[str]]:
    missing = report["missing"]
    of = f" of {report['captions'] + missing:,}" if missing else ""
    name = (
        f"{report['set']}: {report['photos']:,} photos, {report['captions']:,}{of} captions "
        f"by {report['by']}"
    )
    return [
        [
            name if (task, rank) == ("to_text", "r1") else "",
            f"{what}, R@{rank[1:]}",
            f"{report['chance'][task][rank]:.1f}",
            *(f"{row[task][rank]:.1f}" for row in report["rows"]),
            "",
        ]
        for task, what in TASKS
        for rank in report["chance"][task]
    ]


def summary(results: dict) -> str:
    """All encoders side by side: top-1 with int8 prototypes, then R@10 of captions; per cent."""
    dims = _common(results["reports"] + results.get("captions", []))
    lines = [["set", "encoder", "chance", *map(str, dims), published.CLIP]]
    for reports in _by_set(results["reports"]):
        figure = published.clip(reports[0]["set"], reports[0]["classes"])
        for i, report in enumerate(reports):
            at = {row["dim"]: row["int8_top1"] for row in report["rows"]}
            lines.append(
                [
                    about(report) if i == 0 else "",
                    report["encoder"],
                    f"{report['chance']:.1f}",
                    *(f"{at[dim]:.1f}" for dim in dims),
                    f"{figure:.1f}" if figure and i == 0 else "",
                ]
            )
    for reports in _by_set(results.get("captions", [])):
        for task, what in TASKS:
            for i, report in enumerate(reports):
                at = {row["dim"]: row[task]["r10"] for row in report["rows"]}
                lines.append(
                    [
                        f"{report['set']}: {what}, R@10" if i == 0 else "",
                        report["encoder"],
                        f"{report['chance'][task]['r10']:.1f}",
                        *(f"{at[dim]:.1f}" for dim in dims),
                        "",
                    ]
                )
    return markdown(lines)


def kept(results: dict) -> str:
    """What short prefixes keep of the full accuracy, and what coarse prototypes cost in points."""
    lines = [["encoder, set", *(f"{d} keep" for d in KEPT), "int8 - float", "int4 - float"]]
    for report in results["reports"]:
        at = {row["dim"]: row for row in report["rows"]}
        full = report["rows"][-1]["int8_top1"]
        known = [at[d]["int8_top1"] if d in at and full else None for d in KEPT]
        shares = ["" if x is None else f"{100 * x / full:.0f} %" for x in known]
        row = at.get(64, report["rows"][-1])
        losses = (row["int8_top1"] - row["float_top1"], row["int4_top1"] - row["float_top1"])
        lines.append(
            [f"{report['encoder']}, {report['set']}", *shares, *(f"{x:+.2f}" for x in losses)]
        )
    return markdown(lines, left=1)


def sets(results: dict) -> str:
    """What each set is: how many of its classes are among ImageNet's names, and published figures.

    Empty columns are left out; "named" and "within" are those of overlap.py.
    """
    lines = [["set", "photos", "classes", "named in ImageNet-1k", "within a longer name",
              "chance", published.CLIP]]  # fmt: skip
    for reports in _by_set(results["reports"]):
        report = reports[0]
        figure = published.clip(report["set"], report["classes"])
        found = report.get("imagenet")
        lines.append(
            [
                report["set"],
                f"{report['photos']:,}",
                about(report).rpartition(", ")[2].removesuffix(" classes"),
                str(found["named"]) if found else "",
                str(found["within"]) if found else "",
                f"{report['chance']:.1f} %",
                f"{figure:.1f} %" if figure else "",
            ]
        )
    return markdown(_filled(lines), left=1)


def encoders(results: dict) -> str:
    """What the encoders are and cost, one a column."""
    all_ = results.get("encoders", [])
    rows = [
        ("image, dense map", lambda e: _sizes(e)),
        ("multiply-accumulates", lambda e: f"{e['macs'] / 1e6:.2f} M"),
        ("weights", lambda e: f"{e['weights'] / 1e3:.0f} K"),
        ("file", lambda e: f"{e['bytes']:,} B"),
        ("arena in RAM", lambda e: f"{e['arena']:,} B"),
        (
            "cycles of the layers, Cortex-M7 (estimated)",
            lambda e: f"{e['cortex_m7_cycles'] / 1e6:.1f} M" if e["cortex_m7_cycles"] else "",
        ),
        (
            "cycles of the MAX78000's accelerator (estimated)",
            lambda e: f"{e['cycles']:,}" if e["cycles"] else "",
        ),
        ("began as", lambda e: _card(e, "init")),
        ("teacher", lambda e: _card(e, "teacher")),
        ("images in its last run", lambda e: _card(e, "images")),
        ("images shown in its last run", lambda e: _card(e, "images_shown")),
    ]
    lines = [["", *(f"`{e['encoder']}`" for e in all_)]]
    lines += [[what, *map(say, all_)] for what, say in rows]
    return markdown([line for line in lines if any(line[1:])], left=1)


def _sizes(e: dict) -> str:
    height, width, _ = e["input"]
    return f"{width}x{height}" + (f", {e['map'][1]}x{e['map'][0]}" if e["map"] else "")


def _card(e: dict, key: str) -> str:
    value = (e["card"] or {}).get(key, "")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _by_set(reports: Iterable[dict]) -> list[list[dict]]:
    found: dict[str, list[dict]] = {}
    for report in reports:
        found.setdefault(report["set"], []).append(report)
    return list(found.values())


def _common(reports: list[dict]) -> list[int]:
    """The prefixes that all reports have."""
    dims = [[row["dim"] for row in report["rows"]] for report in reports]
    return [d for d in dims[0] if all(d in other for other in dims)] if dims else []


def _filled(lines: list[list[str]]) -> list[list[str]]:
    """Without the columns that are empty below their heading."""
    full = [i for i in range(len(lines[0])) if any(line[i] for line in lines[1:])]
    return [[line[i] for i in full] for line in lines]


def markdown(lines: list[list[str]], left: int = 2) -> str:
    """Columns of equal width; the first `left` to the left, figures to the right."""
    columns = []
    for i, column in enumerate(zip(*lines, strict=True)):
        width = max(3, *map(len, column))
        rule = "-" * width if i < left else "-" * (width - 1) + ":"
        side = "<" if i < left else ">"
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
            f"{report['confusions']['dim']} dimensions: {shown or 'none'}"
        )
    return "\n".join(lines)
