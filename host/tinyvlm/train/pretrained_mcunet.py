# SPDX-License-Identifier: MIT
"""`--init mcunet:FILE.tflite`: the body of an image classifier that is at hand as a .tflite.

Made for MCUNet (Lin et al., arXiv 2007.10319; `mcunet-512kb-2mb_imagenet.tflite` of MIT HAN Lab),
it reads any inverted-residual classifier in int8 or float32: weights are dequantized, PAD layers
go into the convolutions, everything after the global average pool is left out.

Two things differ from the file.  *Padding*: MCUNet pads alike on both sides, a student as
TensorFlow's SAME.  Layers of stride 2 on maps of even size then look one pixel further to the
right and down, which changes nothing but what is seen at the borders; on odd sizes (inputs of
97, 129, 161 pixels) both are the same to the last digit.  *Border of the image*: ours is grey 128,
theirs is what their zero stands for (127 in MCUNet's file).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tinyvlm.net.graph import INPUT
from tinyvlm.train.config import StudentConfig
from tinyvlm.train.pretrained_chain import Layer, student


def load(path: Path) -> tuple[StudentConfig, dict[str, Tensor]]:
    """The student of this file's shape, and its weights but for the head.

    OSError, or ValueError in one sentence: the file is no .tflite, or not of a student's kind.
    """
    path = Path(path)
    try:
        reader = _Reader(path.read_bytes())
        return student(reader.layers(), reader.size)
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from None


def _schema():
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        raise ImportError(
            "reading .tflite needs the package ai-edge-litert; "
            "install it with: pip install ai-edge-litert"
        ) from None
    return schema_py_generated


class _Reader:
    """The first subgraph of a .tflite as a chain of float layers."""

    def __init__(self, data: bytes):
        self.s = _schema()
        if data[4:8] != b"TFL3":
            raise ValueError("not a .tflite file")
        try:
            self.model = self.s.ModelT.InitFromObj(self.s.Model.GetRootAs(data, 0))
            self.graph = self.model.subgraphs[0]
        except Exception as e:  # of many kinds: flatbuffers checks nothing
            raise ValueError(f"a damaged .tflite: {e}") from None
        self.kinds = {v: k for k, v in vars(self.s.BuiltinOperator).items() if isinstance(v, int)}
        self.image = self.graph.tensors[self.graph.inputs[0]]
        _, self.size, width, channels = map(int, self.image.shape)
        if width != self.size or channels != 3:
            raise ValueError(f"its image of {self.size}x{width}x{channels} is not square RGB")

    def layers(self) -> list[Layer]:
        """The layers up to the pool, PADs merged; the first one takes a student's pixels."""
        names = {int(self.graph.inputs[0]): INPUT}  # of tensors
        pads: dict[int, tuple[int, int]] = {}  # tensor: pixels (before, after) that a PAD added
        layers: list[Layer] = []
        for op in self.graph.operators:
            code = self.model.operatorCodes[op.opcodeIndex]
            kind = self.kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
            src, out = int(op.inputs[0]), int(op.outputs[0])
            if kind == "PAD":
                names[out], pads[out] = names[src], self.pad(int(op.inputs[1]))
                continue
            name = f"{kind.lower()} {len(layers)}"
            if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                layer = self.convolution(name, kind, op, names[src], pads.get(src))
            elif kind == "ADD":
                layer = Layer(name, "add", names[src], names[int(op.inputs[1])])
                if self.relu(op.builtinOptions):
                    raise ValueError(f"layer {name}: the sum has a ReLU")
            elif kind in ("AVERAGE_POOL_2D", "MEAN"):
                if list(self.graph.tensors[out].shape[1:-1]) not in ([], [1, 1]):
                    raise ValueError(f"layer {name}: a pool of parts of the map")
                layers.append(Layer(name, "pool", names[src]))
                break
            else:
                raise ValueError(f"the operation {kind} is not known to a student")
            layers.append(layer)
            names[out] = name
        if layers and layers[0].weight is not None:
            self.take_our_pixels(layers[0])
        return layers

    def relu(self, options) -> str:
        """The activation that is merged into a layer."""
        s = self.s.ActivationFunctionType
        known = {s.NONE: "", s.RELU: "relu", s.RELU6: "relu6"}
        if options.fusedActivationFunction not in known:
            raise ValueError("a layer ends with neither ReLU nor ReLU6")
        return known[options.fusedActivationFunction]

    def numbers(self, index: int) -> np.ndarray:
        """A constant tensor in float32."""
        tensor = self.graph.tensors[index]
        s = self.s.TensorType
        types = {s.INT8: np.int8, s.UINT8: np.uint8, s.INT32: "<i4", s.FLOAT32: "<f4"}
        data = self.model.buffers[tensor.buffer].data
        if tensor.type not in types or data is None:
            raise ValueError(f"tensor {index} is no constant in int8, int32 or float32")
        raw = np.frombuffer(np.asarray(data, np.uint8).tobytes(), types[tensor.type])
        raw = raw.reshape(tensor.shape)
        if tensor.type == s.FLOAT32:
            return raw.copy()
        quant = tensor.quantization
        if quant is None or quant.scale is None:
            return raw.astype(np.float32)
        shape = [1] * raw.ndim
        if len(quant.scale) > 1:
            shape[quant.quantizedDimension] = -1
        scale, zero = (np.reshape(v, shape) for v in (quant.scale, quant.zeroPoint))
        return ((raw.astype(np.int64) - zero) * scale.astype(np.float64)).astype(np.float32)

    def pad(self, index: int) -> tuple[int, int]:
        """(before, after) of a PAD's table, which must be alike for rows and columns."""
        table = self.numbers(index).astype(int).tolist()
        if table[0] != [0, 0] or table[3] != [0, 0] or table[1] != table[2]:
            raise ValueError(f"it pads by {table}; a student pads rows and columns alike")
        return tuple(table[1])

    def convolution(self, name: str, kind: str, op, src: str, pad: tuple | None) -> Layer:
        weight = self.numbers(int(op.inputs[1]))
        bias = self.numbers(int(op.inputs[2])) if len(op.inputs) > 2 else np.zeros(1, np.float32)
        options, depthwise = op.builtinOptions, kind != "CONV_2D"
        # (out, k, k, in) or, of depthwise layers, (1, k, k, c)
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        kernel, stride = weight.shape[-1], options.strideH
        dilated = options.dilationHFactor != 1 or getattr(options, "depthMultiplier", 1) != 1
        if weight.shape[2] != kernel or options.strideW != stride or dilated:
            raise ValueError(f"layer {name}: kernel and stride are not square, or it is dilated")
        same = options.padding == self.s.Padding.SAME and pad in (None, (0, 0))
        valid = options.padding == self.s.Padding.VALID
        symmetric = valid and (pad or (0, 0)) == (kernel // 2, kernel // 2)
        if not same and not symmetric:
            raise ValueError(f"layer {name}: a padding of {pad} suits no kernel of {kernel}")
        weight = torch.from_numpy(np.ascontiguousarray(weight))
        bias = torch.from_numpy(np.broadcast_to(bias, len(weight)).copy())
        kind = "depthwise" if depthwise else "conv"
        return Layer(name, kind, src, "", weight, bias, stride, self.relu(options))

    def take_our_pixels(self, first: Layer) -> None:
        """Fold into the first layer what their pixels are to ours, (p - 128) / 128.

        An int8 image is p - 128 in the file's own units; a float one is p / 127.5 - 1.
        """
        s, quant = self.s.TensorType, self.image.quantization
        if self.image.type == s.FLOAT32:
            scale, offset = 1 / 127.5, 128 / 127.5 - 1
        elif self.image.type in (s.INT8, s.UINT8):
            grey = 128 if self.image.type == s.UINT8 else 0
            scale = float(quant.scale[0])
            offset = scale * (grey - float(quant.zeroPoint[0]))
        else:
            raise ValueError("its image is neither int8, uint8 nor float32")
        first.bias += offset * first.weight.sum((1, 2, 3))
        first.weight *= 128 * scale
