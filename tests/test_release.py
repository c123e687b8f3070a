# SPDX-License-Identifier: MIT
"""Making a release: archives that are equal each time, the manifest, what is left out.

The whole of one, on a machine without compilers, is tests/first_hour.py (`make release`).
"""

import gzip
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import release
import release_archive
import release_boards
import release_sets
from conftest import TOP
from hypothesis import given
from hypothesis import strategies as st
from release import Made
from releasing import VERSION, make_release

import tinyvlm
from tinyvlm import device, shipped
from tinyvlm.boards import openmv
from tinyvlm.shipped import DATA

NAMES = st.text("abcXYZ019_-./", min_size=1, max_size=20).filter(
    lambda name: ".." not in name and "//" not in name and not name.startswith("/")
)
EPOCHS = st.integers(0, 2**32 - 1)


# -- making one -------------------------------------------------------------------------------


@given(st.dictionaries(NAMES, st.binary(max_size=99), max_size=6), EPOCHS, st.randoms())
def test_a_zip_depends_on_its_files_alone(files, epoch, random):
    made = release_archive.zip_of(files, epoch)
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert release_archive.zip_of(dict(shuffled), epoch) == made
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == sorted(files)
        assert {name: archive.read(name) for name in files} == files


@given(st.dictionaries(NAMES, st.binary(max_size=99), max_size=6), EPOCHS, EPOCHS)
def test_a_tar_forgets_who_made_it_and_when(files, one, other):
    def tar(when, names):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.uid, info.uname = (
                    len(files[name]),
                    when,
                    when % 99,
                    "x",
                )
                archive.addfile(info, io.BytesIO(files[name]))
        return out.getvalue()

    first = release_archive.same_tar(tar(one, list(files)), 1_700_000_000)
    assert release_archive.same_tar(tar(other, list(files)[::-1]), 1_700_000_000) == first
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive} == files


def test_the_folder_lists_all_that_is_in_it(tmp_path):
    made = [
        Made("a.zip", "drive", "OpenMV", b"zip", "MIT"),
        Made("mip/file/ab", "mip", "web", b"x"),
    ]
    folder = make_release(tmp_path / "dist", *made)
    manifest = json.loads((folder / "manifest.json").read_text())
    first, second = manifest["files"]
    assert first == {
        "name": "a.zip", "kind": "drive", "target": "OpenMV", "size": 3, "version": VERSION,
        "sha256": hashlib.sha256(b"zip").hexdigest(), "licence": "MIT",
    }  # fmt: skip
    assert manifest["formats"] == {"tvlm": 1, "tvp": 1, "manifest": 1}
    sums = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(sums) == there - {"SHA256SUMS"} == {"a.zip", "mip/file/ab", "manifest.json"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    make_release(folder, made[0])  # the old one goes
    assert not (folder / "mip").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="is no release, and not empty"):
        make_release(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    "files, program, model",
    [
        (release_sets.openmv_files, "main.py", "base.tflite"),
        (release_sets.circuitpython_files, "code.py", "nano.tvlm"),
    ],
)
def test_a_drive_has_all_that_its_program_opens(files, program, model):
    drive = files("9.9.9")
    opened = re.findall(rb'"(\w+\.tv\w+)"', drive[program])
    assert all(name.decode() in drive for name in opened)
    assert drive[model] and b"9.9.9" in drive["tinyvlm.txt"]
    fingerprint = (DATA / f"{model.partition('.')[0]}.tvlm").read_bytes()[16:24]
    assert drive["pets.tvp"][16:24] == fingerprint
    package = json.loads((TOP / "device" / "package.json").read_text())["urls"]
    assert {f"lib/{name}" for name, _ in package} <= set(drive)


