# SPDX-License-Identifier: MIT
"""Writer and reader of `*.tvlm` encoder files (docs/format.md, "`*.tvlm`: an encoder").

    write(graph, "base.tvlm")        # checks, plans the arena, computes the known answer
    graph = read("base.tvlm")        # the complete graph again, scales included
    encoder = load("base.tvlm")      # graph, plan, fingerprint, known answer, sizes

The engine's reader is `native/tv_model.c`; names are those of `native/tv_format.h`.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from ..files import write_atomic
from . import cmsis_nn, limits, packing
from .graph import (
    INPUT,
    Add,
    AvgPool,
    Conv,
    Depthwise,
    Graph,
    Layer,
    Quant,
    SpaceToDepth,
    window,
)
from .plan import Plan, plan_whole, restore
from .plan import plan as make_plan
from .reference import TEST_SEED, add_multipliers, embed, known_image
from .schedule import Ref, operands

MAGIC = b"TVLM"
VERSION = 1
HEADER = struct.Struct("<4sHHII8sHHHbBfHHHHIII12sI")  # 72 bytes, in the order of the page
SECTION = struct.Struct("<4sII")
TENSOR = struct.Struct("<IIHH")
LAYER = struct.Struct("<BBBBBBbbHHHHHH12s12s12sbBHIIf")  # 72 bytes
ADD_TABLE = struct.Struct("<iiiBBB")
NO_LAYER = 0xFFFF
DENSE, STREAM, RELU = 1, 2, 4
OPS: dict[type, int] = {Conv: 1, Depthwise: 2, Add: 3, AvgPool: 4, SpaceToDepth: 5}


@dataclass(frozen=True)
class Encoder:
    """Everything a `.tvlm` holds. sections: bytes by tag; test: (seed, int8 embedding) or None."""

    graph: Graph
    plan: Plan
    fingerprint: bytes
    macs: int
    size: int
    sections: dict[str, int]
    test: tuple[int, np.ndarray] | None


def fingerprint(graph: Graph) -> bytes:
    """Identity of the network, 8 bytes: the same for every plan, name and INFO.

    The first bytes of SHA-256 over, all little-endian: the image (u16 h, w, c, i8 zero point,
    f32 scale); per layer u8 op, kernel, stride, flags DENSE and RELU; u16 indices of the tensors
    read (0: the image, i + 1: output of layer i; the later first; 0xffff: none); u16 out h, w, c;
    i8 zero point, f32 scale; weights (o, ky, kx, c), i32 raw biases, f32 weight scales; at the end
    u16 indices of the embedding and of the dense layer. An addition has kernel and stride 0.
    """
    shapes, digest = graph.shapes(), hashlib.sha256()
    source = graph.quant(INPUT)
    digest.update(struct.pack("<HHHbf", *graph.input_shape, source.zero_point, source.scale))
    for layer, reads in zip(graph.layers, operands(graph), strict=True):
        out = graph.quant(layer.name)
        kernel, stride = record_window(layer, shapes)
        digest.update(struct.pack("<BBBB", OPS[type(layer)], kernel, stride, _flags(layer)))
        digest.update(struct.pack("<HH", *(reads + (NO_LAYER,))[:2]))
        digest.update(struct.pack("<HHHbf", *shapes[layer.name], out.zero_point, out.scale))
        if isinstance(layer, Conv | Depthwise):
            digest.update(layer.weights.astype(np.int8).tobytes())
            digest.update(layer.bias.astype("<i4").tobytes())
            digest.update(layer.weight_scale.astype("<f4").tobytes())
    digest.update(struct.pack("<HH", *_outputs(graph)))
    return digest.digest()[:8]


def record_window(layer: Layer, shapes: dict[str, tuple[int, int, int]]) -> tuple[int, int]:
    """kernel and stride of a record: 0 of an addition; a pool's lone window has its own size."""
    if isinstance(layer, Add):
        return 0, 0
    size = shapes[layer.src][:2]
    seen = window(layer, *size)
    lone = isinstance(layer, AvgPool) and shapes[layer.name][:2] == (1, 1)
    lone = lone and max(size) < 2 * seen.kernel  # no other one fits beside it
    return seen.kernel, seen.kernel if lone else seen.stride


def _flags(layer: Layer) -> int:
    """DENSE and RELU. A ReLU at zero point -128 is the saturation to int8 and needs no flag."""
    relu = getattr(layer, "relu", False) and layer.out.zero_point != -128
    return DENSE * getattr(layer, "dense", False) | RELU * relu


def _outputs(graph: Graph) -> tuple[int, int]:
    index = {layer.name: i for i, layer in enumerate(graph.layers)}
    return index[graph.embedding], index[graph.dense] if graph.dense else NO_LAYER


# -- writing ----------------------------------------------------------------------------------


