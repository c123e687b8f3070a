# SPDX-License-Identifier: MIT
"""The layer registers of a network: which value goes to which address."""

from __future__ import annotations

from .layers import Layer, Network, first_bit

QUADRANT = 0x50100000
QUADRANT_STEP = 0x400000
LAYERS = 32  # registers of a kind, one a layer

RCNT, CCNT, ONED, PRCNT, PCCNT, STRIDE, WPTR_BASE = range(7)
WPTR_TOFF, WPTR_MOFF, WPTR_CHOFF, RPTR_BASE, LCTRL0, MCNT, TPTR, EN, POST = range(7, 16)
STRM0, STRM1, FBUF, LCTRL1 = 16, 17, 18, 20
FUNCTIONS = {"sub": 0, "add": 1, "or": 2, "xor": 3}
WEIGHT_SIZES = {8: 0, 1: 1, 2: 2, 4: 3}


def address(quadrant: int, register: int, layer: int) -> int:
    """Address of a layer register."""
    return QUADRANT + QUADRANT_STEP * quadrant + 0x10 + 0x80 * register + 4 * layer


def layer_registers(network: Network) -> dict[int, int]:
    """{address: value} for all layers and used quadrants, zeros included: a memory that was
    never written, or that another network left, holds anything."""
    values = {}
    for index, layer in enumerate(network.layers):
        for quadrant in network.quadrants:
            for register, value in _values(layer, quadrant, network.quadrants).items():
                values[address(quadrant, register, index)] = value
    return values


def _values(layer: Layer, quadrant: int, quadrants: list[int]) -> dict[int, int]:
    last = layer.out_processors.bit_length() - 1
    base = first_bit(layer.out_processors) // 4 * 4
    conv, many = layer.convolves, layer.operands > 1
    rows, columns = (1, 1) if layer.flatten else layer.size
    emulated = many and layer.in_passes > 1 and not conv
    enable = layer.processors >> 16 * quadrant & 0xFFFF
    values = {
        RCNT: layer.pad << 16 | rows - 1 + 2 * layer.pad,
        CCNT: layer.pad << 16 | columns - 1 + 2 * layer.pad,
        ONED: _oned(layer),
        PRCNT: layer.pool[0] - 1,
        PCCNT: layer.pool[1] - 1,
        STRIDE: layer.pool_stride - 1,
        WPTR_BASE: _write_base(layer, quadrant),
        WPTR_TOFF: int(layer.kernel == 1),
        WPTR_MOFF: 0x2000,
        WPTR_CHOFF: (4 if layer.wide else 1) * (layer.gap + 1) if layer.out_passes > 1 else 0,
        RPTR_BASE: layer.in_offset // 4,
        LCTRL0: _lctrl0(layer, quadrant, quadrants),
        MCNT: _mcnt(layer),
        TPTR: 0,
        EN: enable << 16 | enable,
        POST: _post(layer, quadrant),
        **dict.fromkeys((STRM0, STRM1, FBUF), 0),  # streaming is not used
        LCTRL1: (last - base) * layer.bits << 8
        | layer.out_passes * (layer.gap + 1) - 1 << 4
        | (layer.flat_count & 15 if layer.flatten else layer.in_passes - 1),
    }
    if layer.kernel == 3:
        values[TPTR] = max(0, layer.pooled[1] + 2 * layer.pad - 3)
    if layer.flat_count >= 16:
        values[TPTR] = layer.flat_count << 16 | 2 * layer.flat_count + 1
    if not conv:
        values[WPTR_MOFF] = 0
        far = layer.processors.bit_count() > 4 or many and layer.in_passes > 1
        values[WPTR_TOFF] = 0x2000 if far else 0x800
        values[EN] = enable
        values[LCTRL1] = layer.gap << 4 | (0 if emulated else layer.in_passes - 1)
    return values


def _oned(layer: Layer) -> int:
    value = layer.time_slots - 1
    if layer.kernel == 1 and (layer.convolves or layer.operands == 1):
        value |= 1 << 8
    if layer.operands > 1:
        value |= 1 << 13 | FUNCTIONS[layer.function] << 14 | layer.operands - 1 << 18
        value |= (layer.pools and layer.pool_first) << 16 | layer.convolves << 17
    return value


def _write_base(layer: Layer, quadrant: int) -> int:
    word, outputs = layer.out_offset // 4, layer.out_processors
    if not layer.convolves:  # each quadrant writes on its own
        outputs &= 0xFFFF << 16 * quadrant
    return (first_bit(outputs) // 4 << 13 if outputs else 0) | word


def _lctrl0(layer: Layer, quadrant: int, quadrants: list[int]) -> int:
    value = 1 << 5 | 1 << 11 | layer.chw << 6 | layer.pools << 7 | (not layer.average) << 8
    value |= (layer.activation == "relu") << 9 | layer.wide << 16
    if layer.convolves and quadrant == quadrants[0]:
        for other in quadrants[1:]:
            sends = layer.processors >> 16 * other & 0xFFFF
            if sends or layer.bias_at and layer.bias_at[0] == other:
                value |= 1 << 12 + other
    return value


def _mcnt(layer: Layer) -> int:
    if not layer.convolves:
        emulated = layer.operands > 1 and layer.in_passes > 1
        return 0 if emulated else (layer.out_passes - 1) * 8
    start = 9 * layer.words_at // layer.kernel**2 * 8
    return start << 16 | start + (layer.kernels + layer.lead - 1) * layer.bits


def _post(layer: Layer, quadrant: int) -> int:
    if not layer.convolves:
        return 1 << 24 | (layer.operands == 1) << 25
    shift = 8 - layer.bits + layer.shift
    value = abs(shift) << 13 | (shift < 0) << 17 | WEIGHT_SIZES[layer.bits] << 22
    value |= (layer.activation == "abs") << 26
    if layer.bias_at and layer.bias_at[0] == quadrant:
        value |= 1 << 12 | layer.bias_at[1]
    if layer.flat_count >= 16:
        value |= 1 << 27 | layer.flat_count // 16 << 18
    return value
