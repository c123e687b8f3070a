# SPDX-License-Identifier: MIT
"""A body from somebody else's .tflite computes what the file computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
skimage = pytest.importorskip("skimage.data")

import flatbuffers  # noqa: E402
import nets  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402
from PIL import Image  # noqa: E402

from tinyvlm.net import tflite  # noqa: E402
from tinyvlm.train import pretrained_chain, pretrained_mcunet  # noqa: E402
from tinyvlm.train.student import Student, to_input  # noqa: E402

FILE = Path(__file__).resolve().parents[2] / "shared/data/pretrained"
FILE /= "mcunet-512kb-2mb_imagenet.tflite"
ODD = 129  # a size at which their padding and ours are the same
EXPANDED = [0, 48, 120, 96, 120, 160, 160, 120, 240, 240, 320, 288, 288, 384, 576, 576, 768]


@pytest.fixture(scope="module")
def mcunet():
    """(path, shape, student with its weights)"""
    if not FILE.exists():
        pytest.skip(f"{FILE} is not here")
    config, state = pretrained_mcunet.load(FILE)
    model = Student(config).eval()
    left = model.load_state_dict(state, strict=False)
    assert set(left.missing_keys) == {"head.weight", "head.bias"} and not left.unexpected_keys
    return FILE, config, model


def photo(size: int) -> np.ndarray:
    """A cat, uint8 (size, size, 3)."""
    image = Image.fromarray(skimage.chelsea()).crop((75, 0, 375, 300))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def features(model: Student, image: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return model.features(to_input(torch.tensor(image)[None])).mean((2, 3))[0]


def by_litert(path: Path, image: np.ndarray) -> np.ndarray:
    """Pooled features of the file's own int8 net, at the image's size: the net up to its pool."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph, side = model.subgraphs[0], len(image)
    graph.operators = graph.operators[:-3]  # pool, classifier, reshape
    graph.outputs = graph.operators[-1].outputs
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    net = Interpreter(model_content=bytes(builder.Output()))
    index = net.get_input_details()[0]["index"]
    net.resize_tensor_input(index, (1, side, side, 3))
    net.allocate_tensors()
    net.set_tensor(index, (image.astype(np.int16) - 128).astype(np.int8)[None])
    net.invoke()
    out = net.get_output_details()[0]
    scale, zero = out["quantization"]
    return (net.get_tensor(out["index"]).astype(np.float32) - zero).mean((0, 1, 2)) * scale