class _Blobs:
    """WGHT: byte strings at multiples of 4; equal ones (embedding and dense map) stored once."""

    def __init__(self) -> None:
        self.data, self.known = bytearray(), {}

    def put(self, blob: bytes) -> int:
        if blob not in self.known:
            self.data += bytes(-len(self.data) % 4)
            self.known[blob] = len(self.data)
            self.data += blob
        return self.known[blob]


def to_bytes(
    graph: Graph, plan: Plan | None = None, cpu: bool = True, library: bool = False
) -> bytes:
    """Serialize. ValueError names the layer that the engine cannot run and says why.

    A net of scheme max78000 gets its plans for that accelerator, too. cpu=False: for a board that
    runs them, without what only the engine needs. library=True: for CMSIS-NN, by a plan
    of its own.
    """
    limits.check(graph)
    if library:
        cmsis_nn.check(graph)
        plan = plan_whole(graph)
    plan = plan or make_plan(graph)
    blobs, order = _Blobs(), cmsis_nn if library else packing
    records = b"".join(_record(graph, plan, i, blobs, order) for i in range(len(graph.layers)))
    names = b"".join(
        bytes([len(raw)]) + raw for raw in (layer.name.encode() for layer in graph.layers)
    )
    answer = embed(graph, known_image(graph.input_shape))
    sections = {
        b"LAYR": records,
        b"NAME": names,
        b"INFO": json.dumps(graph.info, ensure_ascii=False, sort_keys=True).encode(),
        b"TEST": struct.pack("<I", TEST_SEED) + answer.tobytes(),
        b"CMNN" if library else b"WGHT": bytes(blobs.data),
    }
    if not cpu or not library and graph.info.get("scheme") == "max78000":
        from ..max78000.mapper import plans

        sections |= zip((b"PLNE", b"PLND"), plans(graph, fingerprint(graph)), strict=True)
    unwanted = () if cpu else (b"LAYR", b"NAME", b"WGHT")
    sections = {tag: data for tag, data in sections.items() if data and tag not in unwanted}
    table, body = b"", b""
    start = HEADER.size + SECTION.size * len(sections)
    for tag, content in sections.items():
        body += bytes(-(start + len(body)) % 16)  # tidy; readers expect no alignment
        table += SECTION.pack(tag, start + len(body), len(content))
        body += content
    header = HEADER.pack(
        MAGIC, VERSION, HEADER.size, start + len(body), 0, fingerprint(graph),
        *graph.input_shape, graph.input.zero_point, len(sections), graph.input.scale,
        len(graph.layers), *_outputs(graph), 0,
        plan.arena_size, plan.scratch_offset, plan.scratch_size, _tensor(plan.refs[INPUT]),
        sum(graph.macs().values()),
    )  # fmt: skip
    data = bytearray(header + table + body)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    if cpu:
        _check(data)
    return bytes(data)


def _check(data: bytes) -> None:
    """ValueError if the boards' own reader refuses a file."""
    from ..device.pure_file import File  # with the engine, which words need not

    File(data, cmsis_nn.check_layer)


def _tensor(ref: Ref) -> bytes:
    return TENSOR.pack(ref.offset, ref.row_bytes, ref.rows, ref.pitch)


def _record(graph: Graph, plan: Plan, index: int, blobs: _Blobs, order: ModuleType) -> bytes:
    """order: who says how weights and tables lie, packing or cmsis_nn."""
    layer, shapes = graph.layers[index], graph.shapes()
    names = [INPUT] + [other.name for other in graph.layers]
    reads = [names[tensor] for tensor in operands(graph)[index]]
    source, out = graph.quant(reads[0]), graph.quant(layer.name)
    source2 = graph.quant(reads[1]) if len(reads) > 1 else None
    pads, weights, table = window(layer, *shapes[layer.src][:2]).pads, 0, 0
    if isinstance(layer, Conv | Depthwise):
        conv = isinstance(layer, Conv)
        pack = order.pack_conv if conv else order.pack_depthwise
        weights = blobs.put(pack(layer.weights))
        numbers = layer.weights, layer.bias, layer.weight_scale
        table = blobs.put(order.pack_table(*numbers, source, out))
    elif isinstance(layer, Add):
        mults, shifts = add_multipliers(source.scale, source2.scale, out.scale)
        table = blobs.put(ADD_TABLE.pack(*mults, *shifts))
    stream = all(index != last for _, last in plan.segments)
    return LAYER.pack(
        OPS[type(layer)], _flags(layer) | STREAM * stream,
        *record_window(layer, shapes), *pads, source.zero_point, out.zero_point,
        *shapes[layer.src], *shapes[layer.name],
        _tensor(plan.refs[reads[0]]), _tensor(plan.refs[layer.name]),
        _tensor(plan.refs[reads[1]]) if source2 else bytes(12),
        source2.zero_point if source2 else 0, plan.refs[layer.name].margin, 0,
        weights, table, out.scale,
    )  # fmt: skip


