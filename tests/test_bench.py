# SPDX-License-Identifier: MIT
"""tinyvlm-bench on a small model, the estimate of cycles, and the cost model."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
from nets import Builder

from tinyvlm import bench
from tinyvlm.net import cost, mlperf, plan, samples, tvlm
from tinyvlm.virtual import calibration, count, cycles, marks

BENCH = [sys.executable, "-m", "tinyvlm.bench"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The report on a tiny encoder, made by the command."""
    build = Builder(16, seed=1)
    build.conv(8, 3, 2)
    build.residual(8, 2)
    build.conv(16)
    build.depthwise()
    build.thin()
    build.conv(8)
    path = tmp_path_factory.mktemp("bench") / "tiny.tvlm"
    tvlm.write(build.finish(32, dense=True), path)
    return path


def test_what_the_board_prints_is_not_run():
    session = object.__new__(count.Session)
    session.exec = lambda code: "__import__('os').getpid()"
    with pytest.raises(ValueError):
        session.eval("core.layers")


def run(*arguments):
    done = subprocess.run([*BENCH, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_report(firmware, small):
    report = json.loads(run("--model", small, "--json", "--no-cycles"))
    (model,) = report["models"]
    graph = (loaded := tvlm.load(small)).graph
    assert model["unaligned"] == loaded.plan.fetched // 4 * 3
    names = [x.name for x in graph.layers if x.name == graph.dense or not graph.is_dense(x.name)]
    assert [row["name"] for row in model["layers"]] == names  # one row for all of the map's
    assert sum(row["macs"] for row in model["layers"]) == sum(graph.macs(dense=True).values())
    assert model["macs"] == sum(row["macs"] for row in model["layers"] if not row["dense"])
    assert model["differ"] == 0
    assert model["compared"] > 0
    assert 0 < model["backends"]["dsp"]["arena_used"] <= model["arena"]
    assert 0 < report["engine"]["text"] <= 40 * 1024
    for name, entry in model["backends"].items():
        rows = [row["instructions"][name] for row in model["layers"] if not row["dense"]]
        assert entry["sum"] == sum(rows)
        for cost_of in entry["frames"].values():
            # What belongs to no stage: calling the engine, choosing the next row
            between = cost_of["engine"] - cost_of["intake"] - entry["sum"]
            assert 0 < between < 20_000
            assert cost_of["frame"] > cost_of["engine"]
    dsp, portable = (model["backends"][name]["sum"] for name in ("dsp", "portable"))
    assert dsp < portable


def test_table(firmware, small):
    text = run("--model", small)
    assert max(map(len, text.splitlines())) <= 100
    assert "dsp = portable: 0 of " in text
    if shutil.which("llvm-mca") and shutil.which("llvm-objdump"):
        assert "M MAC" in text and ", cycles" in text and "cycles by llvm-mca" in text
        assert "more where weights lie unaligned, estimated" in text
        assert "more for line fills of flash, estimated" in text
        kinds = text[text.index("160x120 RGB565: where cycles go") :].splitlines()[1:]
        shares = [float(line.split("%")[0][-6:]) for line in kinds if "%" in line]
        assert sum(shares) == pytest.approx(100, abs=1)
    else:
        assert "no estimate of cycles: llvm-" in text


@pytest.mark.skipif(not shutil.which("llvm-objdump"), reason="llvm-objdump is not installed")
def test_published_times_stand_beside_ours(firmware):
    text = run("--nets", "mlperf")
    for net in ("vww: 7.49", "resnet8: 12.50", "mcunet-in0: 6.36", "mcunet-in1: 12.79"):
        assert f"{net} M MAC" in text
    for line in ("6.67 M  measured: STMicro", "24.48 M  measured: MIT HAN Lab TinyEngine"):
        assert line in text
    assert text.count("estimated: this engine") == len(mlperf.NETS)


@pytest.mark.parametrize(
    "name, macs, weights",  # as published: github.com/mit-han-lab/mcunet, Model List
    [("mcunet-in0", 6.4, 0.75), ("mcunet-in1", 12.8, 0.64), ("mcunet-vww1", 11.6, 0.43)],
)
def test_mcunet_is_what_was_published(name, macs, weights):
    graph = mlperf.NETS[name]()
    stored = sum(layer.weights.size for layer in graph.layers if hasattr(layer, "weights"))
    assert round(sum(graph.macs().values()) / 1e6, 1) == macs
    assert stored / 1e6 == pytest.approx(weights, abs=0.02)


def test_every_net_has_published_times():
    table = json.loads(bench.PUBLISHED.read_text())
    assert table.keys() - {"about"} == mlperf.NETS.keys()
    for rows in (table[name] for name in mlperf.NETS):
        assert all(row.keys() == {"who", "software", "version", "core", "cycles"} for row in rows)


@pytest.mark.parametrize("more", [["--model", "mine.tvlm"], ["--marks"], ["--calibrate"]])
def test_a_run_does_one_thing(capsys, more):
    with pytest.raises(SystemExit) as stop:
        bench.main(["--nets", "mlperf", *more])
    assert stop.value.code == 2 and "are for one run each" in capsys.readouterr().err


def test_what_a_line_of_flash_takes_stands_beside_a_frame(firmware, small):
    """As many lines as the weights fill at least, and layers say which."""
    report = json.loads(run("--model", small, "--json"))
    if report["no_cycles"]:
        pytest.skip(report["no_cycles"])
    (model,) = report["models"]
    stored = sum(x.weights.size for x in tvlm.load(small).graph.layers if hasattr(x, "weights"))
    for backend, entry in model["backends"].items():
        sums = sum(row["lines"][backend] for row in model["layers"] if not row["dense"])
        for cost_of in entry["frames"].values():
            flash = sum(cost_of["lines"][kind] for kind in ("code", "constants", "files"))
            assert cost_of["line_fills"] == 18 * flash
            assert cost_of["qspi"] == (384 - 18) * cost_of["lines"]["files"]
            assert flash > sums > stored / 2 / 32  # a dense map has half of them
        assert entry["detect"] > entry["frames"][marks.CAMERA]["cycles"]
        assert entry["inner"] > 0.49 or backend == "portable"


def made_up(value):
    """A report in which every figure of the marks is about this much."""
    layers = [
        {"op": "conv", "in": [96, 96, 3], "out": [48, 48, 16]},
        {"op": "conv", "in": [48, 48, 8], "out": [48, 48, 48]},
    ]
    for row in layers:
        row["cycles"] = {"dsp": value * row["out"][0] * row["out"][1] * row["out"][2]}
    names = ("base", "large", "mobilenet_like", "vww", "resnet8", "dscnn", "autoencoder")
    frame = {marks.CAMERA: {"cycles": value * 1e6}}
    entry = {"cycles": value * 1e6, "inner": value, "detect": value * 1.2e6, "frames": frame}
    one = {"macs": 1e6, "layers": layers, "backends": {"dsp": entry}}
    return {"models": [one | {"name": name} for name in names]}


@pytest.mark.parametrize(
    "value, reached",
    [
        (0.3, {"aim", "must"}),
        (1.0, {"aim", "no"}),
        (6.2, {"aim", "no", "must"}),
        (99, {"aim", "no"}),
    ],
)
def test_marks_say_what_is_reached(value, reached):
    head, *rows = marks.rows(made_up(value))
    assert head == ["figure", "now", "must", "aim", "reached"]
    assert {row[-1] for row in rows} == reached
    assert rows[-1][1:] == ["20 % more", "35 % more", "20 % more", "aim"]
    assert "no" not in {row[-1] for row in rows} or value > 0.3


@pytest.mark.parametrize("loop", calibration.LOOPS, ids=lambda loop: loop.what)
def test_the_model_says_what_was_timed_or_why_not(loop):
    assert (loop.model == loop.timed) == (not loop.left_out)


def test_calibration_has_cmsis_nn_where_the_firmware_has_it():
    entry = {"cycles": 40_000_000}
    row = {"lines": {"cmsis-nn": 50_000}, "ram_lines": {"cmsis-nn": 90_000}, "dense": False}
    result = {"name": "mcunet-in1", "backends": {"cmsis-nn": entry}, "layers": [row] * 2}
    text = calibration.show([result], {"mcunet-in1": 49_440_000})
    assert "mcunet-in1     CMSIS-NN, this run    103 ms   1.24       1.13" in text
    assert "make board CMSIS_NN=/prefix" in calibration.show([], {})


@pytest.mark.parametrize("what", [[], ["--calibrate"]])
def test_no_firmware(tmp_path, what):
    command = [*BENCH, *what, "--firmware", tmp_path / "x.elf"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "make board" in done.stderr


@pytest.mark.skipif(not shutil.which("llvm-mca"), reason="llvm-mca is not installed")
def test_cycles_of_blocks():
    one_by_one = ("smlad r0, r1, r2, r0",) * 8  # each needs the result of the one before
    independent = tuple(f"add r{i}, r{i}, r8" for i in range(8))  # two a cycle
    several = ("ldm r0, {r1, r2, r3, r4}",)
    found, refused = cycles._mca([one_by_one, independent, several])
    assert refused is None
    assert found[0] >= 8 and found[1] == pytest.approx(4, abs=0.1)
    assert cycles._more_accesses(several[0]) == 1
    assert cycles._mca([independent, ("nonsense r0",)]) == ([], {1})


def test_an_embedding_is_cut_though_the_map_takes_its_place(firmware, tmp_path):
    """A later layer that reads what lies there then does not read the embedding."""
    build = Builder(16, seed=2)
    build.conv(8, 3, 2)
    build.conv(64)
    build.depthwise()
    build.thin()
    build.conv(64)
    graph = build.finish(256, dense=True)
    graph.layers = sorted(graph.layers, key=lambda x: graph.is_dense(x.name))  # as training does
    made = plan.plan(graph)
    there = made.refs[graph.layer(graph.dense).src].offset
    made.refs[graph.embedding] = dataclasses.replace(made.refs[graph.embedding], offset=there)
    data = tvlm.to_bytes(graph, made)
    files = count.frames() | {"net.tvlm": data, "net.tvp": count.vocabulary(data, 256)}
    counts = []
    with count.Session(firmware, tmp_path / "files", files) as session:
        session.exec("open_encoder('net', 'dsp'); frame0 = read('frame0')")
        for dim in (16, 256):
            call = f"core.embed, {count.frame(0)}, bytearray({dim})"
            counts.append(session.eval(f"virt.count({call})"))
    few, every = counts
    print(f"{few} instructions for 16 numbers, {every} for 256")
    assert every - few > 240 * 64 / 2  # the weights that are not read, two at a time


def test_cost_model(firmware):
    """Within 6 % on nets that it was not fitted on."""
    if not shutil.which("llvm-objdump"):
        pytest.skip("llvm-objdump is not installed")
    nets = {f"n{seed}": samples.varied(seed, 64) for seed in range(100, 104)}
    nets |= {f"n{seed}": samples.varied(seed) for seed in range(104, 106)}
    nets |= {f"n{seed}": samples.varied(seed, 72, kernels=(5, 3, 7)) for seed in range(106, 109)}
    encoders = {name: tvlm.to_bytes(graph) for name, graph in nets.items()}
    for result in count.run(encoders, brief=True)["models"]:
        encoder = tvlm.load(encoders[result["name"]])
        measured = result["backends"]["dsp"]["cycles"]
        predicted = cost.cycles(encoder.graph, encoder.plan)
        print(f"{result['name']}: {measured} measured, {predicted / measured - 1:+.1%} predicted")
        assert predicted == pytest.approx(measured, rel=0.06)
        assert cost.arena(encoder.graph, encoder.plan) == result["arena"]


def test_marks_without_an_estimate(monkeypatch, capsys):
    """As where LLVM is not installed: a sentence, and `make bench` goes on."""
    report = {"models": [], "no_cycles": "llvm-objdump is not installed"}
    monkeypatch.setattr(bench, "run", lambda *_: report)
    assert bench.main(["--marks"]) == 0
    assert capsys.readouterr().out == "no estimate of cycles: llvm-objdump is not installed\n"
