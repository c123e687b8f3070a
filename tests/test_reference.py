# SPDX-License-Identifier: MIT
"""The numpy arithmetic against scalar Python integers written straight from gemmlowp."""

import math
import time
from fractions import Fraction

import nets
import numpy as np
import pytest

from tinyvlm.net import reference
from tinyvlm.net.graph import same_padding


def high_mul(a: int, b: int) -> int:
    """gemmlowp SaturatingRoundingDoublingHighMul (its saturating case cannot occur: b > 0)."""
    nudge = 1 << 30 if a * b >= 0 else 1 - (1 << 30)
    total = a * b + nudge
    return total >> 31 if total >= 0 else -(-total >> 31)  # C division truncates


def divide_by_pot(x: int, exponent: int) -> int:
    """gemmlowp RoundingDivideByPOT: half away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def scalar(acc: int, mult: int, shift: int) -> int:
    return divide_by_pot(high_mul(acc, mult), shift)


def cortex_m7(acc: int, mult: int, shift: int) -> int:
    """The SIMD kernels' form: SMMULR of the doubled accumulator, then add and shift."""
    assert -(1 << 31) <= acc << 1 < 1 << 31
    high = ((acc << 1) * mult + (1 << 31)) >> 32
    return (high + (high >> 31) + (1 << (shift - 1))) >> shift


def cases(count: int = 20_000):
    """Random and extreme (acc, mult, shift) with |acc| < 2**30, shift 1 ... 30."""
    rng = np.random.default_rng(1)
    acc = rng.integers(-(1 << 30) + 1, 1 << 30, count) >> rng.integers(0, 31, count)
    mult = rng.integers(1 << 30, 1 << 31, count)
    shift = rng.integers(1, 31, count)
    edges = [
        (a, m, e)
        for a in (0, 1, -1, 2, -2, 3, -3, 255, -256, (1 << 30) - 1, -(1 << 30) + 1)
        for m in (1 << 30, (1 << 30) + 1, 0x60000000, (1 << 31) - 1)
        for e in (1, 2, 3, 15, 29, 30)
    ]
    # halves: high parts that lie exactly between two results
    edges += [
        (s * (2 * k + 1) << e, 1 << 30, e) for s in (1, -1) for k in (0, 1, 5) for e in (1, 9)
    ]
    return np.concatenate([np.stack([acc, mult, shift], 1), np.array(edges)])


def test_requantize_is_gemmlowp():
    table = cases()
    got = reference.scaled(*table.T)
    rows = [tuple(map(int, row)) for row in table]
    wrong = sum(scalar(*row) != int(g) for row, g in zip(rows, got, strict=True))
    wrong_m7 = sum(cortex_m7(*row) != int(g) for row, g in zip(rows, got, strict=True))
    print(f"gemmlowp: {wrong} of {len(rows)} differ, Cortex-M7 form: {wrong_m7} differ")
    assert wrong == wrong_m7 == 0


def test_shift_zero_only_multiplies():
    rng = np.random.default_rng(2)
    acc, mult = rng.integers(-(1 << 28), 1 << 28, 500), rng.integers(1 << 30, 1 << 31, 500)
    got = reference.scaled(acc, mult, np.zeros(500, np.int64))
    assert got.tolist() == [high_mul(int(a), int(m)) for a, m in zip(acc, mult, strict=True)]


def test_requantize_saturates():
    one = np.array([1 << 30]), np.array([1])  # times 1/4
    out = reference.requantize(np.array([[4000], [-4000], [8], [-8]]), *one, 3)
    assert out.ravel().tolist() == [127, -128, 5, 1]


@pytest.mark.parametrize("real", [0.5, 0.25, 0.4999999999, 1e-3, 2**-31, 0.9999999999, 1.5, 7e-8])
def test_quantize_multiplier(real):
    mult, shift = reference.quantize_multiplier(real)
    assert 1 << 30 <= mult < 1 << 31
    error = abs(Fraction(int(mult)) / (1 << 31) / Fraction(2) ** int(shift) / Fraction(real) - 1)
    assert error <= Fraction(1, 1 << 31)
    fraction, exponent = math.frexp(real)
    assert (mult, -shift) in ((round(fraction * 2**31), exponent), (1 << 30, exponent + 1))