def by_hand(path: Path, image: np.ndarray) -> np.ndarray:
    """The same of the dequantized net, operator by operator, with the file's own padding."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]

    def constant(index: int) -> torch.Tensor:
        t = graph.tensors[index]
        raw = model.buffers[t.buffer].data.tobytes()
        kind = np.int8 if t.type == schema.TensorType.INT8 else np.int32
        numbers = np.frombuffer(raw, kind).reshape(t.shape).astype(np.float64)
        if t.quantization.scale is not None:
            axis = [1] * numbers.ndim
            axis[t.quantization.quantizedDimension] = -1
            numbers = numbers * np.asarray(t.quantization.scale, np.float64).reshape(axis)
        return torch.from_numpy(numbers)

    quant = graph.tensors[graph.inputs[0]].quantization
    x = torch.tensor(image).double().permute(2, 0, 1)[None]
    real = {int(graph.inputs[0]): (x - 128 - float(quant.zeroPoint[0])) * float(quant.scale[0])}
    grey = (0.0 - float(quant.zeroPoint[0])) * float(quant.scale[0])  # what 128 stands for
    for op in graph.operators[:-3]:
        code = model.operatorCodes[op.opcodeIndex]
        code = max(code.builtinCode, code.deprecatedBuiltinCode)
        src, out = int(op.inputs[0]), int(op.outputs[0])
        if code == schema.BuiltinOperator.PAD:
            (_, _), (top, bottom), (left, right), _ = constant(int(op.inputs[1])).int().tolist()
            border = grey if src == int(graph.inputs[0]) else 0.0
            real[out] = F.pad(real[src], (left, right, top, bottom), value=border)
            continue
        if code == schema.BuiltinOperator.ADD:
            real[out] = real[src] + real[int(op.inputs[1])]
            continue
        w, b = (constant(int(i)) for i in op.inputs[1:])
        many = code == schema.BuiltinOperator.DEPTHWISE_CONV_2D
        w = w.permute(3, 0, 1, 2) if many else w.permute(0, 3, 1, 2)
        options = op.builtinOptions
        y = F.conv2d(real[src], w, b, options.strideH, groups=len(w) if many else 1)
        relu6 = options.fusedActivationFunction == schema.ActivationFunctionType.RELU6
        real[out] = y.clamp(0, 6) if relu6 else y
    return real[out].mean((0, 2, 3)).numpy()


def cosine(a, b) -> float:
    a, b = (np.asarray(v, np.float64) for v in (a, b))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_shape_of_mcunet(mcunet):
    _, config, _ = mcunet
    assert (config.size, config.stem, config.last, config.relu6) == (160, 32, 0, True)
    assert [b.expand for b in config.blocks] == EXPANDED
    assert [b.out for b in config.blocks if b.stride == 2] == [24, 40, 80, 192]
    assert [b.kernel for b in config.blocks] == [3, 7, 3, 5, 7, 3, 7, 7, 3, 7, 3, 5, 5, 7, 7, 5, 5]


def test_features_of_a_photo(mcunet):
    path, _, model = mcunet
    image = photo(ODD)
    got, want = features(model, image).numpy(), by_hand(path, image)
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
    assert cosine(got, by_litert(path, image)) > 0.98


def test_norms_that_know_the_statistics_of_photos(mcunet):
    _, _, model = mcunet
    image = photo(96)
    want = features(model, image)
    batch = to_input(torch.tensor(image)[None])
    pretrained_chain.settle(model, [batch])
    torch.testing.assert_close(features(model, image), want, atol=1e-3, rtol=1e-3)
    bn = model.blocks[3].depthwise.bn
    seen = []
    hook = bn.register_forward_hook(lambda _, x, y: seen.append(x[0].transpose(0, 1).flatten(1)))
    features(model, image)
    hook.remove()
    torch.testing.assert_close(bn.running_mean, seen[0].mean(1), atol=1e-3, rtol=1e-3)


def test_a_tflite_of_ours_comes_back(tmp_path):
    """ReLU instead of ReLU6, SAME padding, a last convolution; its head is left out."""
    graph = nets.base_like(64, dense=False)
    path = tmp_path / "own.tflite"
    path.write_bytes(tflite.to_bytes(graph))
    config, state = pretrained_mcunet.load(path)
    assert (config.size, config.stem, config.last, config.relu6) == (64, 16, 192, False)
    own = graph.layers[0]
    want = own.weights.transpose(0, 3, 1, 2) * own.weight_scale[:, None, None, None]
    np.testing.assert_allclose(state["stem.conv.weight"], want, rtol=1e-5)


def broken(data: bytes) -> dict[str, bytes]:
    return {"short": data[:100], "text": b"no model at all", "cut": data[: len(data) // 2]}


@pytest.mark.parametrize("how", ["short", "text", "cut"])
def test_no_tflite_is_one_sentence(tmp_path, how):
    path = tmp_path / "x.tflite"
    path.write_bytes(broken(tflite.to_bytes(nets.base_like(32, dense=False)))[how])
    with pytest.raises(ValueError, match=r"x\.tflite: .*tflite") as e:
        pretrained_mcunet.load(path)
    assert "\n" not in str(e.value)


def test_another_net_is_named(tmp_path):
    build = nets.Builder(32)
    build.conv(8, 3, 2)
    build.conv(16, 3, 1)
    path = tmp_path / "vgg.tflite"
    path.write_bytes(tflite.to_bytes(build.finish(16)))
    with pytest.raises(ValueError, match="layer conv_2d 1 is no global average pool"):
        pretrained_mcunet.load(path)
