# SPDX-License-Identifier: MIT
"""What the accelerator cannot do, and what nobody has verified: refused with the layer's name."""

from __future__ import annotations

from .layers import Layer, Network, first_bit, spread
from .memory import INSTANCE_BYTES
from .weights import BIASES, word_count

MOST_LAYERS = 32
MOST_CHANNELS = 1024
MOST_PIXELS = 1023  # rows, columns
MOST_POOL = 16
MOST_SHIFT = 15
FUNCTIONS = ("add", "sub", "or", "xor")


def check(network: Network) -> None:
    """ValueError: "layer 'name': what it asks for; the rule that it breaks"."""
    if not 1 <= len(network.layers) <= MOST_LAYERS:
        raise ValueError(
            f"the network has {len(network.layers)} layers; {MOST_LAYERS} at most run"
        )
    if 0 not in network.quadrants:
        raise ValueError("the network does not use quadrant 0, which leads the others")
    for index, layer in enumerate(network.layers):
        for rule in _broken(layer, index, len(network.layers)):
            raise ValueError(f"layer {layer.name!r}: {rule}")


def _broken(layer: Layer, index: int, count: int) -> list[str]:
    """The rules that a layer breaks, in words."""
    return [
        text
        for bad, text in (
            *_channels(layer),
            *(_convolution(layer) if layer.convolves else _pass_through(layer)),
            *_pooling(layer),
            (layer.wide and index + 1 < count, "32-bit output is for the last layer"),
            (layer.chw and index > 0, "only the first layer reads channel by channel"),
            *_memory(layer),
        )
        if bad
    ]


def _channels(layer: Layer) -> list[tuple[bool, str]]:
    rules = []
    for what, channels, mask in (
        ("in", layer.in_c, layer.processors),
        ("out", layer.out_c, layer.out_processors),
    ):
        if not 1 <= channels <= MOST_CHANNELS:
            return [(True, f"{channels} channels {what}; 1 to {MOST_CHANNELS} are possible")]
        passes, per_pass = spread(channels)
        if not 0 < mask < 1 << 64 or mask.bit_count() != per_pass:
            return [(True, f"{channels} channels {what} want {per_pass} processors")]
        whole = mask >> first_bit(mask)
        holes = whole & whole + 1 and not (layer.chw and what == "in")
        rules += [
            (bool(holes), f"the map of processors {what} has holes"),
            (passes > 1 and first_bit(mask) % 4 > 0, f"channels {what} begin inside a word"),
        ]
    (h, w), pad = layer.size, 2 * layer.pad
    most, padded = f"; {MOST_PIXELS} rows and columns are the most", max(h, w) + pad
    return rules + [
        (not 1 <= h <= MOST_PIXELS or not 1 <= w <= MOST_PIXELS, f"a map of {h}x{w}{most}"),
        (padded > MOST_PIXELS, f"a map of {h + pad}x{w + pad} with its padding{most}"),
    ]


def _convolution(layer: Layer) -> list[tuple[bool, str]]:
    k, low, high = layer.kernel, -(1 << layer.bits - 1), (1 << layer.bits - 1) - 1
    if layer.bits not in (1, 2, 4, 8):
        return [(True, f"weights of {layer.bits} bits; 1, 2, 4 and 8 are possible")]
    partial = layer.in_passes > 1 and layer.in_c % layer.in_passes
    partial = partial or layer.in_c != layer.in_passes * spread(layer.in_c)[1]
    wanted = (
        (layer.out_c, layer.in_c * layer.pixels)
        if layer.flatten
        else (layer.out_c, layer.in_c, k, k)
    )
    shift = 8 - layer.bits + layer.shift
    inside = first_bit(layer.out_processors)
    plain = layer.bits == 8 and not layer.flatten and not layer.wide
    biased = layer.bias is not None
    return [
        (k not in (1, 3), f"a kernel of {k}x{k}; only 1x1 and 3x3 convolve"),
        (layer.weights.shape != wanted, f"weights of the shape {layer.weights.shape}"),
        (layer.weights.size and (layer.weights.min() < low or layer.weights.max() > high),
         f"weights outside {low} ... {high}"),
        (not 0 <= layer.pad < k or layer.pad > 2, f"padding {layer.pad} for a {k}x{k} kernel"),
        (abs(shift) > MOST_SHIFT, f"a shift of {shift}; {MOST_SHIFT} either way is the most"),
        (inside % 4 > 0 and not plain,
         f"results begin inside a word, at processor {inside}: only 8-bit convolutions may, "
         "with 8-bit results and not flattened"),
        (bool(partial) and layer.bits < 8, "narrow weights with a last pass that is not full"),
        (layer.operands > 1 and layer.in_passes > 1, "adds maps of more than 64 channels"),
        (layer.wide and layer.activation != "none", "32-bit output has no activation"),
        (biased and (layer.bias.min(initial=0) < -128 or layer.bias.max(initial=0) > 127),
         "a bias outside -128 ... 127"),
        (biased and len(layer.bias) != layer.out_c, "not one bias a channel"),
        (biased and layer.out_c > BIASES, f"{layer.out_c} biases; {BIASES} at most"),
        (layer.flatten and layer.pools, "a flattened layer cannot pool"),
        (layer.flatten and layer.flat_count > 255,
         f"flattens {layer.pixels} pixels in {layer.in_passes} passes; at most 256 together"),
        (layer.flatten and layer.operands > 1, "a flattened layer cannot add"),
    ]  # fmt: skip