def naive_conv(x, weights, bias, mult, shift, in_zero, out_zero, stride, depthwise):
    """Loops over Python integers, skipping taps outside the image."""
    height, width, in_c = x.shape
    kernel = weights.shape[1]
    (out_h, top, _), (out_w, left, _) = (same_padding(n, kernel, stride) for n in (height, width))
    out = np.zeros((out_h, out_w, len(weights)), np.int8)
    for y, xx, c in np.ndindex(*out.shape):
        acc = int(bias[c])
        for ky in range(kernel):
            for kx in range(kernel):
                iy, ix = y * stride - top + ky, xx * stride - left + kx
                if 0 <= iy < height and 0 <= ix < width:
                    for i in [c] if depthwise else range(in_c):
                        w = weights[c, ky, kx] if depthwise else weights[c, ky, kx, i]
                        acc += (int(x[iy, ix, i]) - in_zero) * int(w)
        out[y, xx, c] = max(-128, min(127, scalar(acc, int(mult[c]), int(shift[c])) + out_zero))
    return out


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 4)])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_against_loops(size, kernel, stride, depthwise):
    rng = np.random.default_rng(kernel * 10 + stride)
    channels, out_c = 3, 3 if depthwise else 4
    x = rng.integers(-128, 128, (*size, channels)).astype(np.int8)
    shape = (out_c, kernel, kernel) if depthwise else (out_c, kernel, kernel, channels)
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    bias = rng.integers(-3000, 3000, out_c).astype(np.int32)
    mult, shift = reference.quantize_multiplier(rng.uniform(0.001, 0.01, out_c))
    op = reference.depthwise if depthwise else reference.conv
    got = op(x, weights, bias, mult, shift, -7, 5, stride)
    want = naive_conv(x, weights, bias, mult, shift, -7, 5, stride, depthwise)
    assert np.array_equal(got, want)


def test_add_against_scalars():
    rng = np.random.default_rng(3)
    one, two = rng.integers(-128, 128, (2, 6, 5, 4)).astype(np.int8)
    mult, shift = reference.add_multipliers(0.02, 0.013, 0.031)
    got = reference.add(one, two, mult, shift, -5, 9, -12)
    want = []
    for a, b in zip(one.ravel().tolist(), two.ravel().tolist(), strict=True):
        total = scalar((a + 5) << 20, mult[0], shift[0]) + scalar((b - 9) << 20, mult[1], shift[1])
        want.append(max(-128, min(127, scalar(total, mult[2], shift[2]) - 12)))
    assert got.ravel().tolist() == want
    swapped = reference.add_multipliers(0.013, 0.02, 0.031)
    assert np.array_equal(reference.add(two, one, *swapped, 9, -5, -12), got)


@pytest.mark.parametrize(("kernel", "stride"), [(0, 0), (2, 0), (2, 1), (3, 2)])
def test_average_pool_rounds_half_away_from_zero(kernel, stride):
    x = np.random.default_rng(4).integers(-128, 128, (6, 6, 3)).astype(np.int8)
    got = reference.avg_pool(x, kernel, stride)
    k, s = kernel or 6, stride or kernel or 6
    for y, xx, c in np.ndindex(*got.shape):
        window = x[y * s : y * s + k, xx * s : xx * s + k, c]
        mean = Fraction(int(window.sum(dtype=int)), k * k)
        want = math.floor(abs(mean) + Fraction(1, 2)) * (1 if mean >= 0 else -1)
        assert got[y, xx, c] == want


def test_space_to_depth_against_loops():
    x = np.random.default_rng(5).integers(-128, 128, (2, 6, 4, 3)).astype(np.int8)
    got = reference.space_to_depth(x, 2)
    assert got.shape == (2, 3, 2, 12)
    for n, y, xx, ky, kx, c in np.ndindex(2, 3, 2, 2, 2, 3):
        assert got[n, y, xx, (ky * 2 + kx) * 3 + c] == x[n, 2 * y + ky, 2 * xx + kx, c]


def test_batches_and_dense():
    graph = nets.random_graph(11, dense=True)
    images = np.stack([nets.random_image(graph, seed) for seed in range(5)])
    together = reference.embed(graph, images, batch=2)
    alone = [reference.embed(graph, image) for image in images]
    assert np.array_equal(together, np.stack(alone))
    assert graph.dense in reference.run(graph, images[0])
    assert graph.dense not in reference.run(graph, images[0], dense=False)
    with pytest.raises(ValueError, match="int8"):
        reference.run(graph, images[0].astype(np.int16))


def test_a_net_is_fast():
    graph = nets.base_like()
    image = nets.random_image(graph)
    reference.embed(graph, image)
    tries = []
    for _ in range(5):  # one of them runs without waiting for others
        start = time.perf_counter()
        reference.embed(graph, image)
        tries.append(time.perf_counter() - start)
    seconds = min(tries)
    print(f"{sum(graph.macs().values()) / 1e6:.1f} M MAC in {seconds * 1e3:.0f} ms")
    assert seconds < 2  # 40 ms when the machine is idle
