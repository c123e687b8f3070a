# SPDX-License-Identifier: MIT
"""README.md and docs/: the figures in the tables are what the commands named beside them print.

The tables of calls and of native .mpy files are written by the tests that measure them:
test_device_calls.py and test_natmod.py.
"""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from readme import TOP, check_region, check_row, markdown, million

from tinyvlm import export
from tinyvlm.boards import romfs
from tinyvlm.max78000 import cycles, mapper
from tinyvlm.measure import eval_table, plot_memory
from tinyvlm.net import tvlm
from tinyvlm.shipped import DATA, DEFAULT_MODEL
from tinyvlm.virtual.count import FRAMES
from tinyvlm.words.background import KNOB
from tinyvlm.words.lexicon import KINDS, Lexicon

NICLA = "[Arduino Nicla Vision](docs/boards/arduino-nicla-vision.md)"
PORTENTA = "[Portenta H7](docs/boards/arduino-portenta-h7.md)"
DIMS = ("16", "64", "256")  # columns that README shows


def test_engine(firmware):
    """The line `engine` of what `make size` runs."""
    command = [sys.executable, "boards/sizes.py"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    text = int(re.search(r"^engine +(\d+)", done.stdout, re.M)[1])
    check_row("engine: code and constants", f"{text / 1024:.1f} KB")


def bench_rows(model):
    """The table's column of one encoder: {title: text}."""
    macs, dsp, portable = model["macs"], model["backends"]["dsp"], model["backends"]["portable"]
    rows = {
        "multiply-accumulates": million(macs),
        "file": f"{model['file']:,} B",
        "arena, in the file; seen in use": f"{model['arena']:,} B; {dsp['arena_used']:,} B",
        "layers: instructions": million(dsp["sum"], macs),
    }
    if "cycles" in dsp:
        rows["layers: cycles (estimated)"] = million(dsp["cycles"], macs)
        rows["the same by the portable kernels"] = million(portable["cycles"], macs)
    for title, *_ in FRAMES:
        cost = dsp["frames"][title]
        rows[f"frame of {title}: instructions"] = million(cost["frame"], macs)
        if "cycles" in cost:
            rows["... cycles (estimated), " + title] = million(cost["cycles"], macs)
            rows["... at 480 MHz (estimated), " + title] = f"{cost['fps']:.1f} frames/s"
            for why, more in (
                ("line fills of flash", cost["line_fills"]),
                ("ROMFS in QSPI flash", cost["line_fills"] + cost["qspi"]),
            ):
                # whole percents: which lines share a set of the caches depends on the build
                share = f"{100 * more / cost['cycles']:.0f} %, estimated"
                rows[f"... more for {why}, {title}"] = f"{more / 1e6:.1f} M, {share}"
        if cost.get("mca"):
            rows["... cycles by llvm-mca (estimated), " + title] = million(cost["mca"], macs)
    return rows


def test_bench(firmware):
    """What `make bench` prints."""
    command = [sys.executable, "-m", "tinyvlm.bench", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    model = report["models"][0]
    camera = FRAMES[0][0]
    cost = model["backends"]["dsp"]["frames"][camera]
    if report["no_cycles"]:
        pytest.skip(f"cycles and frames/s: {report['no_cycles']}")
    count = cost["cycles"]
    estimated = f"{count / 1e6:.1f} M cycles, {count / model['macs']:.2f} a MAC, estimated"
    check_row(f"one frame, {camera} to labels and scores", estimated)
    check_row(f"frames/s on a Cortex-M7 at {report['mhz']} MHz", f"{cost['fps']:.1f}, estimated")
    shares = (100 * n / count for n in (cost["line_fills"], cost["line_fills"] + cost["qspi"]))
    check_row(
        "... more for lines that the caches fill from flash; from QSPI flash",
        "; ".join(f"{share:.0f} %, estimated" for share in shares),
    )
    # MHz of the core and of QSPI flash as MicroPython's configurations have them
    for boards, mhz, wires in (
        ("[Nucleo-H743ZI](docs/boards/nucleo-h743.md)", 400, None),
        ("[VCC-GND H743](docs/boards/vcc-gnd-h743.md)", 480, None),
        ("[WeAct H743](docs/boards/weact-h743.md)", 480, 80),
        (f"{NICLA}, {PORTENTA}", 400, 100),
    ):
        more = cost["lines"]["files"] * 64 * mhz / wires if wires else 0
        rate = mhz * 1e6 / (count + more)
        check_row(boards, f"{rate:.1f} frames/s, estimated{', from QSPI flash' if wires else ''}")
    columns = [bench_rows(model) for model in report["models"]]
    rows = [[title, *(column[title] for column in columns)] for title in columns[0]]
    names = [model["name"] for model in report["models"]]
    check_region("bench", markdown([["measured, unless it says estimated", *names], *rows]))


def printed(*arguments):
    """What tinyvlm-bench prints; the test is skipped where it cannot estimate."""
    command = [sys.executable, "-m", "tinyvlm.bench", *arguments]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if "no estimate of cycles" in done.stdout:
        pytest.skip("no estimate of cycles here")
    return done.stdout


def test_mlperf(firmware):
    check_region("mlperf", f"```text\n{printed('--nets', 'mlperf').rstrip()}\n```")


def test_calibration(firmware):
    check_region("calibrate", f"```text\n{printed('--calibrate').rstrip()}\n```")


def test_marks(firmware):
    lines = printed("--marks").splitlines()
    rows = [[cell.strip() for cell in re.split(r"  +", line)] for line in lines]
    check_region("marks", markdown(rows))


@pytest.fixture(scope="module")
def evaluation():
    """What tinyvlm-eval --json printed about the encoders that ship."""
    return json.loads((TOP / "docs" / "runs" / "evaluation.json").read_text())


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("pacs-photo", "PACS photos, {} words, chance {} %: top-1 at 16 / 64 / 256"),
        ("cifar10-test", "CIFAR-10, {} words, chance {} %"),
        ("tiny-imagenet-unseen", "{} ImageNet classes never trained on, chance {} %"),
    ],
)
def test_accuracy(evaluation, name, title):
    """Of this very base.tvlm, from the table as tinyvlm-eval prints it."""
    fingerprint = tvlm.load(DEFAULT_MODEL).fingerprint.hex()
    reports = [
        r for r in evaluation["reports"] if (r["fingerprint"], r["set"]) == (fingerprint, name)
    ]
    assert len(reports) == 1, f"docs/runs/evaluation.json is not of {fingerprint}"
    table = eval_table.tables(evaluation | {"reports": reports}).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:]]
    row = dict(zip(rows[0], next(row for row in rows if row[1] == "top-1, int8"), strict=True))
    title = title.format(reports[0]["classes"], f"{reports[0]['chance']:.0f}")
    check_row(title, f"{' / '.join(row[dim] for dim in DIMS)} %")


