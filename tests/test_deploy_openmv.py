# SPDX-License-Identifier: MIT
"""tinyvlm-deploy --openmv: the drive of an OpenMV camera or ESP-VISION board, and ROMFS images."""

import zipfile

import pytest
from conftest import BoardUnderTest
from deploying import FINGERPRINT, make_vocab, run, small_encoder
from releasing import VERSION, Made, make_release
from releasing import encoder as released

import tinyvlm
from tinyvlm.boards import deployment, openmv, ports, romfs
from tinyvlm.net import tflite
from tinyvlm.shipped import DATA

pytest.importorskip("ai_edge_litert")

BLINKS = "# main.py -- put your code here!\nimport led\n"


@pytest.fixture(params=openmv.MARKS)
def drive(tmp_path, request):
    """As the firmware leaves it."""
    folder = tmp_path / "NO NAME"
    folder.mkdir()
    (folder / request.param).write_bytes(b"")
    (folder / "main.py").write_text(BLINKS)
    return folder


@pytest.fixture
def small(tmp_path):
    """Options for an encoder that is quickly exported, and a vocabulary for it."""
    path = small_encoder(tmp_path)
    fingerprint = path.read_bytes()[16:24]
    return path, make_vocab(tmp_path / "pets.tvp", fingerprint=fingerprint)


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


PACKAGE = [f"lib/tinyvlm/{path.name}" for path in deployment.package_files()]


def test_all_that_a_camera_needs_in_one_command(drive, tmp_path):
    [mark] = [name for name in openmv.MARKS if (drive / name).exists()]
    pets = make_vocab(tmp_path / "pets.tvp")
    status, out, _ = run(pets, "--openmv", drive)
    print(out)
    assert status == 0 and openmv.MARKS[mark] in out and "reset the board" in out
    wanted = [mark, "base.tflite", "main.py", "main.old.py", "pets.tvp", *PACKAGE]
    assert tree(drive) == sorted(wanted)
    assert (drive / "main.py").read_bytes() == openmv.EXAMPLE.read_bytes()
    assert (drive / "main.old.py").read_text() == BLINKS
    assert tflite.fingerprint((drive / "base.tflite").read_bytes()) == FINGERPRINT
    _, out, _ = run(pets, "--openmv", drive)
    assert "base.tflite" in out and "kept" in out and "unchanged: the board has all of it" in out
    assert tree(drive) == sorted(wanted)


def test_the_only_drive_is_found(drive, small, tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "_mounts", lambda: [tmp_path, drive])
    monkeypatch.setattr(ports, "serial_ports", lambda: [])
    assert f"{drive}  drive of an" in run("--list")[1]
    encoder, pets = small
    assert run(pets, "--openmv", "--encoder", encoder)[0] == 0 and (drive / "pets.tvp").exists()
    monkeypatch.setattr(ports, "_mounts", lambda: [tmp_path])
    assert "no drives of OpenMV cameras are mounted" in run(pets, "--openmv")[2]


def test_two_at_once(drive, small):
    """As on any drive: they would remove each other's half-written files."""
    encoder, pets = small
    first = openmv.Camera(drive)
    first.lock()
    before = tree(drive)
    status, _, err = run(pets, "--openmv", drive, "--encoder", encoder)
    assert status == 2 and "another tinyvlm-deploy is busy with" in err
    assert tree(drive) == before
    first.unlock()
    assert run(pets, "--openmv", drive, "--encoder", encoder)[0] == 0


def test_a_program_of_yours_is_asked_for_or_kept(drive, small, tmp_path):
    encoder, pets = small
    mine = tmp_path / "mine.py"
    mine.write_text("print(1)\n")
    assert run(pets, "--openmv", drive, "--encoder", encoder, "--main", mine)[0] == 0
    assert (drive / "main.py").read_text() == "print(1)\n"
    assert not (drive / "main.old.py").exists()
    assert run(pets, "--openmv", drive)[0] == 0  # the example again
    assert (drive / "main.old.py").read_text() == "print(1)\n"
    (drive / "main.py").write_text("print(2)\n")
    status, _, err = run(pets, "--openmv", drive)
    assert status == 2 and "main.old.py is there already" in err
    assert (drive / "main.py").read_text() == "print(2)\n"


def test_an_older_example_is_replaced(drive, small):
    encoder, pets = small
    (drive / "main.py").write_bytes(openmv.EXAMPLE.read_bytes() + b"# changed\n")
    assert run(pets, "--openmv", drive, "--encoder", encoder)[0] == 0
    assert (drive / "main.py").read_bytes() == openmv.EXAMPLE.read_bytes()
    assert not (drive / "main.old.py").exists()


def test_a_cut_off_encoder_is_written_again_and_a_foreign_one_left(drive, small):
    encoder, pets = small
    (drive / "person.tflite").write_bytes(b"somebody else's")
    assert run(pets, "--openmv", drive, "--encoder", encoder)[0] == 0
    whole = (drive / "small.tflite").read_bytes()
    (drive / "small.tflite").write_bytes(whole[:-100])
    status, out, _ = run(pets, "--openmv", drive, "--encoder", encoder)
    assert status == 0 and "small.tflite" in out and "changed" in out
    assert (drive / "small.tflite").read_bytes() == whole
    assert (drive / "person.tflite").read_bytes() == b"somebody else's"


