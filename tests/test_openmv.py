# SPDX-License-Identifier: MIT
"""The device package on OpenMV's and ESP-VISION's stock firmware, with stand-ins for theirs."""

import json
import struct

import _tinyvlm
import numpy as np
import openmv
import pytest

from tinyvlm import device
from tinyvlm.device.frame import as_frame, frame_of
from tinyvlm.device.openmv import Engine
from tinyvlm.net import reference, tflite, tvlm
from tinyvlm.shipped import DATA
from tinyvlm.virtual.photos import photos

pytest.importorskip("ai_edge_litert.interpreter")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The encoder that ships, as tinyvlm-export --tflite --dense writes it."""
    path = tmp_path_factory.mktemp("openmv") / "base.tflite"
    path.write_bytes(tflite.to_bytes(tvlm.read(DATA / "base.tvlm"), dense=True))
    return str(path)


def picture(photo, width, height, kind, image=openmv.Image):
    """A photo as the camera of an OpenMV hands it out."""
    pixels = np.asarray(photo.image().resize((width, height)).convert("RGB")).astype(np.uint16)
    if kind == openmv.GRAYSCALE:
        raw = pixels.mean(axis=2).astype(np.uint8)
    else:
        r, g, b = (pixels[..., i] for i in range(3))
        raw = (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype("<u2")
    return image(width, height, kind, buffer=bytearray(raw.tobytes()))


@pytest.mark.parametrize("firmware", openmv.FIRMWARE)
@pytest.mark.parametrize("kind", [openmv.RGB565, openmv.GRAYSCALE])
def test_embeddings_equal_those_of_the_pc(exported, kind, firmware):
    """Frames of the encoder's height need no resampling: 0 of N differ, map included."""
    fast = _tinyvlm.Encoder((DATA / "base.tvlm").read_bytes())
    cells = fast.map[0] * fast.map[1]
    bad = n = 0
    with openmv.firmware(firmware) as image:
        engine = Engine(exported)
        assert engine.backend == {"openmv": "ml", "espvision": "tflite"}[firmware]
        assert (engine.size, engine.dim, engine.map) == (fast.size, fast.dim, fast.map)
        assert engine.fingerprint == fast.fingerprint and engine.macs == fast.macs
        assert json.loads(engine.info) == json.loads(fast.info)
        assert engine.selftest()
        for photo in photos()[:3]:
            f = frame_of(picture(photo, 128, 96, kind, image.Image))
            arguments = f.buffer, f.width, f.height, f.format, f.stride
            got, want = [(bytearray(fast.dim), bytearray(cells * fast.dim)) for _ in range(2)]
            engine.embed_map(*arguments, *got)
            fast.embed_map(*arguments, *want)
            bad += sum(a != b for i in (0, 1) for a, b in zip(got[i], want[i], strict=True))
            n += len(got[0]) + len(got[1])
            few, some = [(bytearray(40), bytearray(cells * 40)) for _ in range(2)]
            engine.embed_map(*arguments, *few)
            fast.embed_map(*arguments, *some)
            assert few == some  # the first dimensions
    print(f"{firmware} (LiteRT BUILTIN_REF) = C engine on real photos: {bad} of {n} differ")
    assert bad == 0


def test_a_larger_frame_is_resized_by_openmv_or_exactly(exported):
    fast = _tinyvlm.Encoder((DATA / "base.tvlm").read_bytes())
    with openmv.firmware():
        engine = Engine(exported)
        f = frame_of(picture(photos()[0], 160, 120, openmv.RGB565))
        arguments = f.buffer, f.width, f.height, f.format, f.stride
        quick, exact, want = [np.zeros(fast.dim, np.int8) for _ in range(3)]
        engine.embed(*arguments, quick)
        engine.exact = True
        engine.embed(*arguments, exact)
        fast.embed(*arguments, want)
        assert np.array_equal(exact, want)
        assert not np.array_equal(quick, want)  # the stand-in takes the nearest pixel
        cosine = quick.astype(float) @ want / np.linalg.norm(quick) / np.linalg.norm(want)
        assert cosine > 0.8
        # a format that OpenMV's drawing does not know goes the exact way
        engine.exact = False
        swapped = np.frombuffer(bytes(f.buffer), "<u2").byteswap().tobytes()
        engine.embed(swapped, f.width, f.height, device.RGB565_BE, 0, exact)
        assert np.array_equal(exact, want)


def test_classify_with_the_package_as_programs_use_it(exported, monkeypatch, tmp_path):
    """load() finds the .tflite, classify() takes an image.Image and gives the PC's answer."""
    from tinyvlm.device import encoder, pure

    vocab = device.Vocab(tinyvlm_pack(tmp_path, ["cat", "rocket", "coffee"]))
    folder = exported.rsplit("/", 1)[0]
    monkeypatch.setattr(encoder, "_tinyvlm", pure)
    monkeypatch.setattr(encoder, "_PLACES", (folder,))
    monkeypatch.setattr(encoder, "_default", None)
    with openmv.firmware():
        loaded = device.load()
        assert loaded.path == exported and loaded._engine.backend == "ml"
        assert repr(loaded).startswith("Encoder(") and "96x96 -> 256" in repr(loaded)
        for photo in photos()[:3]:
            frame = picture(photo, 128, 96, openmv.RGB565)
            there = device.classify(frame, vocab)
            f = frame_of(frame)
            want = np.zeros(loaded.dim, np.int8)
            fast = _tinyvlm.Encoder((DATA / "base.tvlm").read_bytes())
            fast.embed(f.buffer, f.width, f.height, f.format, f.stride, want)
            assert there == vocab.match(want)
        other = bytearray(vocab.fingerprint)
        other[0] ^= 1
        vocab.fingerprint = bytes(other)
        with pytest.raises(ValueError, match="was packed for encoder"):
            device.classify(frame, vocab)