SHIPPED = sorted(DATA.glob("*.tvlm"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_encoders(path):
    """The list of what ships: shapes, costs and sizes of the files themselves."""
    encoder = tvlm.load(path)
    height, width, _ = encoder.graph.input_shape
    sizes = f"{path.stat().st_size:,} B, arena {encoder.plan.arena_size:,} B"
    title = f"[{path.stem}](host/tinyvlm/data/{path.name})"
    check_row(title, f"{width}x{height}, {encoder.macs / 1e6:.1f} M MAC, {sizes}")
    if path == DEFAULT_MODEL:
        file, arena = path.stat().st_size, encoder.plan.arena_size
        check_row("encoder file, used in place; arena in RAM", f"{file:,} B; {arena:,} B")


def test_accelerator(tmp_path):
    encoder = tvlm.load(DATA / "max78000.tvlm")
    board = tmp_path / "board.tvlm"
    assert export.main(["max78000", "--max78000", str(board)]) == 0
    count = cycles.network_cycles(mapper.map_graph(encoder.graph).network)
    rows = [
        ["max78000.tvlm", ""],
        ["multiply-accumulates", f"{encoder.macs / 1e6:.2f} M"],
        ["the board's file", f"{board.stat().st_size:,} B"],
        ["cycles", f"{count:,}"],
        ["time at 50 MHz", f"{count / 50:.0f} us"],
        ["frames a second, the accelerator alone", f"{50e6 / count:.0f}"],
    ]
    check_region("accelerator", markdown(rows))
    rate = f"{50e6 / count:.0f} frames/s of the accelerator, estimated"
    check_row("[MAX78000FTHR](docs/boards/max78000fthr.md)", rate)


def background():
    return json.loads((DATA / "base.background.json").read_text())


def test_unknown():
    """What `python -m tinyvlm.background` measured for the encoder that ships."""
    found = background()
    assert found["fingerprint"] == tvlm.load(DEFAULT_MODEL).fingerprint.hex()
    rows = [["labels", "cautious", "balanced", "eager", "off", "calibration error", "off"]]
    for size, at in found["sizes"].items():
        row = at["dims"]["64"]
        cells = [
            f"{r['right']:.0f}/{r['unknown']:.0f}/{r['wrong']:.0f}/{r['named']:.0f}"
            for r in (row[name] for name in (*KNOB, "off"))
        ]
        errors = [f"{part['error']:.1f}" for part in (row, row["off"])]
        rows.append([size, *cells, *errors])
    photos = f"{found['data']['photos']:,} photos of {found['data']['classes']} classes"
    check_region("unknown", f"{markdown(rows)}\n\n({photos}.)")


def test_pairs():
    found = dict(background()["pairs"])
    *edges, _ = found.pop("cosine below")
    bounds = zip(edges, edges[1:], strict=False)
    head = [f"{low} - {high}" for low, high in bounds]
    head = [f"below {edges[0]}", *head, f"above {edges[-1]}"]
    rows = [[dim, *(f"{share:.0f}" for share in shares)] for dim, shares in found.items()]
    check_region("pairs", markdown([["dimensions", *head], *rows]))


SOURCES = (
    'CLIP ViT-B/32\'s own vector of "a NAME" (LVIS, Open Images, Objects365, CIFAR, ImageNet)',
    "CLIP's vector of several prompts (SUN397, DTD, RESISC45), moved to where single ones are",
    "regression, below",
)


def test_lexicon():
    """How many words of each kind the shipped table has."""
    table = DATA / "lexicon.npz"
    counts = np.bincount(Lexicon.load(table).kinds, minlength=len(KINDS))
    rows = [["where a vector comes from", "kind", "names"]]
    for source, kind, count in zip(SOURCES, KINDS, counts, strict=True):
        rows.append([source, f"`{kind}`", f"{count:,}"])
    rows.append([f"file: {table.stat().st_size:,} B", "", f"{counts.sum():,}"])
    check_region("lexicon", markdown(rows))


def test_firmware():
    """What `make firmware` printed, with the sizes of the encoder that ships now."""
    sizes = json.loads(plot_memory.SIZES.read_text())
    image = len(romfs.make_image([(f"/rom/{DEFAULT_MODEL.name}", DEFAULT_MODEL.read_bytes())]))
    arena = tvlm.load(DEFAULT_MODEL).plan.arena_size
    used = sizes["firmware"] + image + sizes["files"]
    rows = [
        ("flash: firmware", sizes["firmware"], sizes["firmware_region"]),
        (f"chip flash: ROMFS with {DEFAULT_MODEL.name}", image, sizes["romfs"]),
        ("chip flash: all, files included", used, sizes["flash"]),
        ("DTCM: arena", arena, sizes["dtcm"]),
        ("RAM: data, bss, code in RAM", sizes["static"], sizes["axi"]),
        (
            f"RAM: and a heap of {sizes['heap']}; left: stack",
            sizes["static"] + sizes["heap"],
            sizes["axi"],
        ),
    ]
    name = "NUCLEO_H743ZI_TINYVLM"
    lines = [f"{name:40}{'bytes':>10}{'of':>10}{'left':>10}"]
    lines += [f"{what:40}{used:10}{there:10}{there - used:10}" for what, used, there in rows]
    check_region("firmware", "```text\n" + "\n".join(lines) + "\n```")
