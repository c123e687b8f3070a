# SPDX-License-Identifier: MIT
"""int8: torch computes what the engine computes, and fine-tunes what is then exported."""

import dataclasses
import json

import nets
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import _tinyvlm  # noqa: E402
import stripes  # noqa: E402
from tars import write  # noqa: E402

from tinyvlm.net import reference, samples, tvlm  # noqa: E402
from tinyvlm.net.graph import Conv, Quant  # noqa: E402
from tinyvlm.train import (  # noqa: E402
    average,
    checkpoint,
    distributed,
    export,
    integer,
    main,
    quantize,
)
from tinyvlm.train.config import DIMS, read  # noqa: E402
from tinyvlm.train.student import Student, to_input  # noqa: E402
from tinyvlm.words.space import load_space  # noqa: E402


def by_the_engine(graph, images):
    """int8 (n, dim) by the C engine; images int8 as pixel - 128."""
    engine = _tinyvlm.Encoder(tvlm.to_bytes(graph))
    height, width, _ = graph.input_shape
    out = np.empty((len(images), engine.dim), np.int8)
    for image, row in zip(images, out, strict=True):
        frame = (image.astype(np.int16) + 128).astype(np.uint8).tobytes()
        engine.embed(frame, width, height, _tinyvlm.RGB888, 0, row)
    return out


# -- the arithmetic ------------------------------------------------------------------------------


def test_random_nets_as_the_reference():
    wrong = total = 0
    for seed in range(40):
        graph = nets.random_graph(seed)
        images = np.stack([samples.random_image(graph, i) for i in range(4)])
        want = reference.run(graph, images)
        got = integer.run(graph, torch.from_numpy(images), everything=True)
        assert want.keys() == got.keys()
        wrong += sum(int((got[name].numpy() != want[name]).sum()) for name in want)
        total += sum(tensor.size for tensor in want.values())
    print(f"torch and numpy: {wrong} of {total} numbers differ")
    assert wrong == 0


@pytest.mark.parametrize(
    "make", [samples.base_like, samples.max78000_like, samples.mobilenet_like]
)
def test_whole_nets_as_the_engine(make):
    graph = make(64, dense=False)
    images = np.stack([samples.random_image(graph, i) for i in range(6)])
    got = integer.run(graph, torch.from_numpy(images)).numpy()
    assert np.array_equal(got, reference.embed(graph, images))
    assert np.array_equal(got, by_the_engine(graph, images))


def test_both_ways_to_requantize_are_the_reference():
    """Through float64, also of accumulators that surely saturate, and through int64."""
    rng = np.random.default_rng(1)
    edges = [0, 1, -1, 2, -2, 3, -3, (1 << 21) - 1, 1 - (1 << 21), 1 << 12, -(1 << 12)]
    acc = np.concatenate([np.array(edges), rng.integers(-(1 << 21), 1 << 21, 5000)])
    acc = acc[:, None] >> rng.integers(0, 21, (len(acc), 22))
    mult = rng.integers(1 << 30, 1 << 31, 22)
    mult[:3] = 1 << 30, (1 << 31) - 1, (1 << 31) - (1 << 7)
    shift, bias = np.arange(1, 23), rng.integers(-999, 999, 22)
    want = np.clip(reference.scaled(acc + bias, mult, shift), -100, 155)
    x = torch.from_numpy(acc).float()[:, :, None, None]
    large = [1 << 22, -(1 << 22), (1 << 24) - 1, 1 - (1 << 24)]
    for by_float in (True, False):
        args = list(map(torch.from_numpy, (bias.astype(float), mult, shift)))
        got = integer.Requantize.apply(x, *args, -100, 155, by_float)
        assert np.array_equal(got[:, :, 0, 0].numpy(), want), by_float
        args, x_large = [a[:12] for a in args], torch.tensor(large)[:, None].expand(4, 12).float()
        got = integer.Requantize.apply(x_large[:, :, None, None], *args, -100, 155, by_float)
        assert (got[:, :, 0, 0] == torch.tensor([[155.0], [-100], [155], [-100]])).all()


