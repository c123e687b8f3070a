# SPDX-License-Identifier: MIT
"""The exported `.tflite` in LiteRT's reference interpreter equals numpy to the last bit."""

import nets
import numpy as np
import pytest

import tinyvlm
from tinyvlm import export
from tinyvlm.net import intake, reference, tflite, tvlm
from tinyvlm.net.graph import Graph
from tinyvlm.shipped import DATA
from tinyvlm.virtual.photos import photos

litert = pytest.importorskip("ai_edge_litert.interpreter")


def run_litert(data: bytes, image: np.ndarray) -> list[np.ndarray]:
    """Outputs of the model. Never the default interpreter: XNNPACK rounds once, not twice."""
    interpreter = litert.Interpreter(
        model_content=data, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"])[0] for d in interpreter.get_output_details()]


def compare(graph: Graph, image: np.ndarray) -> tuple[int, int]:
    """(numbers that differ, numbers) over the embedding and the dense map."""
    names = [graph.embedding] + ([graph.dense] if graph.dense else [])
    got = run_litert(tflite.to_bytes(graph, bool(graph.dense)), image)
    want = reference.run(graph, image)
    wrong = 0
    for name, output in zip(names, got, strict=True):
        assert output.shape == want[name].shape and output.dtype == np.int8
        wrong += int((output != want[name]).sum())
    return wrong, sum(output.size for output in got)


def test_random_nets():
    wrong = total = 0
    for seed in range(80):
        graph = nets.random_graph(seed)
        for image in range(2):
            bad, count = compare(graph, nets.random_image(graph, 1000 * image + seed))
            wrong, total = wrong + bad, total + count
    print(f"LiteRT BUILTIN_REF, 80 random nets: {wrong} of {total} differ")
    assert wrong == 0


REAL = [(nets.base_like, 96), (nets.mobilenet_like, 64), (nets.max78000_like, 96)]


@pytest.mark.parametrize(("make", "size"), REAL)
def test_real_shapes(make, size):
    graph = make(size)
    wrong, total = compare(graph, nets.random_image(graph, 5))
    print(f"LiteRT BUILTIN_REF, {make.__name__}({size}): {wrong} of {total} differ")
    assert wrong == 0


def test_weights_that_the_map_shares_are_stored_once():
    graph = tvlm.read(DATA / "base.tvlm")
    plain, dense = (len(tflite.to_bytes(graph, more)) for more in (False, True))
    print(f"{plain} bytes, {dense} with the map")
    assert dense < plain + graph.layer(graph.embedding).weights.size / 2


def test_the_encoder_that_ships_on_real_photos(tmp_path):
    """numpy = the C engine = LiteRT on every photo, embedding and dense map."""
    graph = tvlm.read(DATA / "base.tvlm")
    size = graph.input_shape[0]
    wrong = total = 0
    for photo in photos():
        frame = tinyvlm.to_frame(photo.image())
        image = intake.frame_to_input(
            frame.buffer, frame.width, frame.height, frame.format, frame.stride, size
        )
        bad, count = compare(graph, image)
        want = reference.run(graph, image)[graph.embedding].reshape(-1)
        bad += int((np.array(tinyvlm.embed(frame), np.int8) != want).sum())
        wrong, total = wrong + bad, total + count + want.size
    print(f"numpy = C engine = LiteRT BUILTIN_REF, real photos: {wrong} of {total} differ")
    assert wrong == 0


def test_every_tensor_of_one_net():
    """Not only the outputs: a net cut off after each layer."""
    graph = nets.random_graph(30)
    image = nets.random_image(graph, 2)
    want = reference.run(graph, image, dense=False)
    layers = [layer for layer in graph.layers if not getattr(layer, "dense", False)]
    for i, layer in enumerate(layers):
        part = Graph(graph.input_shape, graph.input, layers[: i + 1], layer.name)
        (got,) = run_litert(tflite.to_bytes(part), image)
        assert np.array_equal(got, want[layer.name]), layer.name


def test_command(tmp_path, capsys):
    graph = nets.random_graph(5, dense=False)
    model, out = tmp_path / "net.tvlm", tmp_path / "net.tflite"
    tvlm.write(graph, model)
    assert export.main([str(model), "--tflite", str(out)]) == 0
    assert "RGB as pixel - 128" in capsys.readouterr().out
    image = nets.random_image(graph)
    assert np.array_equal(
        run_litert(out.read_bytes(), image)[0].ravel(), reference.embed(graph, image)
    )
    assert export.main([str(model), "--tflite", str(out), "--dense"]) == 1
    assert "no dense map" in capsys.readouterr().err
    assert export.main([str(tmp_path / "none.tvlm"), "--tflite", str(out)]) == 1
