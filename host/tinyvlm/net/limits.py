# SPDX-License-Identifier: MIT
"""What the engine can run: every limit of docs/format.md, checked when a `.tvlm` is written.

`check(graph)` raises ValueError with the layer's name, what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .graph import INPUT, Add, AvgPool, Conv, Depthwise, Graph, Layer, SpaceToDepth, window
from .packing import stored_taps
from .reference import add_multipliers, conv_multipliers, fold_bias

KERNELS = (1, 3, 5, 7)
MAX_IMAGE = 1024
MAX_ACC = 1 << 30  # the SIMD requantization doubles an accumulator
MAX_SHIFT = 22  # of conv and depthwise: the SIMD rounding constant stays in int32
MAX_ADD_SHIFT = 30


def check(graph: Graph) -> None:
    """ValueError unless the engine can run `graph` and a `.tvlm` can hold it."""
    height, width, channels = graph.input_shape
    if height != width or channels != 3 or not 1 <= height <= MAX_IMAGE:
        raise ValueError(
            f"input {height}x{width}x{channels}: the image must be square, RGB and at most "
            f"{MAX_IMAGE} pixels wide"
        )
    if not 1 <= len(graph.layers) <= 1024:
        raise ValueError(f"the graph has {len(graph.layers)} layers; 1 ... 1024 fit the format")
    for layer in graph.layers:
        with _naming(layer):
            _check_alone(layer)
    shapes = graph.shapes()
    for layer in graph.layers:
        with _naming(layer):
            _check_layer(graph, layer, shapes)
    _check_outputs(graph, shapes)


@contextmanager
def _naming(layer: Layer) -> Iterator[None]:
    """Puts the layer's name before what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"layer {layer.name!r}: {error}") from None


def _check_alone(layer: Layer) -> None:
    """What can be said without knowing the layer's inputs."""
    if not 1 <= len(layer.name.encode()) <= 255:
        raise ValueError("a name has 1 ... 255 bytes of UTF-8")
    if isinstance(layer, Conv | Depthwise):
        _check_arrays(layer)


def _check_layer(graph: Graph, layer: Layer, shapes: dict[str, tuple[int, int, int]]) -> None:
    if shapes[layer.name][2] > 0xFFFF:
        raise ValueError(f"{shapes[layer.name][2]} channels; at most 65535 fit the format")
    for source in {layer.src, getattr(layer, "src2", layer.src)}:
        known = graph.is_dense(layer.name) and source != graph.dense
        if graph.is_dense(source) and not known:
            raise ValueError(f"reads {source!r}, which exists only when the dense map is wanted")
    if isinstance(layer, AvgPool):
        _check_pool(layer, shapes[layer.src])
    elif isinstance(layer, SpaceToDepth):
        if layer.block > 255:
            raise ValueError(f"block {layer.block}; it must be 1 ... 255")
    elif isinstance(layer, Add):
        _check_add(graph, layer)
    else:
        _check_numbers(graph, layer)
        if isinstance(layer, Depthwise):
            _check_planar(graph, layer)


def _check_pool(layer: AvgPool, shape: tuple[int, int, int]) -> None:
    height, width = shape[:2]
    if layer.kernel == 0 and height != width:
        raise ValueError(f"the map is {height}x{width}; only square windows are supported")
    seen = window(layer, height, width)
    if not 1 <= seen.kernel <= 255 or not 1 <= seen.stride <= 255:
        raise ValueError(f"window {seen.kernel}, stride {seen.stride}; both must be 1 ... 255")


def _check_add(graph: Graph, layer: Add) -> None:
    scales = graph.quant(layer.src).scale, graph.quant(layer.src2).scale, layer.out.scale
    _, shifts = add_multipliers(*scales)
    if max(shifts) > MAX_ADD_SHIFT or shifts[2] < 1:
        raise ValueError(
            f"scales {scales[0]:.3g} + {scales[1]:.3g} -> {scales[2]:.3g} are too far apart for "
            "the fixed point arithmetic; recalibrate the three tensors"
        )