def test_gradients_go_straight_through():
    """The gradient is that of the real function; saturated numbers have none."""
    q = Quant(0.5, 0)
    x = torch.tensor([10.0, 20.0, 30.0, 90.0]).view(1, 4, 1, 1).requires_grad_()
    w = torch.diag(torch.tensor([3.0, -5.0, 7.0, 127.0])).view(4, 4, 1, 1).requires_grad_()
    bias = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    scale = np.full(4, 0.125, np.float32)
    y = integer.conv(x, w, bias, scale, q, q, relu=True)
    assert y.flatten().tolist() == [4, 0, 27, 127]  # (3 * 10 + 1) / 8, ReLU, ..., saturated
    y.sum().backward()
    assert bias.grad.tolist() == [0.125, 0, 0.125, 0]
    assert x.grad.flatten().tolist() == [0.375, 0, 0.875, 0]
    assert w.grad[2].flatten().tolist() == [1.25, 2.5, 3.75, 11.25]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU of the CUDA kind here")
@pytest.mark.parametrize("make", [samples.base_like, samples.max78000_like])
def test_a_gpu_computes_the_same(make):
    graph = make(64, dense=True)
    images = torch.from_numpy(np.stack([samples.random_image(graph, i) for i in range(6)]))
    want = integer.run(graph, images, everything=True)
    got = integer.run(graph, images.cuda(), everything=True)
    assert all(torch.equal(got[name].cpu(), want[name]) for name in want)


def test_other_images_are_refused():
    graph = nets.random_graph(3, size=9)
    with pytest.raises(ValueError, match=r"int8 \(n, 9, 9, 3\)"):
        integer.run(graph, torch.zeros((2, 9, 9, 3), dtype=torch.uint8))


# -- from a student to a graph -------------------------------------------------------------------


def student(model):
    """A student with batch norm statistics of random blocks of colour, and such images."""
    torch.manual_seed(1)
    name, _, thin = model.partition(", ")
    config = read(name, "--model")["student"]
    if thin:  # its last block has a residual sum
        last = dataclasses.replace(config.blocks[-1], out=32)
        config = dataclasses.replace(config, thin=True, blocks=(*config.blocks[:-1], last))
    net = Student(config).to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (24, config.size // 8, config.size // 8, 3), dtype=torch.uint8)
    images = images.repeat_interleave(8, 1).repeat_interleave(8, 2)
    with torch.no_grad():
        for bn in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            bn.weight.uniform_(0.5, 2)
            bn.bias.normal_(0, 0.5)
            bn.momentum = 0.5
        for _ in range(8):
            net(to_input(images))
    return net.eval(), images


def to_nodes(net, images):
    """Folded, equalized and calibrated nodes, and their grids."""
    nodes, batches = quantize.fold(net), list(images.split(12))
    quantize.equalize(nodes, batches)
    return nodes, quantize.calibrate(nodes, batches)


def test_a_residual_operand_is_not_evened_out():
    """It has two readers; what one of them undoes the other would not."""
    torch.manual_seed(3)

    def conv(name, src, into, out, **more):
        w = torch.rand(out, into, 1, 1) * torch.logspace(-2, 0, out)[:, None, None, None]
        return quantize.Node(name, "conv", src, w=torch.nn.Parameter(w),
                             b=torch.nn.Parameter(torch.rand(out)), **more)  # fmt: skip

    nodes = [
        conv("a", "input", 3, 8, relu=True),
        conv("b", "a", 8, 8, relu=True),
        conv("c", "b", 8, 8),
        quantize.Node("sum", "add", "c", "a"),
        conv("d", "sum", 8, 4),
    ]
    images = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    before, weights = quantize.run(nodes, to_input(images)), [n.w.clone() for n in nodes[:2]]
    quantize.equalize(nodes, [images])
    assert torch.allclose(quantize.run(nodes, to_input(images)), before, rtol=1e-4)
    assert torch.equal(nodes[0].w, weights[0]) and not torch.equal(nodes[1].w, weights[1])


def test_a_silent_channel_is_left_alone():
    """However often a file is trained on and exported, its weights do not outgrow their grid."""
    net, images = student("smoke")
    with torch.no_grad():
        norm = net.blocks[1].depthwise.bn
        norm.bias[3] = -100 * norm.weight.abs().max()
    nodes = quantize.fold(net)
    (node,) = (n for n in nodes if n.name == "block1.depthwise")
    before = node.b.detach().clone()  # which no other layer's evening out changes
    quantize.equalize(nodes, [images])
    assert node.b[3] == before[3] and node.b[2] != before[2]


@pytest.mark.parametrize("model", ["smoke", "smoke, thin", "max78000"])
def test_fine_tuning_computes_what_is_exported(model):
    """Of random weights, and again after steps that moved all of them."""
    net, images = student(model)
    with torch.no_grad():
        want = net(to_input(images))
    nodes, quants = to_nodes(net, images)
    with torch.no_grad():  # folding and equalizing changed nothing
        assert torch.allclose(quantize.run(nodes, to_input(images)), want, atol=1e-4)
    params = [p for node in nodes for p in (node.w, node.b) if p is not None]
    optimizer = torch.optim.Adam(params, lr=1e-3)
    losses, wrong = [], 0
    for step in range(9):
        z = quantize.run_int8(nodes, images, quants)
        loss = 1 - torch.cosine_similarity(z, want.flip(1)).mean()  # far from what it gives
        losses.append(loss.item())
        if step in (0, 8):
            graph = quantize.to_graph(nodes, quants, net.config.size, {})
            pixels = (images ^ 128).view(torch.int8)
            z = (z.detach() / quants[quantize.EMBEDDING].scale).round().numpy()
            assert np.array_equal(z, integer.run(graph, pixels).numpy())
            wrong += int((z != by_the_engine(graph, pixels.numpy())).sum())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in params)
        optimizer.step()
    print(f"fine-tuning and engine: {wrong} of {2 * z.size} numbers differ")
    assert wrong == 0
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("model", ["smoke", "smoke, thin", "max78000"])
def test_int8_is_close_to_float(model):
    net, images = student(model)
    with torch.no_grad():
        want = net(to_input(images))
    nodes, quants = to_nodes(net, images)
    got = quantize.run_int8(nodes, images, quants)
    assert torch.cosine_similarity(got, want).min() > 0.99


