# SPDX-License-Identifier: MIT
"""The tables of the model card, which `tinyvlm-eval --markdown PAGE.md` writes into a page.

They stand between the lines BEGIN and END; everything else in the page is left as it is.
"""

from __future__ import annotations

from pathlib import Path

from . import eval_table, published
from . import page as regions

BEGIN, END = "<!-- tinyvlm-eval: begin -->", "<!-- tinyvlm-eval: end -->"


def region(results: dict) -> str:
    """All tables as Markdown, the short ones first."""
    parts = []
    if results.get("encoders"):
        parts += ["### The encoders", eval_table.encoders(results), _data_sets(results)]
    if results["reports"]:
        parts += ["### The sets", eval_table.sets(results)]
        if any("imagenet" in report for report in results["reports"]):
            parts.append(_overlap(results))
    parts += ["### Top-1 with int8 prototypes, and captions", eval_table.summary(results)]
    parts += ["### Published by others", _published()]
    if results["reports"]:
        parts += ["### What short prefixes keep", eval_table.kept(results)]
    if clip := results.get("clip"):
        parts += ["### CLIP's own vectors, cut", _clip(clip)]
    parts += ["### Everything", eval_table.tables(results)]
    return "\n\n".join(part for part in parts if part)


def _data_sets(results: dict) -> str:
    """Images by data set; encoders with the same list share a line."""
    lines: dict[str, list[str]] = {}
    for e in results["encoders"]:
        found = (e["card"] or {}).get("data_sets", {})
        listed = ", ".join(f"{name} {count:,}" for name, count in found.items())
        if listed:
            lines.setdefault(listed, []).append(f"`{e['encoder']}`")
    return "\n\n".join(
        f"Images used for {', '.join(names)}: {listed}." for listed, names in lines.items()
    )


def _overlap(results: dict) -> str:
    seen: dict[str, list[str]] = {}
    for report in results["reports"]:
        if found := report.get("imagenet"):
            seen.setdefault(report["set"], found["outside"])
    return "Not among ImageNet's names: " + "; ".join(
        f"{name}: {', '.join(outside[:12])}"
        + (f" and {len(outside) - 12} more" if len(outside) > 12 else "")
        for name, outside in seen.items()
        if outside
    ) + "."  # fmt: skip


def _published() -> str:
    lines = [["model", "data", "top-1", "M MAC", "pairs", "source"]]
    lines += [
        [f.model, f.data, f"{f.top1:.1f} %", f"{f.macs:,}", f.pairs, f.source]
        for f in published.FIGURES
    ]
    return eval_table.markdown(lines)


def _clip(clip: dict) -> str:
    lines = [["top-1, %", *map(str, clip["dims"])]]
    lines.append(["CLIP's dimensions, cut", *(f"{x:.1f}" for x in clip["cut"])])
    if "mapped" in clip:
        at = dict(zip(clip["mapped_dims"], clip["mapped"], strict=True))
        cells = (f"{at[d]:.1f}" if d in at else "" for d in clip["dims"])
        lines.append(["the same vectors by our text space's map", *cells])
    text = (
        f"{clip['photos']:,} real image vectors of {clip['data']}, {clip['classes']} classes "
        f"({clip['classes_without_vector']} more have no text vector), "
        f"chance {clip['chance']:.1f} %:"
    )
    return f"{text}\n\n{eval_table.markdown(lines, left=1)}"


def rewrite(page: Path, results: dict) -> None:
    """Put the tables between the page's two comments. ValueError if they are not there, once."""
    regions.replace(page, BEGIN, END, f"\n{region(results)}\n")


def between(page: Path) -> str:
    """What stands between the page's two comments."""
    return regions.between(page, BEGIN, END)


def check(page: Path) -> None:
    """ValueError or OSError if `rewrite` could not write into this page."""
    regions.check(page, BEGIN, END)