def test_the_firmwares_own_models_are_passed_over(exported, monkeypatch, tmp_path):
    """OpenMV's ROMFS is full of them, and /rom is looked at first."""
    from tinyvlm.device import encoder, pure

    rom = tmp_path / "rom"
    rom.mkdir()
    for name, content in (("blazeface.tflite", b"\0" * 64), ("empty.tflite", b"")):
        (rom / name).write_bytes(content)
    monkeypatch.setattr(encoder, "_tinyvlm", pure)
    monkeypatch.setattr(encoder, "_default", None)
    monkeypatch.setattr(encoder, "_PLACES", (str(rom), exported.rsplit("/", 1)[0]))
    with openmv.firmware("espvision"):
        assert device.load().path == exported
        monkeypatch.setattr(encoder, "_PLACES", (str(rom),))
        with pytest.raises(OSError, match="no encoder .*tflite.*tinyvlm-deploy --openmv"):
            device.load()


def test_another_rounding_is_said_with_how_far_it_is(exported, tmp_path):
    """Of one output in ten the last bit: as some optimized kernels round."""
    with open(exported, "rb") as file:
        data = file.read()
    with openmv.firmware("espvision"):
        engine = Engine(exported)
        want = bytearray(engine._test[1])
        for i in range(0, len(want), 10):
            want[i] = (want[i] + (2 if i == 0 else 1)) & 255
        path = tmp_path / "other.tflite"
        path.write_bytes(data.replace(engine._test[1].hex().encode(), want.hex().encode()))
        with pytest.raises(RuntimeError, match=r"in 26 of 256 .* at most 2, cosine 0\.99\d\d: "):
            Engine(str(path)).selftest()


def test_a_firmware_that_runs_no_tflite(exported):
    with pytest.raises(ValueError, match="neither ml nor tflite"):
        Engine(exported)


def tinyvlm_pack(folder, words):
    from tinyvlm import packit

    (folder / "words.txt").write_text("\n".join(words))
    assert packit.main(["--vocab", str(folder / "words.txt"), "-o", str(folder / "w.tvp")]) == 0
    return str(folder / "w.tvp")


def test_the_footer_does_not_disturb_litert(exported):
    """Its readers use the offsets in the flatbuffer: what stands behind it changes nothing."""
    from ai_edge_litert.interpreter import Interpreter

    with open(exported, "rb") as file:
        data = file.read()
    graph = tvlm.read(DATA / "base.tvlm")
    plain = data[: -len(tflite.footer(graph))]
    assert plain + tflite.footer(graph) == data and not plain.endswith(b"TVLM")
    for model in (plain, data):
        Interpreter(model_content=model).allocate_tensors()


def test_a_tflite_of_somebody_else(exported, tmp_path):
    with open(exported, "rb") as file:
        data = file.read()
    cases = {
        data[:-1]: "does not say which encoder it is; make it with tinyvlm-export",
        b"": "does not say which encoder it is",
        data[:-8] + b"\xff\xff\xff\x7fTVLM": "damaged; copy it again",
        data[:-8] + b"\3\0\0\0TVLM": "damaged; copy it again",
    }
    for text in (b"[" * 100_000, b"[]", b"{}", b'{"fingerprint": 5}', b'"\xff"'):
        cases[data + text + struct.pack("<I", len(text)) + b"TVLM"] = "damaged; copy it again"
    for bad, message in cases.items():
        path = tmp_path / "bad.tflite"
        path.write_bytes(bad)
        with openmv.firmware(), pytest.raises(ValueError, match=f"bad.tflite: .*{message}"):
            device.Encoder(str(path))
        assert tflite.fingerprint(bad) is None


def test_frames_that_are_not_raw_pixels():
    with openmv.firmware():
        jpeg = openmv.Image(8, 8, openmv.JPEG)
        with pytest.raises(ValueError, match="ask the camera for RGB565 or GRAYSCALE"):
            as_frame(jpeg, 8)
        frame = as_frame(openmv.Image(8, 6, openmv.RGB565), 8)
        assert (frame.width, frame.height, frame.format) == (8, 6, device.RGB565_LE)
        gray = as_frame(openmv.Image(8, 6, openmv.GRAYSCALE), 8)
        assert gray.format == device.GRAY8


def test_without_a_dense_map(tmp_path):
    graph = tvlm.read(DATA / "base.tvlm")
    path = tmp_path / "flat.tflite"
    path.write_bytes(tflite.to_bytes(graph))
    with openmv.firmware():
        engine = Engine(str(path))
        assert engine.map is None and engine.selftest()
        with pytest.raises(ValueError, match="export it with --dense"):
            engine.embed_map(bytes(96 * 96), 96, 96, 0, 0, bytearray(256), bytearray(9))
        with pytest.raises(RuntimeError, match="no profile"):
            engine.profile()
    image = reference.known_image((96, 96, 3))
    answer = json.loads(tflite.footer(graph)[:-8])["test"]["embedding"]
    assert bytes.fromhex(answer) == reference.embed(graph, image).tobytes()