def write(graph: Graph, path: str | Path, plan: Plan | None = None) -> int:
    """Write `path`, at once or not at all; returns its bytes. ValueError as `to_bytes`."""
    return write_atomic(path, to_bytes(graph, plan))


# -- reading ----------------------------------------------------------------------------------


def read(source: str | Path | bytes) -> Graph:
    """The network of a `.tvlm` (path or contents); float32 scales come back exactly."""
    return load(source).graph


def load(source: str | Path | bytes) -> Encoder:
    """Everything in a `.tvlm` (path or contents). ValueError: one sentence that names the file."""
    if isinstance(source, bytes | bytearray | memoryview):
        name, data = "encoder", bytes(source)
    else:
        name, data = str(source), Path(source).read_bytes()
    try:
        data = _checked(data)
        encoder = _parse(data)
        _check(data)  # what the engine accepts; all else was said in the words of the tools
        return encoder
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _checked(data: bytes) -> bytes:
    """The file without what follows it, after the checks that both file kinds share."""
    again = "copy or export it again"
    if len(data) < 4:
        raise ValueError(f"truncated, it has only {len(data)} bytes; {again}")
    if data[:4] != MAGIC:
        hint = "; a .tvp holds prototypes, not an encoder" if data[:4] == b"TVPR" else ""
        raise ValueError(f"not a tinyvlm encoder (.tvlm){hint or '; export one from training'}")
    if len(data) < HEADER.size:
        raise ValueError(f"truncated, it has only {len(data)} bytes; {again}")
    version, header_size, size, crc = struct.unpack_from("<HHII", data, 4)
    if version != VERSION:
        raise ValueError(
            f"format version {version}, this tinyvlm reads {VERSION}; update tinyvlm or {again}"
        )
    if header_size != HEADER.size:
        raise ValueError(f"header of {header_size} bytes instead of {HEADER.size}; {again}")
    if not HEADER.size <= size <= len(data):
        raise ValueError(f"truncated, {len(data)} of {size} bytes are there; {again}")
    if zlib.crc32(data[16:size]) != crc:
        raise ValueError(f"damaged, the checksum does not match; {again}")
    return data[:size]


def _parse(data: bytes) -> Encoder:
    """A file with a valid checksum; it is trusted no more than any other."""
    (_, _, _, _, _, print_, *shape, zero_point, count, scale, layers, embedding, dense, _,
     arena, scratch_offset, scratch_size, image, macs) = HEADER.unpack_from(data)  # fmt: skip
    sections = _sections(data, count)
    records = sections.get("LAYR", b"")
    if "PLNE" in sections and "LAYR" not in sections:
        raise ValueError("only a MAX78000 can run this; use the encoder that it was made of")
    library = "WGHT" not in sections
    weights = sections.get("CMNN" if library else "WGHT")
    if len(records) != layers * LAYER.size or not layers or weights is None:
        raise ValueError("the section LAYR or WGHT is missing or has a wrong size")
    if embedding >= layers or (dense >= layers and dense != NO_LAYER):
        raise ValueError("the layer of the embedding or of the dense map does not exist")
    names = _names(sections.get("NAME"), layers)
    try:
        info = json.loads(sections.get("INFO", b"{}"))
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise ValueError("INFO is not a JSON object")
    graph = Graph(
        tuple(shape), Quant(scale, zero_point), [], names[embedding],
        None if dense == NO_LAYER else names[dense], info,
    )  # fmt: skip
    refs, segments, first = {INPUT: Ref(*TENSOR.unpack(image))}, [], 0
    for i in range(layers):
        fields = LAYER.unpack_from(records, i * LAYER.size)
        try:
            order = cmsis_nn if library else packing
            graph.layers.append(_layer(fields, names[i], graph, refs, weights, order))
        except (ValueError, KeyError) as error:
            raise ValueError(f"layer {i} ({names[i]}): {error.args[0]}") from None
        refs[names[i]] = Ref(*TENSOR.unpack(fields[15]), margin=fields[18])
        if not fields[1] & STREAM:
            segments.append((first, i))
            first = i + 1
    if first != layers:
        raise ValueError("the last segment is not closed")
    limits.check(graph)
    if library:
        cmsis_nn.check(graph)
    if fingerprint(graph) != print_ or sum(graph.macs().values()) != macs:
        raise ValueError("fingerprint or MACs are not those of the layers")
    plan = restore(graph, segments, refs, scratch_offset, scratch_size, arena, library)
    test, dim = sections.get("TEST"), graph.shapes()[graph.embedding][2]
    if test is not None and len(test) != 4 + dim:
        raise ValueError("the section TEST has a wrong size")
    answer = test and (struct.unpack("<I", test[:4])[0], np.frombuffer(test[4:], np.int8))
    sizes = {tag: len(content) for tag, content in sections.items()}
    return Encoder(graph, plan, print_, macs, len(data), sizes, answer)


