# SPDX-License-Identifier: MIT
"""A first hour with dist/ alone: a clean venv, and a PATH with QEMU and nothing else on it.

`make release` runs it after it has filled dist/; `make test` does not, as it needs a release and
the packages that the wheel depends on. In order: each test goes on where the one before ended.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tinyvlm.release import Release
from tinyvlm.virtual.photos import photos, save_ppm

TOP = Path(__file__).resolve().parents[1]
DIST = Path(os.environ.get("TINYVLM_DIST", TOP / "dist"))
FORBIDDEN = ("gcc", "cc", "git", "make", "arm-none-eabi-gcc", "mpy-cross")

pytestmark = pytest.mark.skipif(
    not (DIST / "manifest.json").exists(), reason="no dist/: run make release"
)


@pytest.fixture(scope="module")
def release():
    return Release(DIST)


@pytest.fixture(scope="module")
def pc(tmp_path_factory, release):
    """A folder that stands for a PC: the wheel in its own Python, QEMU, and no tools."""
    home = tmp_path_factory.mktemp("pc")
    venv.create(home / "venv", with_pip=True)
    tools = home / "tools"
    tools.mkdir()
    qemu = shutil.which("qemu-system-arm")
    if qemu is None:
        pytest.skip("qemu-system-arm is not installed")
    (tools / "qemu-system-arm").symlink_to(qemu)
    wheels = [file for file in release.files("wheel") if file.target.startswith(_tag())]
    assert wheels, f"no wheel for {_tag()} in {DIST}"
    done = _run(home, "pip", "install", "--quiet", release.path(wheels[-1]))
    if done.returncode and re.search("No matching distribution|connection|resolve", done.stderr):
        pytest.skip(f"the packages that the wheel needs: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    shutil.copy(next(p for p in photos() if p.name == "chelsea").path, home / "cat.png")
    (home / "pets.txt").write_text("cat\ndog: dog, puppy\nMeerschwein: guinea pig\n")
    return home


def _tag():
    return f"cp{sys.version_info.major}{sys.version_info.minor} "


def _environment(home):
    kept = {n: v for n, v in os.environ.items() if n.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    return kept | {"PATH": f"{home}/venv/bin:{home}/tools", "HOME": str(home), "LANG": "C.UTF-8"}


def _run(home, *command, check=False):
    done = subprocess.run(
        [*map(str, command)], cwd=home, env=_environment(home), capture_output=True, text=True,
        timeout=900, executable=home / "venv" / "bin" / command[0],
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def test_nothing_says_where_it_was_made():
    """Another folder, or another user, makes equal bytes."""
    for path in (path for path in DIST.rglob("*") if path.is_file()):
        parts = {"": path.read_bytes()}
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts |= {name: archive.read(name) for name in archive.namelist()}
        for name, data in parts.items():
            assert str(TOP).encode() not in data, f"{path.name} {name}"


def test_there_is_nothing_to_compile_with(pc):
    path = _environment(pc)["PATH"]
    assert not [tool for tool in FORBIDDEN if shutil.which(tool, path=path)]
    where = "import tinyvlm, _tinyvlm; print(tinyvlm.__file__, _tinyvlm.__file__)"
    for path in _run(pc, "python", "-c", where, check=True).stdout.split():
        assert path.startswith(str(pc))


def test_pack(pc):
    said = _run(pc, "tinyvlm-pack", "--vocab", "pets.txt", check=True).stdout
    assert said.startswith("pets.tvp: 3 labels") and (pc / "pets.tvp").exists()


def test_try_a_photo(pc):
    said = _run(pc, "tinyvlm-try", "--vocab", "pets.tvp", "cat.png", check=True).stdout
    assert said.startswith("cat.png: cat 0.")
    with Image.open(pc / "cat.png.tinyvlm.png") as drawn:
        assert drawn.size[0] >= 320


@pytest.mark.parametrize("options", [(), ("--from", DIST)])
def test_studio_serves_the_page_of_the_wheel(pc, release, options):
    """Or that of the folder; and all words for it, which are the same in both."""
    if not release.files("page"):
        pytest.skip("no page in this release: manifest.json says why")
    command = [pc / "venv" / "bin" / "tinyvlm-studio", "--no-browser", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=pc, env=_environment(pc), stdout=subprocess.PIPE, text=True
    ) as studio:
        try:
            address = studio.stdout.readline().split()[0]
            for name, kind in (("", "page"), ("lexicon.bin", "lexicon")):
                with urllib.request.urlopen(address + name, timeout=120) as answer:
                    assert answer.read() == release.path(release.one(kind)).read_bytes()
        finally:
            studio.terminate()


def test_what_is_missing_is_said_as_it_can_be_installed(pc):
    done = _run(pc, "tinyvlm-pack", "--vocab", "pets.txt", "--text-encoder", "sentence")
    assert done.returncode == 2 and "pip install 'onnxruntime>=1.17' 'tokenizers" in done.stderr


def test_inspect_and_help(pc):
    assert "96x96" in _run(pc, "tinyvlm-inspect", "base", check=True).stdout
    for command in (pc / "venv" / "bin").glob("tinyvlm-*"):
        if command.name != "tinyvlm-train":  # which needs torch
            assert "usage" in _run(pc, command.name, "--help", check=True).stdout


@pytest.fixture(scope="module")
def port(pc):
    """The port of the virtual board, as `tinyvlm-board --from` prints it."""
    command = [pc / "venv" / "bin" / "tinyvlm-board", "--from", DIST]
    with subprocess.Popen(
        command, cwd=pc, env=_environment(pc), stdout=subprocess.PIPE, text=True
    ) as board:
        try:
            line = board.stdout.readline()
            assert line.startswith("mpremote connect ")
            yield line.split()[-1]
        finally:
            board.terminate()


def test_deploy_and_classify(pc, port):
    said = _run(pc, "tinyvlm-deploy", "pets.tvp", "--from", DIST, "--port", port, check=True)
    assert "self-test passed" in said.stdout and "base.tvlm" in said.stdout
    save_ppm(next(p for p in photos() if p.name == "chelsea"), pc / "cat.ppm")
    _run(pc, "mpremote", "connect", port, "cp", "cat.ppm", ":", check=True)
    code = (
        "import tinyvlm; print(tinyvlm.classify(tinyvlm.Frame.open('cat.ppm'), "
        "tinyvlm.Vocab('pets.tvp'))[0][0])"
    )
    done = _run(pc, "mpremote", "connect", port, "exec", code, check=True)
    assert done.stdout.strip() == "cat"


def test_an_image_for_an_openmv_camera(pc):
    """Its program comes with the wheel."""
    words = "pets.tvp", "--openmv", "camera.romfs", "--from", DIST
    said = _run(pc, "tinyvlm-deploy", *words, check=True).stdout
    assert "/rom/base.tflite, " in said and "/rom/main.py, " in said
    program = (TOP / "device" / "examples" / "openmv_detect.py").read_bytes()
    assert program in (pc / "camera.romfs").read_bytes()


def test_flash_finds_its_image(pc, release):
    found = release.files("firmware")
    if not found:
        pytest.skip("no firmware in this release: manifest.json says why")
    for file in found:
        words = "--from", DIST, "--board", file.target, "--dry-run"
        assert f"for {file.target}\n" in _run(pc, "tinyvlm-flash", *words, check=True).stdout


@pytest.fixture(scope="module")
def project(pc, release):
    """A program of somebody's, with a mistake in its last line, and typings.zip beside it."""
    shutil.unpack_archive(release.path(release.one("stubs")), pc / "typings")
    (pc / "watch.py").write_text(
        "import _tinyvlm\nimport camera\nimport tinyvlm\n"
        "cam = camera.Camera(frame_size=camera.FrameSize.QVGA)\n"
        "scores = tinyvlm.classify(cam.capture(), tinyvlm.Vocab('pets.tvp'))\n"
        "reveal_type(scores[0])\n"
        "_tinyvlm.Encoder(b'').no_such_thing\n"
    )
    return pc


