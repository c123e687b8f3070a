# SPDX-License-Identifier: MIT
"""Export of a graph as an int8 `.tflite`, for OpenMV's `ml.Model`, TFLite Micro and LiteRT.

CONV_2D, DEPTHWISE_CONV_2D, ADD, AVERAGE_POOL_2D and SPACE_TO_DEPTH, SAME padding, per-channel
weights. The
projection head stays a 1x1 convolution: FULLY_CONNECTED rounds differently in LiteRT. The result
equals `reference.py` to the last bit in interpreters that round twice: TFLite Micro,
CMSIS-NN and LiteRT's `OpResolverType.BUILTIN_REF`; LiteRT's default (XNNPACK) is off by one in
0.1-3 % of the outputs.

Input: int8 (1, H, W, 3), pixel - 128. Output: int8 (1, 1, 1, dim), and with `dense` a second one.
The schema classes come from the package ai-edge-litert.

Behind the flatbuffer, where its readers do not look, stands a footer that says which encoder it
is (docs/format.md): the boards compare it with a vocabulary's, without a flatbuffer library.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from . import tvlm
from .graph import INPUT, Add, AvgPool, Conv, Depthwise, Graph, Layer, Quant, SpaceToDepth, window
from .reference import TEST_SEED, embed, known_image

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"


def _schema():
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        raise ImportError(
            "writing .tflite needs the package ai-edge-litert; "
            "install it with: pip install ai-edge-litert"
        ) from None
    return schema


class _Writer:
    """Collects tensors, buffers and operators of one subgraph."""

    def __init__(self, graph: Graph) -> None:
        self.s = _schema()
        self.graph, self.shapes = graph, graph.shapes()
        self.buffers = [self.s.BufferT()]  # index 0 stands for "no data"
        self.known: dict[bytes, int] = {}  # the map has weights of the embedding: stored once
        self.tensors, self.operators, self.codes = [], [], []
        self.index = {INPUT: self.activation(INPUT)}

    def tensor(self, name: str, shape: tuple[int, ...], kind: int, data=None, **quant) -> int:
        t = self.s.TensorT()
        t.name, t.shape, t.type, t.buffer = name, list(shape), kind, 0
        t.quantization = self.s.QuantizationParametersT()
        t.quantization.scale = np.asarray(quant["scale"], np.float32)
        t.quantization.zeroPoint = np.asarray(quant["zero_point"], np.int64)
        t.quantization.quantizedDimension = quant.get("axis", 0)
        if data is not None:
            t.buffer = self.buffer(np.ascontiguousarray(data).tobytes())
        self.tensors.append(t)
        return len(self.tensors) - 1

    def buffer(self, data: bytes) -> int:
        """Index of the buffer that holds these bytes, added when they are new."""
        if data not in self.known:
            buffer = self.s.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.known[data] = len(self.buffers)
            self.buffers.append(buffer)
        return self.known[data]

    def activation(self, name: str) -> int:
        quant = self.graph.quant(name)
        shape = (1, *self.shapes[name])
        scales = {"scale": [quant.scale], "zero_point": [quant.zero_point]}
        return self.tensor(name, shape, self.s.TensorType.INT8, **scales)

    def weights(self, layer: Conv | Depthwise, source: Quant) -> list[int]:
        """Indices of the weights and the bias. The bias is the raw one: TFLite does not fold."""
        count, zeros = len(layer.weights), np.zeros(len(layer.weights), np.int64)
        scale = np.asarray(layer.weight_scale, np.float32)
        if isinstance(layer, Conv):
            data, axis = layer.weights, 0
        else:
            data, axis = layer.weights.transpose(1, 2, 0)[None], 3  # (1, k, k, c)
        weights = self.tensor(
            f"{layer.name}/weights", data.shape, self.s.TensorType.INT8, data,
            scale=scale, zero_point=zeros, axis=axis,
        )  # fmt: skip
        bias = self.tensor(
            f"{layer.name}/bias", (count,), self.s.TensorType.INT32, layer.bias.astype("<i4"),
            scale=np.float32(source.scale) * scale, zero_point=zeros,
        )  # fmt: skip
        return [weights, bias]

    def code(self, builtin: int, version: int) -> int:
        """Index of the operator code, added when it is new."""
        for i, known in enumerate(self.codes):
            if known.builtinCode == builtin:
                return i
        code = self.s.OperatorCodeT()
        code.builtinCode, code.version = builtin, version
        # all these operators are older than code 127: the field of old readers holds them, too
        code.deprecatedBuiltinCode = builtin
        self.codes.append(code)
        return len(self.codes) - 1

    def layer(self, layer: Layer) -> None:
        s, ops = self.s, self.s.BuiltinOperator
        inputs = [self.index[layer.src]]
        relu = s.ActivationFunctionType.RELU
        activation = relu if getattr(layer, "relu", False) else s.ActivationFunctionType.NONE
        if isinstance(layer, Add):
            inputs.append(self.index[layer.src2])
            options, kind, code = s.AddOptionsT(), "AddOptions", self.code(ops.ADD, 2)
        elif isinstance(layer, AvgPool):
            options, kind = s.Pool2DOptionsT(), "Pool2DOptions"
            code = self.code(ops.AVERAGE_POOL_2D, 2)
            height, width = self.shapes[layer.src][:2]
            seen = window(layer, height, width)
            options.filterHeight = min(seen.kernel, height)
            options.filterWidth = min(seen.kernel, width)
            options.strideH = options.strideW = seen.stride
            options.padding = s.Padding.VALID
        elif isinstance(layer, SpaceToDepth):
            options, kind = s.SpaceToDepthOptionsT(), "SpaceToDepthOptions"
            code = self.code(ops.SPACE_TO_DEPTH, 2)
            options.blockSize = layer.block
        else:
            inputs += self.weights(layer, self.graph.quant(layer.src))
            if isinstance(layer, Conv):
                options, kind = s.Conv2DOptionsT(), "Conv2DOptions"
                code = self.code(ops.CONV_2D, 3)
            else:
                options, kind = s.DepthwiseConv2DOptionsT(), "DepthwiseConv2DOptions"
                code = self.code(ops.DEPTHWISE_CONV_2D, 3)
                options.depthMultiplier = 1
            options.padding = s.Padding.SAME
            options.strideH = options.strideW = layer.stride
            options.dilationHFactor = options.dilationWFactor = 1
        if not isinstance(layer, SpaceToDepth):
            options.fusedActivationFunction = activation
        self.index[layer.name] = self.activation(layer.name)
        operator = s.OperatorT()
        operator.opcodeIndex, operator.inputs = code, inputs
        operator.outputs = [self.index[layer.name]]
        operator.builtinOptionsType = getattr(s.BuiltinOptions, kind)
        operator.builtinOptions = options
        self.operators.append(operator)

    def finish(self, outputs: list[str]) -> bytes:
        import flatbuffers  # comes with ai-edge-litert

        s = self.s
        subgraph = s.SubGraphT()
        subgraph.name = str(self.graph.info.get("name", "tinyvlm"))
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs = [self.index[INPUT]]
        subgraph.outputs = [self.index[name] for name in outputs]
        model = s.ModelT()
        model.version, model.description = SCHEMA_VERSION, "tinyvlm image encoder"
        model.operatorCodes, model.buffers, model.subgraphs = self.codes, self.buffers, [subgraph]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


def footer(graph: Graph) -> bytes:
    """JSON with fingerprint, macs, info and the known answer; its size, u32; the letters TVLM."""
    answer = embed(graph, known_image(graph.input_shape)).tobytes().hex()
    about = {
        "fingerprint": tvlm.fingerprint(graph).hex(),
        "macs": sum(graph.macs().values()),
        "info": graph.info,
        "test": {"seed": TEST_SEED, "embedding": answer},
    }
    text = json.dumps(about, ensure_ascii=False).encode()
    return text + struct.pack("<I", len(text)) + b"TVLM"


def fingerprint(data: bytes) -> bytes | None:
    """Which encoder a .tflite is, by its footer; None for somebody else's, or a damaged one."""
    if data[-4:] != b"TVLM" or len(data) < 8:
        return None
    length = struct.unpack("<I", data[-8:-4])[0]
    try:
        return bytes.fromhex(json.loads(data[-8 - length : -8])["fingerprint"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def to_bytes(graph: Graph, dense: bool = False) -> bytes:
    """The `.tflite` as bytes. ImportError without ai-edge-litert, ValueError without a map."""
    if dense and graph.dense is None:
        raise ValueError("this encoder has no dense map; leave --dense out")
    writer = _Writer(graph)
    for layer in graph.layers:
        if dense or not graph.is_dense(layer.name):
            writer.layer(layer)
    return writer.finish([graph.embedding] + ([graph.dense] if dense else [])) + footer(graph)