def test_mips_index(tmp_path):
    files = release_sets.mip_index("9.9.9", {"armv6m": b"native"})
    for name in ("tinyvlm", "tinyvlm-armv6m"):
        flat = json.loads(files[f"{name}.json"])
        index = json.loads(files[f"package/6/{name}/latest.json"])
        assert files[f"package/py/{name}/9.9.9.json"] == files[f"package/6/{name}/latest.json"]
        assert flat["version"] == index["version"] == "9.9.9"
        for (path, url), (same, short) in zip(flat["urls"], index["hashes"], strict=True):
            assert path == same and url == f"file/{short[:2]}/{short}"
            content = files[url]
            assert hashlib.sha256(content).hexdigest().startswith(short)
            assert content == (b"native" if path == "_tinyvlm.mpy" else _device(path))


def _device(path):
    return (TOP / "device" / path).read_bytes()


@pytest.mark.parametrize("both", [True, False])
def test_a_board_s_images(tmp_path, monkeypatch, both):
    """One file where the chip's flash holds firmware and encoder, else ROMFS apart."""
    monkeypatch.setattr(release_boards, "WORK", tmp_path)

    def run(command, env):
        script, board, build, encoder = command
        assert script.exists() and encoder == DATA / "base.tvlm" and env["MPY_DIR"] == "/mpy"
        build.mkdir()
        for name in ("firmware.bin", "firmware.dfu", "rom.romfs", *["all.bin", "all.dfu"] * both):
            (build / name).write_bytes(name.encode())

    monkeypatch.setattr(release_boards, "run", run)
    images = release_boards.stm32("SOME_BOARD", Path("/mpy"), {})
    stem = b"all" if both else b"firmware"
    wanted = {".bin": stem + b".bin", ".dfu": stem + b".dfu"}
    assert images == wanted | ({} if both else {".romfs": b"rom.romfs"})


def test_what_cannot_be_built_is_listed_with_its_reason(tmp_path, monkeypatch):
    tree = tmp_path / "secret" / "micropython"
    tree.mkdir(parents=True)
    (tree / "LICENSE").write_text("MIT")

    def no(*_, **__):
        raise release_boards.NotHere(f"{tree} has no lib/stm32lib")

    for name in ("virtual", "max78000", "engine", "page"):
        monkeypatch.setattr(release_boards, name, no)
    monkeypatch.setattr(release_boards, "stm32", lambda board, *_: {".dfu": b"d", ".romfs": b"r"})
    monkeypatch.setattr(release_boards, "python", lambda *_, wheel: {"t-1.tar.gz": b"s"})
    monkeypatch.setattr(release_boards, "micropython", lambda env: (tree, "1.25.0"))
    (tmp_path / "t-1-cp311-cp311-win_amd64.whl").write_bytes(b"w")
    args = SimpleNamespace(wheels=tmp_path, only=None)
    version, made, left_out = release.compiled("1", 0, args)
    there = {one.name: (one.kind, one.target) for one in made}
    assert there["t-1-cp311-cp311-win_amd64.whl"] == ("wheel", "cp311 win_amd64")
    assert there["tinyvlm-1-WEACT_H743_TINYVLM.dfu"] == ("firmware", "WEACT_H743_TINYVLM")
    assert there["tinyvlm-1-WEACT_H743_TINYVLM.romfs"][0] == "romfs"
    assert {one.more["chip"] for one in made if one.kind == "firmware"} == {"stm32h7"}
    assert set(left_out) == {"page", "VIRT_CORTEX_M7", "MAX78000FTHR", *release_boards.ARCHS}
    assert set(left_out.values()) == {"MicroPython's source has no lib/stm32lib"}


@pytest.mark.parametrize(
    "said, reason",
    [
        ("x\nmake firmware: no encoder at x.\nmake: *** [a] Error 1\n", "no encoder at x"),
        ("Makefile:63: *** No riscv64-unknown-elf-gcc, the compiler for rv32imc: get D.  Stop.",
         "No riscv64-unknown-elf-gcc, the compiler for rv32imc"),
        ("Makefile:63: *** No xtensa-esp32-elf-gcc, the compiler for xtensawin: install E.  Stop.",
         "No xtensa-esp32-elf-gcc, the compiler for xtensawin"),
        ("make: *** No rule to make target 'x'.  Stop.", "No rule to make target"),
        ("ld: region `FLASH' overflowed by 9 bytes\nmake: *** [x] Error 1", "region `FLASH'"),
        ("ld: region overflowed\n", "ld: region overflowed"),
    ],
)  # fmt: skip
def test_the_reason_is_one_line(tmp_path, monkeypatch, said, reason):
    monkeypatch.setattr(release_boards, "WORK", tmp_path)
    command = [sys.executable, "-c", f"import sys; print({said!r}); sys.exit(1)"]
    with pytest.raises(release_boards.NotHere) as caught:
        release_boards.run(command, os.environ)
    assert str(caught.value).startswith(reason) and "\n" not in str(caught.value)
    assert said.strip() in (tmp_path / "log.txt").read_text()