def _check_arrays(layer: Conv | Depthwise) -> None:
    weights, channels = layer.weights, len(layer.weights)
    conv = isinstance(layer, Conv)
    if weights.dtype != np.int8 or weights.ndim != (4 if conv else 3):
        want = "(out_c, k, k, in_c)" if conv else "(c, k, k)"
        raise ValueError(f"weights must be int8 {want}, got {weights.dtype} {weights.shape}")
    kernel = weights.shape[1]
    if kernel not in KERNELS or weights.shape[2] != kernel:
        raise ValueError(
            f"kernel {kernel}x{weights.shape[2]} is not supported; use 1x1, 3x3, 5x5 or 7x7"
        )
    if layer.stride not in (1, 2):
        raise ValueError(f"stride {layer.stride} is not supported; use 1 or 2")
    if layer.bias.shape != (channels,) or layer.bias.dtype != np.int32:
        raise ValueError(
            f"bias must be int32 ({channels},), got {layer.bias.dtype} {layer.bias.shape}"
        )
    scale = np.asarray(layer.weight_scale)
    if scale.shape != (channels,) or scale.dtype != np.float32:
        raise ValueError(
            f"weight_scale must be float32 ({channels},), got {scale.dtype} {scale.shape}"
        )
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("every weight scale must be positive and finite")


def _check_numbers(graph: Graph, layer: Conv | Depthwise) -> None:
    scale = layer.weight_scale
    source = graph.quant(layer.src)
    _, shift = conv_multipliers(source.scale, scale, layer.out.scale)
    if shift.min() < 1:
        raise ValueError(
            f"channel {shift.argmin()} has a multiplier of 0.5 or more (in_scale * weight_scale "
            f"/ out_scale); raise the output scale above {layer.out.scale:.3g}"
        )
    if shift.max() > MAX_SHIFT:
        raise ValueError(
            f"channel {shift.argmax()} has a multiplier below 2**-23; raise its weight scale "
            f"above {scale[shift.argmax()]:.3g} (a channel of zeros can have any)"
        )
    taps = stored_taps(layer)
    bias = np.abs(fold_bias(layer.weights, layer.bias, source.zero_point))
    if bias.max() + taps * (1 << 14) >= MAX_ACC:
        raise ValueError(
            f"channel {bias.argmax()}: its accumulator can leave +-2**30 (folded bias "
            f"{bias.max()}, {taps} taps); raise its weight scale, or use fewer inputs"
        )


def _check_planar(graph: Graph, layer: Depthwise) -> None:
    """Only a convolution writes the planar rows that a depthwise layer reads."""
    if layer.src == INPUT or not isinstance(graph.layer(layer.src), Conv):
        raise ValueError(
            f"its input {layer.src!r} is not made by a convolution; put a 1x1 convolution between"
        )
    for other in graph.layers:
        if other is not layer and layer.src in (other.src, getattr(other, "src2", None)):
            raise ValueError(
                f"its input {layer.src!r} is also read by {other.name!r}; the input of a "
                "depthwise layer is stored for it alone"
            )
    if layer.src in (graph.embedding, graph.dense):
        raise ValueError(f"its input {layer.src!r} is an output of the network")


def _check_outputs(graph: Graph, shapes: dict[str, tuple[int, int, int]]) -> None:
    read = {layer.src for layer in graph.layers}
    for layer in graph.layers:
        if graph.is_dense(layer.name) and layer.name not in (graph.dense, *read):
            raise ValueError(f"layer {layer.name!r}: marked dense, but the map does not need it")
    shape = shapes.get(graph.embedding)
    if shape is None or graph.embedding == INPUT:
        raise ValueError(f"the embedding {graph.embedding!r} is not a layer")
    if shape[:2] != (1, 1) or graph.quant(graph.embedding).zero_point != 0:
        raise ValueError(
            f"layer {graph.embedding!r}: the embedding must be 1x1 with zero point 0, got "
            f"{shape[0]}x{shape[1]} with {graph.quant(graph.embedding).zero_point}"
        )
    if graph.is_dense(graph.embedding):
        raise ValueError(f"layer {graph.embedding!r}: the embedding cannot be the dense layer")
    if graph.dense is None:
        return
    if graph.dense not in shapes or not graph.is_dense(graph.dense):
        raise ValueError(f"the dense map {graph.dense!r} is not a convolution marked dense")
    dense = graph.layer(graph.dense)
    if dense is graph.layers[0]:
        raise ValueError(f"layer {dense.name!r}: the dense layer cannot be the first")
    if dense.out.zero_point != 0 or shapes[graph.dense][2] != shape[2]:
        raise ValueError(
            f"layer {dense.name!r}: the dense map must have zero point 0 and the embedding's "
            f"{shape[2]} channels, got {dense.out.zero_point} and {shapes[graph.dense][2]}"
        )