def _pass_through(layer: Layer) -> list[tuple[bool, str]]:
    return [
        (layer.in_c != layer.out_c, "without weights channels cannot change"),
        (layer.processors != layer.out_processors, "without weights the processors cannot change"),
        (first_bit(layer.processors) % 4 > 0, "without weights channels begin at a whole word"),
        (layer.pad > 0 or layer.bias is not None or layer.flatten, "needs weights"),
        (layer.activation != "none", "an activation needs weights"),
        (layer.wide, "32-bit output needs weights"),
        (layer.operands > 1 and layer.in_passes > 1, "adds maps of more than 64 channels"),
        (layer.pools and layer.in_passes > 1 and layer.pooled != (1, 1),
         "pools more than 64 channels without weights to more than one pixel"),
    ]  # fmt: skip


def _pooling(layer: Layer) -> list[tuple[bool, str]]:
    (ph, pw), s = layer.pool, layer.pool_stride
    return [
        (not 1 <= ph <= MOST_POOL or not 1 <= pw <= MOST_POOL or not 1 <= s <= MOST_POOL,
         f"pools {ph}x{pw} with stride {s}; {MOST_POOL} is the most"),
        (ph > layer.size[0] or pw > layer.size[1],
         f"pools {ph}x{pw} of a map of {layer.size[0]}x{layer.size[1]}"),
        (not layer.pools and s > 1, f"a stride of {s} without pooling"),
        (min(layer.out_size) < 1, "nothing is left of the map"),
        (layer.operands not in range(1, 17) or layer.function not in FUNCTIONS,
         f"combines {layer.operands} maps by {layer.function!r}"),
        (layer.operands > 2 and layer.pools and not layer.pool_first,
         f"combines {layer.operands} maps before it pools; 2 are the most"),
    ]  # fmt: skip


def _memory(layer: Layer) -> list[tuple[bool, str]]:
    if min(layer.out_size) < 1:
        return []
    (h, w), (out_h, out_w) = layer.size, layer.out_size
    words = -(-h * w // 4) if layer.chw else h * w * layer.in_passes * layer.operands
    read = range(layer.in_offset, layer.in_offset + 4 * words)
    step = 4 * (layer.gap + 1) * (4 if layer.wide else 1)
    written = range(
        layer.out_offset,
        layer.out_offset + out_h * out_w * layer.out_passes * step - 4 * layer.gap,
    )
    meets = layer.processors & _whole_words(layer.out_processors)
    return [
        (read.stop > INSTANCE_BYTES,
         f"reads {len(read)} bytes from {read.start} on; a data memory has {INSTANCE_BYTES}"),
        (written.stop > INSTANCE_BYTES,
         f"writes {len(written)} bytes from {written.start} on; "
         f"a data memory has {INSTANCE_BYTES}"),
        (bool(meets) and read.start < written.stop and written.start < read.stop,
         "would write over what it reads"),
        (word_count(layer) > 768, f"{word_count(layer)} words of weights; a processor has 768"),
        (layer.in_offset % 4 > 0 or layer.out_offset % 4 > 0, "an offset inside a word"),
    ]  # fmt: skip


def _whole_words(mask: int) -> int:
    """The processors whose data memories `mask` touches."""
    return sum(0xF << p for p in range(0, 64, 4) if mask >> p & 0xF)