def _sections(data: bytes, count: int) -> dict[str, bytes]:
    if HEADER.size + count * SECTION.size > len(data):
        raise ValueError("the section table lies outside the file")
    sections: dict[str, bytes] = {}
    for i in range(count):
        tag, offset, size = SECTION.unpack_from(data, HEADER.size + i * SECTION.size)
        if offset + size > len(data):
            raise ValueError(f"section {tag!r} lies outside the file")
        sections.setdefault(tag.decode("latin-1"), data[offset : offset + size])
    return sections


def _names(section: bytes | None, count: int) -> list[str]:
    if section is None:
        return [f"layer{i}" for i in range(count)]
    names, at = [], 0
    while at < len(section) and len(names) < count:
        end = at + 1 + section[at]
        names.append(section[at + 1 : end].decode("utf-8"))
        at = end
    if len(names) != count or at != len(section) or len(set(names)) != count:
        raise ValueError("the section NAME does not hold one name a layer")
    return names


def _layer(
    fields: tuple, name: str, graph: Graph, refs: dict[str, Ref], weights: bytes, order: ModuleType
) -> Layer:
    """One record as a layer of `graph`, whose earlier layers are complete."""
    op, flags, kernel, stride, *pads, in_zero, out_zero = fields[:8]
    in_shape, out_shape = fields[8:11], fields[11:14]
    source, _, source2, in2_zero, _, _, at, table, scale = fields[14:]
    moves = op in (OPS[AvgPool], OPS[SpaceToDepth])  # values stay what they are
    if op not in OPS.values() or flags > (DENSE | STREAM | (not moves) * RELU):
        raise ValueError(f"operation {op} with flags {flags} is not known; update tinyvlm")
    dense = bool(flags & DENSE)
    src = _producer(source, refs, graph, in_zero, in_shape, dense)
    relu = out_zero == -128 or bool(flags & RELU)
    if op == OPS[AvgPool]:
        whole = kernel == in_shape[0] and out_shape[:2] == (1, 1)
        layer = AvgPool(name, src, 0 if whole else kernel, 0 if whole else stride)
    elif op == OPS[SpaceToDepth]:
        if stride != kernel:
            raise ValueError(f"blocks of {kernel} with stride {stride} are not supported")
        layer = SpaceToDepth(name, src, kernel)
    elif op == OPS[Add]:
        src2 = _producer(source2, refs, graph, in2_zero, in_shape, dense)
        layer = Add(name, src, src2, Quant(scale, out_zero), relu=relu)
        scales = graph.quant(src).scale, graph.quant(src2).scale, layer.out.scale
        mults, shifts = add_multipliers(*scales)
        stored = ADD_TABLE.unpack(packing.cut(weights, table, ADD_TABLE.size))
        if stored != (*mults, *shifts):
            raise ValueError("the table is not that of its scales")
    else:
        conv = op == OPS[Conv]
        if kernel not in limits.KERNELS or stride not in (1, 2):
            raise ValueError(f"kernel {kernel} with stride {stride} is not supported")
        shape = (out_shape[2], kernel, kernel, in_shape[2])[: 4 if conv else 3]
        unpack = order.unpack_conv if conv else order.unpack_depthwise
        array = unpack(weights, at, shape)
        numbers = order.unpack_table(weights, table, array, graph.quant(src), scale)
        more = {"dense": dense} if conv else {}
        cls = Conv if conv else Depthwise
        layer = cls(name, src, array, *numbers, Quant(scale, out_zero), stride, relu, **more)
        if tuple(pads) != window(layer, *in_shape[:2]).pads:
            raise ValueError("only SAME padding is read")
    quant = graph.quant(src) if moves else layer.out
    if (quant.zero_point, quant.scale) != (out_zero, scale):
        raise ValueError("the output's quantization is inconsistent")
    whole_graph = Graph(graph.input_shape, graph.input, [*graph.layers, layer], name)
    if whole_graph.shapes()[name] != out_shape:
        raise ValueError(f"the output cannot have the shape {out_shape}")
    return layer


def _producer(
    raw: bytes, refs: dict[str, Ref], graph: Graph, zero_point: int, shape: tuple, dense: bool
) -> str:
    """The tensor that was last written to exactly this place; dense: for a dense layer."""
    shapes = graph.shapes()
    for name in reversed(refs):
        if _tensor(refs[name]) == raw and (dense or not graph.is_dense(name)):
            if shapes[name] != shape or graph.quant(name).zero_point != zero_point:
                break
            return name
    raise ValueError("an operand is not what an earlier layer writes")