def test_a_thin_students_map_has_the_cells_that_its_embedding_leaves_out():
    net, images = student("smoke, thin")
    nodes, quants = to_nodes(net, images)
    graph = quantize.to_graph(nodes, quants, net.config.size, {})
    of = integer.run(graph, (images ^ 128).view(torch.int8), everything=True)
    assert of["map"].shape[1:3] == (6, 6) and of["last"].shape[1:3] == (3, 3)
    assert torch.equal(of["map.last"][:, ::2, ::2], of["last"])
    data = tvlm.to_bytes(graph)
    others = [x for x in graph.layers if not graph.is_dense(x.name)]
    alone = dataclasses.replace(graph, layers=others, dense=None)
    records = (len(graph.layers) - len(others)) * (72 + 1 + 32)  # weights lie there once,
    assert len(data) < len(tvlm.to_bytes(alone)) + records + 9 * 256  # of tables the map's twice
    got = _tinyvlm.Encoder(data)
    out, cells = np.empty(256, np.int8), np.empty((6, 6, 256), np.int8)
    got.embed_map(images[0].numpy().tobytes(), 48, 48, _tinyvlm.RGB888, 0, out, cells)
    assert np.array_equal(cells, of["map"][0].numpy())
    assert np.array_equal(out, of["embedding"][0].numpy().ravel())