def test_every_core_that_natmod_knows_is_built_or_left_out_by_name():
    makefile = (TOP / "native" / "natmod" / "Makefile").read_text()
    known = re.search(r"^ARCHS := (.*)", makefile, re.M)[1].split()
    assert sorted(release_boards.ARCHS) == sorted(known)


def test_the_sdist_carries_the_page_and_the_examples(tmp_path, monkeypatch):
    """As data of the package, so the wheel that is built of it does, too: tests/first_hour.py."""
    monkeypatch.setattr(release_boards, "WORK", tmp_path)
    page = DATA / "tinyvlm.html"
    there, env = page.exists(), release_boards.environment(1_700_000_000)
    carried = {page: b"<title>the page</title>"}
    [sdist] = release_boards.python(1_700_000_000, env, carried, wheel=False).values()
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        inside = f"tinyvlm-{VERSION}/host/tinyvlm"
        html = archive.extractfile(f"{inside}/data/tinyvlm.html").read()
        assert html == b"<title>the page</title>"
        program = archive.extractfile(f"{inside}/examples/openmv_detect.py").read()
        assert program == openmv.EXAMPLE.read_bytes()  # which tinyvlm-deploy copies
    assert page.exists() == there  # the checkout stays as it is


def test_what_to_install_never_names_this_package(tmp_path, monkeypatch):
    """It is in no index: there `pip install tinyvlm` would find nothing, or a stranger's."""
    monkeypatch.chdir(tmp_path)
    assert shipped.extra("words") == f"pip install -e '{TOP}[words]'"
    monkeypatch.chdir(TOP)
    assert shipped.extra("train") == "pip install -e '.[train]'"
    monkeypatch.setattr(shipped, "CHECKOUT", tmp_path)  # as in an installed wheel
    line = shipped.extra("words")
    assert line.startswith("pip install 'onnxruntime>=1.17' 'tokenizers") and "torch" not in line
    for path in (TOP / "host").rglob("*.py"):
        assert "pip install 'tinyvlm" not in path.read_text("utf-8"), path


def test_one_version_everywhere():
    project = re.search(r'^version = "(.*)"', (TOP / "pyproject.toml").read_text(), re.M)[1]
    assert tinyvlm.__version__ == device.__version__ == project
    assert json.loads((TOP / "device" / "package.json").read_text())["version"] == project
    assert f'version="{project}"' in (TOP / "device" / "manifest.py").read_text()
    assert re.search(rf"^## \[?{re.escape(project)}\b", (TOP / "CHANGELOG.md").read_text(), re.M)


def test_the_workflow():
    """GitHub reads `on` as a key, YAML 1.1 as True; every step does something."""
    yaml = pytest.importorskip("yaml", reason="PyYAML, which esptool needs, is not installed")
    text = (TOP / ".github" / "workflows" / "release.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow[True]["push"]["tags"] == ["v*"] and text.count("\n") <= 60
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    assert all("runs-on" in job for job in workflow["jobs"].values())
    assert all(
        set(job.get("needs", [])) <= set(workflow["jobs"]) for job in workflow["jobs"].values()
    )
    commands = "\n".join(step.get("run", "") for step in steps)
    targets = re.search(r"^\.PHONY: (.*)", (TOP / "Makefile").read_text(), re.M)[1].split()
    assert {"release", "test"} <= set(re.findall(r"\bmake (\w+)", commands)) <= set(targets)