def _checker(pc, name):
    done = _run(pc, "pip", "install", "--quiet", name)
    if done.returncode:
        pytest.skip(f"{name} cannot be installed: {done.stderr.strip()[-200:]}")


def test_mypy_knows_the_package_and_the_boards(project):
    _checker(project, "mypy")
    (project / "mypy.ini").write_text("[mypy]\nmypy_path = typings\n")
    options = "--no-color-output", "--config-file", "mypy.ini"
    said = _run(project, "python", "-m", "mypy", *options, "watch.py").stdout
    assert "tuple[str, float]" in said.replace("builtins.", "")  # older ones say it so
    assert said.count("error:") == 1 and 'no attribute "no_such_thing"' in said


def test_pyright_knows_the_package_and_the_boards(project):
    """By itself: what it is told is which Python is meant, as an editor tells it."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        pytest.skip("pyright needs node, which is not installed (Debian: nodejs)")
    _checker(project, "pyright")
    if not (project / "tools" / "node").exists():
        (project / "tools" / "node").symlink_to(node)
    python = project / "venv" / "bin" / "python"
    done = _run(project, "pyright", "--pythonpath", python, "--outputjson", "watch.py")
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    found = json.loads(done.stdout)["generalDiagnostics"]
    said = [(one["severity"], one["range"]["start"]["line"] + 1, one["message"]) for one in found]
    errors = [(line, text) for severity, line, text in said if severity == "error"]
    assert [line for line, _ in errors] == [7] and "no_such_thing" in errors[0][1], said
    assert any(line == 6 and "tuple[str, float]" in text for _, line, text in said), said
