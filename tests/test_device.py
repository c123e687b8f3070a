# SPDX-License-Identifier: MIT
"""The device package with the encoder that ships, as its users have it: the same calls on the
virtual board, through mpremote, and on the PC."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinyvlm
from tinyvlm.shipped import DATA
from tinyvlm.virtual.demo import named, parse
from tinyvlm.virtual.photos import photos, save_ppm

TOP = Path(__file__).resolve().parents[1]
DETECT = TOP / "device" / "examples" / "detect.py"


def pack(folder, name, words, *options):
    """A vocabulary packed by the command, straight from the checkout; all guesses are shown."""
    words_file = folder / f"{name}.txt"
    words_file.write_text("\n".join(words))
    command = [sys.executable, TOP / "host" / "tinyvlm-pack", "--vocab", words_file]
    command += ["--unknown", "off", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return words_file.with_suffix(".tvp")


@pytest.fixture(scope="module")
def rom(tmp_path_factory):
    """A ROMFS image with the encoder and the photos."""
    folder = tmp_path_factory.mktemp("rom")
    (folder / "rom" / "photos").mkdir(parents=True)
    (folder / "rom" / "base.tvlm").write_bytes((DATA / "base.tvlm").read_bytes())
    for photo in photos():
        save_ppm(photo, folder / "rom" / "photos" / f"{photo.name}.ppm")
    image = folder / "rom.romfs"
    command = [sys.executable, "-m", "mpremote", "romfs", "-o", image, "build", folder / "rom"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return image


def load_photo(board, name):
    board.exec(f"import tinyvlm\nframe = tinyvlm.Frame.open('/rom/photos/{name}.ppm')")


def test_embeddings_of_real_photos_equal_the_pc_to_the_last_bit(start_board, rom, tmp_path):
    board = start_board(romfs=rom)
    differ = count = 0
    for photo in photos():
        load_photo(board, photo.name)
        there = board.eval("list(tinyvlm.embed(frame))")
        path = tmp_path / f"{photo.name}.ppm"
        save_ppm(photo, path)
        here = list(tinyvlm.embed(path))
        differ += sum(a != b for a, b in zip(there, here, strict=True))
        count += len(here)
    print(f"virtual board = C extension on real photos: {differ} of {count} differ")
    assert differ == 0


def test_classify_gives_the_same_answer_here_and_there(start_board, rom, tmp_path):
    board = start_board(romfs=rom)
    vocab = pack(tmp_path, "some", ["cat", "dog", "rocket", "coffee cup"], "--dim", "32")
    board.mpremote("cp", vocab, ":")
    load_photo(board, "chelsea")
    board.exec("v = tinyvlm.Vocab('some.tvp')")
    there = board.eval("tinyvlm.classify(frame, v, top=4)")
    [cat] = [photo for photo in photos() if photo.name == "chelsea"]
    save_ppm(cat, tmp_path / "cat.ppm")
    here = tinyvlm.classify(tmp_path / "cat.ppm", tinyvlm.Vocab(vocab), top=4)
    assert [label for label, _ in there] == [label for label, _ in here]
    assert [score for _, score in there] == pytest.approx([s for _, s in here], abs=1e-5)
    assert board.eval("repr(v)") == repr(tinyvlm.Vocab(vocab))
    assert board.eval("('cat' in v, 'cup' in v, list(v))") == (
        True,
        False,
        ["cat", "dog", "rocket", "coffee cup"],
    )
    board.exec("v.dim = 16")
    assert len(board.eval("tinyvlm.classify(frame, v)")) == 3


def test_another_vocabulary_is_a_copy_away(start_board, rom, tmp_path):
    board = start_board(romfs=rom)
    for name, words in (("pets", ["cat", "dog", "bird"]), ("kitchen", ["cup", "fork", "bottle"])):
        board.mpremote("cp", pack(tmp_path, name, words), ":")
        # the camera sees the photos in ROMFS, the words come from the newest file
        output = board.mpremote("run", DETECT, timeout=100)
        lines = [line.replace(" ms", " M instructions") for line in output.splitlines()]
        answers = parse(named(lines, photos()))
        assert set(answers) == {photo.name for photo in photos()}, output
        assert {label for found in answers.values() for label, _ in found} <= set(words)
        time.sleep(1)  # file times have seconds


def test_weights_stay_in_romfs_and_the_frame_fits_the_budget(start_board, rom, tmp_path):
    board = start_board(romfs=rom)
    board.mpremote("cp", pack(tmp_path, "pets", ["cat", "dog"]), ":")
    load_photo(board, "chelsea")
    board.exec("import gc; gc.collect(); before = gc.mem_alloc(); e = tinyvlm.load()")
    heap = board.eval("(gc.collect(), gc.mem_alloc() - before)[1]")
    size = (DATA / "base.tvlm").stat().st_size
    print(f"encoder of {size} bytes: {heap} bytes of heap, {board.eval('e.arena')} of arena")
    assert board.eval("e.in_place") and heap < 6000
    assert board.eval("e.arena") <= 128 * 1024
    board.exec("v = tinyvlm.Vocab('pets.tvp'); tinyvlm.classify(frame, v); gc.collect()")
    peak = board.eval("(tinyvlm.classify(frame, v), gc.mem_alloc())[1]")
    print(f"peak heap of a program that classifies: {peak} of 327680 bytes")
    assert peak < 100_000


def test_an_encoder_too_large_for_the_heap_says_so(start_board, tmp_path):
    board = start_board()
    board.exec(
        "import tinyvlm\nf = open('big.tvlm', 'wb')\nfor _ in range(100): f.write(bytes(4096))\n"
        "f.close()\ntry:\n    tinyvlm.load()\nexcept MemoryError as e:\n    message = str(e)"
    )
    message = board.eval("message")
    assert message.startswith("big.tvlm needs 409600 bytes of RAM")
    assert "mpremote romfs deploy" in message and "largest block" in message


def test_no_encoder_no_vocabulary_wrong_vocabulary(start_board, rom, tmp_path):
    board = start_board()
    assert "no vocabulary" in board.mpremote("run", DETECT, check=False) or "no encoder" in (
        board.mpremote("run", DETECT, check=False)
    )
    with pytest.raises(AssertionError, match="no encoder .*romfs deploy"):
        board.exec("import tinyvlm; tinyvlm.load()")
    board = start_board(romfs=rom)
    data = bytearray(pack(tmp_path, "pets", ["cat", "dog"]).read_bytes())
    data[16] ^= 1  # another encoder's fingerprint, and the CRC made right again
    import zlib

    data[12:16] = zlib.crc32(data[16:]).to_bytes(4, "little")
    (tmp_path / "other.tvp").write_bytes(data)
    board.mpremote("cp", tmp_path / "other.tvp", ":")
    load_photo(board, "chelsea")
    with pytest.raises(AssertionError, match="was packed for encoder .* is loaded; load"):
        board.exec("tinyvlm.classify(frame, tinyvlm.Vocab('other.tvp'))")


def test_damaged_vocabularies_are_refused(board, tmp_path):
    data = pack(tmp_path, "pets", ["cat", "dog"], "--dim", "4").read_bytes()
    (tmp_path / "check.py").write_text(
        "import tinyvlm\n"
        "data = open('pets.tvp', 'rb').read()\n"
        "tinyvlm.Vocab('pets.tvp')\n"
        "refused = 0\n"
        "def check(damaged):\n"
        "    global refused\n"
        "    try:\n"
        "        tinyvlm.Vocab(damaged)\n"
        "    except ValueError:\n"
        "        refused += 1\n"
        "for n in range(len(data)):\n"
        "    check(data[:n])\n"
        "for bit in range(0, 8 * len(data), 3):\n"
        "    damaged = bytearray(data)\n"
        "    damaged[bit // 8] ^= 1 << bit % 8\n"
        "    check(damaged)\n"
        "print(refused)\n"
    )
    board.mpremote("cp", tmp_path / "pets.tvp", ":")
    output = board.mpremote("run", tmp_path / "check.py", timeout=60)
    assert int(output) == len(data) + len(range(0, 8 * len(data), 3))


def test_ctrl_c_soft_reset_and_a_second_load(start_board, rom):
    board = start_board(romfs=rom)
    load_photo(board, "rocket")
    first = board.eval("list(tinyvlm.embed(frame))[:8]")
    board.begin("while True: tinyvlm.embed(frame)")
    time.sleep(0.3)
    board.interrupt()
    assert board.eval("list(tinyvlm.embed(frame))[:8]") == first
    board.mpremote("soft-reset")
    load_photo(board, "rocket")
    board.exec("tinyvlm.load(); tinyvlm.load('/rom/base.tvlm')")
    assert board.eval("list(tinyvlm.embed(frame))[:8]") == first


FRAME_ERRORS = [
    ("tinyvlm.Frame(bytes(99), 10, 10, 'GRAY8')", "needs 100 bytes, the buffer has 99"),
    ("tinyvlm.Frame(bytes(100), 10, 10, 'RGB')", "use one of GRAY8, RGB565_LE"),
    ("tinyvlm.Frame(bytes(100), 10, 10, 9)", "use tinyvlm.RGB565_BE"),
    ("tinyvlm.Frame(bytes(100), 0, 10, 0)", "impossible"),
    ("tinyvlm.Frame(b'\\xff\\xd8\\xff\\xe0' + bytes(90), 10, 10, 0)", "this is a JPEG"),
    ("tinyvlm.classify(bytes(77), v)", "77 bytes: say what they are"),
    ("tinyvlm.classify(5, v)", "must be a tinyvlm.Frame or a buffer, not int"),
]


@pytest.mark.parametrize(("code", "message"), FRAME_ERRORS)
def test_bad_frames_on_the_pc(code, message, tmp_path):
    names = {"tinyvlm": tinyvlm, "v": tinyvlm.Vocab(pack(tmp_path, "pets", ["cat"]))}
    with pytest.raises((ValueError, TypeError), match=message):
        eval(code, names)


def test_bad_frames_on_the_board(start_board, rom, tmp_path):
    board = start_board(romfs=rom)
    board.mpremote("cp", pack(tmp_path, "pets", ["cat"]), ":")
    board.exec("import tinyvlm; v = tinyvlm.Vocab('pets.tvp')")
    for code, message in FRAME_ERRORS:
        board.exec(
            f"try:\n    {code}\nexcept (ValueError, TypeError) as e:\n    message = str(e)\n"
        )
        assert message in board.eval("message")