def test_the_accelerators_graph_has_only_what_it_computes():
    net, images = student("max78000")
    graph = quantize.to_graph(*to_nodes(net, images), 96, {})
    for layer in graph.layers:
        if not isinstance(layer, Conv) or layer.name in (quantize.EMBEDDING, quantize.DENSE):
            continue
        assert layer.relu and layer.stride == 1 and layer.out == Quant(1 / 128, 0)
        assert not (layer.bias % 128).any() and abs(layer.bias // 128).max() <= 127
        mult, shift = reference.conv_multipliers(1 / 128, layer.weight_scale, 1 / 128)
        assert set(mult.tolist()) == {(1 << 31) - (1 << 7)} and len(set(shift.tolist())) == 1


def test_weights_that_outgrow_their_grid_are_named():
    net, images = student("smoke")
    nodes, quants = to_nodes(net, images)
    nodes[2].w.data *= 1e4
    with pytest.raises(ValueError, match=r"layer block0\.project: its weights are too large"):
        quantize.run_int8(nodes, images, quants)


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of a few steps on striped pictures, with shards and text vectors."""
    folder = tmp_path_factory.mktemp("quantize")
    rng = np.random.default_rng(0)
    write(folder / "stripes-000.tar", stripes.samples(240, rng))
    stripes.text_table(folder / "clip.npz", rng)
    main.main(
        f"--config smoke --train-data {folder}/stripes-000.tar --text-vectors {folder}/clip.npz "
        f"--logs {folder} --name run --epochs 2 --device cpu".split()
    )
    return folder / "run"


def test_a_run_becomes_a_file(run, tmp_path, capsys):
    out = tmp_path / "stripes.tvlm"
    argv = f"--run {run} --out {out} --qat-steps 6 --calibration-images 64".split()
    assert main.main(["export", *argv]) == 0
    assert f"{out.stat().st_size} bytes" in capsys.readouterr().out
    encoder, report = tvlm.load(out), json.loads((run / "report.json").read_text())
    info = encoder.graph.info
    assert info["name"] == "stripes" and {int(k) for k in info["logit_scale"]} == {*DIMS}
    assert info["text_space"] == report["text_space"]
    assert info["text_space"] == load_space(tmp_path / "stripes.space.npz").name
    assert _tinyvlm.Encoder(out.read_bytes()).selftest()
    assert report["data_sets"] == {"stripes": report["images"]} and report["images"] < 180
    assert report["file_bytes"] == encoder.size
    assert report["arena_bytes"] == encoder.plan.arena_size
    assert report["validation"].keys() == {"float", "int8", "fine-tuned"}
    rows = [json.loads(line) for line in (run / "qat.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 6 and np.isfinite(rows[-1]["loss"])


def test_every_class_has_the_same_share_of_the_mean():
    label = torch.tensor([3, 3, -1, 1, 3, 3])
    assert export.shares(label).tolist() == [0.125, 0.125, 0, 0.5, 0.125, 0.125]
    assert export.shares(torch.tensor([-1, -1])).tolist() == [0.5, 0.5]
    head = torch.zeros(1)
    images = [torch.tensor([[1.0], [1]]), torch.tensor([[9.0], [5]]), torch.tensor([[1.0], [1]])]
    export.centre(lambda x: x, images, export.shares(label), head, 0.5)
    assert head.tolist() == [-0.5 * (1 + 5) / 2]


def test_weights_on_the_way_from_where_a_run_began(run, tmp_path):
    options = checkpoint.load(run).config
    main.main(
        f"--config smoke --train-data {options.train_data} --text-vectors {options.text_vectors} "
        f"--logs {tmp_path} --name more --init {run} --epochs 1 --lr 0.05 --device cpu".split()
    )
    first, last = (checkpoint.load(where).model.state_dict() for where in (run, tmp_path / "more"))
    for part in (0.0, 0.25, 1.0):
        point = checkpoint.load(tmp_path / "more")
        data = export.load_data(point, point.config)
        average.between(point.model, point.config, data.loss.space(), None, part)
        for key, value in point.model.state_dict().items():
            if value.is_floating_point():
                want = (1 - part) * first[key] + part * last[key]
                assert torch.allclose(value, want, atol=1e-5), key
    assert not torch.equal(first["head.weight"], last["head.weight"])


def test_the_integers_are_not_left_to_a_gpu_without_float64(run, monkeypatch):
    asked = []

    def join(device):
        asked.append(device)
        return distributed.World(0, 1, torch.device("cpu" if device == "cpu" else "mps"))

    monkeypatch.setattr(export, "join", join)
    point = checkpoint.load(run)
    config = dataclasses.replace(point.config, device="auto")
    assert export.load_data(point, config).world.device.type == "cpu"
    assert asked == ["auto", "cpu"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--run nowhere", "--run nowhere: no checkpoint in there"),
        ("--out model.bin", "--out model.bin: name a file that ends in .tvlm"),
        ("--out nowhere/model.tvlm", "in a folder that exists"),
        ("--qat-steps -1", "--qat-steps must not be negative"),
        ("--centre 2", "--centre, --equalize and --part must be between 0 and 1"),
        ("--part 0.5", "--part 0.5: this run has no --init, there is no way to go back on"),
        ("--train-data nothing.tar", "--train-data: no shard matches 'nothing.tar'"),
    ],
)
def test_mistakes_get_one_sentence(run, tmp_path, capsys, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        export.main([*f"--run {run} --out model.tvlm".split(), *options.split()])
    assert sentence in " ".join(f"{capsys.readouterr().err} {stop.value}".split())