def test_what_is_refused(drive, small, tmp_path):
    encoder, pets = small
    assert run("--openmv", drive, "--encoder", encoder)[0] == 0
    cases = [
        ([make_vocab(tmp_path / "base.tvp"), "--openmv", drive], "the board has small.tflite"),
        ([make_vocab(tmp_path / "base.tvp"), "--openmv", tmp_path / "x.romfs", "--encoder",
          encoder], "packed for encoder"),
        ([pets, "--openmv", tmp_path], "not the drive of an OpenMV camera"),
        ([pets, "--openmv", drive, "--port", "/dev/ttyACM0"], "--openmv needs no --port"),
        ([pets, "--openmv", drive, "--backend", "ampy"], "needs no --backend"),
        ([pets, "--openmv", drive, "--engine", pets], "needs no --engine"),
        (["--openmv", pets], "vocabularies come first"),
        ([pets, "--openmv", ""], "vocabularies come first"),
    ]  # fmt: skip
    before = tree(drive)
    for arguments, message in cases:
        status, _, err = run(*arguments)
        assert status == 2 and message in err, err
    assert tree(drive) == before and not (tmp_path / "x.romfs").exists()


def test_an_encoder_that_the_camera_would_find_first(drive, small, tmp_path):
    encoder, pets = small
    assert run(make_vocab(tmp_path / "base.tvp"), "--openmv", drive)[0] == 0
    before = tree(drive)
    status, _, err = run(pets, "--openmv", drive, "--encoder", encoder)
    assert status == 2 and "the board would take base.tflite" in err and "delete it" in err
    assert tree(drive) == before


def test_too_small_a_drive(drive, small, monkeypatch):
    encoder, pets = small
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: type("U", (), {"total": 9000, "free": 5000})
    )
    status, _, err = run(pets, "--openmv", drive, "--encoder", encoder)
    assert status == 2 and "SD card" in err and "--openmv FILE.romfs" in err


@pytest.mark.parametrize("lengths", [(1, 2), (127, 128, 70000), (0, 16383, 16384)])
def test_files_in_an_image_lie_at_multiples_of_32(firmware, tmp_path, lengths):
    """MicroPython itself mounts it and finds them there."""
    files = {f"{i}.tflite": bytes([i + 1]) * length for i, length in enumerate(lengths)}
    others = [("/rom/lib/x/__init__.py", b"one = 1\n"), ("/rom/a.txt", b"hello")]
    image = romfs.make_image([*((f"/rom/{n}", d) for n, d in files.items()), *others])
    path = tmp_path / "image.romfs"
    path.write_bytes(image)
    board = BoardUnderTest(firmware, romfs=path)
    try:
        code = (
            "import uctypes, x\nprint(x.one, open('/rom/a.txt').read())\n"
            f"for name in {sorted(files)!r}:\n data = memoryview(open('/rom/' + name, 'rb'))\n"
            " print(len(data), uctypes.addressof(data) % 32, set(data))"
        )
        there = board.exec(code).splitlines()
    finally:
        board.close()
    assert there[0].strip() == "1 hello"
    seen = [line.strip() for line in there[1:]]
    assert seen == [f"{n} 0 { ({i + 1} if n else set()) }" for i, n in enumerate(lengths)]


def test_an_image_has_all_that_a_camera_needs(small, tmp_path):
    encoder, pets = small
    image = tmp_path / "camera.romfs"
    assert "would have" in run(pets, "--openmv", image, "--encoder", encoder, "--dry-run")[1]
    assert not image.exists()
    status, out, _ = run(pets, "--openmv", image, "--encoder", encoder)
    assert status == 0 and f"{image.stat().st_size} bytes" in out
    data = image.read_bytes()
    for part in (pets, openmv.EXAMPLE, *deployment.package_files()):
        assert part.read_bytes() in data
    assert data.index(b"TFL3") % 32 == 4  # the flatbuffer's second word


def test_the_encoder_is_that_of_the_vocabularies(drive, tmp_path):
    made = tinyvlm.pack(["cat"], model="nano", text_encoder="lexicon")
    made.save(tmp_path / "cat.tvp")
    status, out, error = run(tmp_path / "cat.tvp", "--openmv", drive)
    assert status == 0, error
    assert "nano.tflite" in out and (drive / "nano.tflite").exists()
    status, out, _ = run(tmp_path / "cat.tvp", "--openmv", tmp_path / "x.romfs")
    assert status == 0 and "/rom/nano.tflite" in out


def test_an_image_has_the_encoder_of_the_release(small, tmp_path):
    """That of the words, or base, as a board's ROMFS gets it."""
    encoder, pets = small
    other = DATA / "nano.tvlm"
    made = [released("small", encoder.read_bytes()), released("base", other.read_bytes())]
    folder, image = make_release(tmp_path / "dist", *made), tmp_path / "camera.romfs"
    status, out, err = run(pets, "--openmv", image, "--from", folder)
    assert status == 0, err
    assert f"release     {folder}: version {VERSION}, small.tvlm\n" in out
    assert "/rom/small.tflite, " in out
    status, out, err = run("--openmv", image, "--from", folder)
    assert status == 0, err
    exported = openmv.encoder_file(deployment.read_model(other)).data
    assert "/rom/base.tflite, " in out and exported in image.read_bytes()
    with zipfile.ZipFile(tmp_path / "openmv.zip", "w") as drive:  # what the release has made
        drive.writestr("small.tflite", b"from the release")
    drive = Made("openmv.zip", "drive", "OpenMV", (tmp_path / "openmv.zip").read_bytes())
    make_release(folder, *made, drive)
    assert run(pets, "--openmv", image, "--from", folder)[0] == 0
    assert b"from the release" in image.read_bytes()
    stranger = make_vocab(tmp_path / "strange.tvp", fingerprint=bytes(8))
    status, _, err = run(pets, stranger, "--openmv", image, "--from", folder)
    assert status == 2 and "strange.tvp" in err
