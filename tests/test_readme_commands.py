# SPDX-License-Identifier: MIT
"""README.md: every command in it is run by some test, by the table here; a new one needs a line.

Below the table are tests of the commands that README shows without their output.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from readme import BLOCKS, FENCES, TEXT, TOP, make, shell
from stm32 import BOARDS

import tinyvlm
from tinyvlm import export, pack
from tinyvlm.train import config
from tinyvlm.words import tvp

HERE = Path(__file__)

# command, as in README -> the test that runs it
PRINTED = "test_readme.py::test_pack_prints_what_is_shown"
DEMO = "test_readme.py::test_the_demo_prints_what_is_shown"
PROMPT = "test_readme.py::test_the_prompt"
CLAIMED = {
    "make demo": DEMO,
    (
        "host/tinyvlm-pack --vocab device/examples/things.txt -o build/demo/things.tvp --dim 256"
        " --no-unknown"
    ): DEMO,
    "--dim 256": DEMO,
    "mpremote connect PORT cp build/demo/things.tvp :": DEMO,
    "mpremote connect PORT run device/examples/detect.py": DEMO,
    ". .venv/bin/activate": "test_readme_commands.py::test_commands_on_the_path",
    "mpremote": "test_readme_commands.py::test_commands_on_the_path",
    r"printf 'cat\ndog: dog, puppy\nMeerschwein: guinea pig\n' > pets.txt": PRINTED,
    "host/tinyvlm-pack --vocab pets.txt": PRINTED,
    r"printf 'bird\neagle\ncup\nmug\nteapot\n' > shelf.txt": PRINTED,
    "host/tinyvlm-pack --vocab shelf.txt": PRINTED,
    "--explain": PRINTED,
    "host/tinyvlm-pack --vocab pets.txt --explain": PRINTED,
    "--no-unknown": PRINTED,
    "host/tinyvlm-pack --vocab pets.txt --no-unknown -o always.tvp": PRINTED,
    "--report report.html": "test_readme_commands.py::test_options_of_pack",
    "--dim 16": "test_readme_commands.py::test_options_of_pack",
    "--bits 4": "test_readme_commands.py::test_options_of_pack",
    "--text-encoder open_clip:ViT-B-32/openai": "test_readme_commands.py::test_the_real_clip",
    "pip install -e '.[train]'": "test_readme_commands.py::test_extras",
    "make firmware BOARD=NUCLEO_H743ZI_TINYVLM MPY_DIR=micropython": (
        "test_readme_commands.py::test_make_firmware"
    ),
    "tinyvlm-flash": "test_flash.py::test_dfu_file",
    "make natmod ARCH=armv7emdp": "test_readme_commands.py::test_make_natmod",
    "mpremote mip": "test_mip.py::test_engine_and_package",
    "tinyvlm-export base --tflite base.tflite": "test_readme_commands.py::test_export",
    "make max78000": "test_max78000_board.py::test_embeddings_are_the_pc_s",
    "host/tinyvlm-deploy pets.tvp": "test_readme.py::test_deploy_prints_what_is_shown",
    "tinyvlm-deploy --engine": "test_deploy_engine.py::test_the_engine_is_copied_and_runs",
    "--port": "test_readme.py::test_deploy_prints_what_is_shown",
    "mpremote cp pets.tvp :": "test_readme.py::test_a_new_vocabulary_is_copied",
    ".venv/bin/tinyvlm-board --romfs build/demo/rom.romfs": PROMPT,
    "mpremote connect PORT cp build/demo/things.tvp pets.tvp :": PROMPT,
    "mpremote connect PORT": PROMPT,
    "host/tinyvlm-try --vocab build/demo/things.tvp photos/": (
        "test_readme.py::test_try_prints_what_is_shown"
    ),
    "--heatmap": "test_readme.py::test_try_prints_what_is_shown",
    "host/tinyvlm-try --vocab pets.tvp --camera 0": (
        "test_tryit.py::test_a_webcam_in_a_window_until_q"
    ),
    "pip install opencv-python": "test_tryit.py::test_what_is_wrong_with_a_webcam_is_said",
    "make size": "test_readme_numbers.py::test_engine",
    "make bench": "test_readme_numbers.py::test_bench",
    "tinyvlm-eval": "test_eval.py::test_the_encoder_that_ships",
    "tinyvlm-pack": PRINTED,
    "tinyvlm-pack --model nano": "test_pack.py::test_shipped_encoders_have_names",
    "tinyvlm-train --train-data 'shards/*.tar' --model base": (
        "test_readme_commands.py::test_training"
    ),
    "tinyvlm-train export --run logs/base --out base.tvlm": (
        "test_readme_commands.py::test_training"
    ),
    "make board": "test_board.py::test_exec_prints",
    "make test": "test_readme_commands.py::test_make_test",
}
PROGRAMS = {"make", "git", "pip"}  # named in the prose, not typed
IS_COMMAND = re.compile(
    r"(make|mpremote|pip|python|git|curl|sh|\.)( |$)|tinyvlm-|host/tinyvlm-\w|\.venv/|--"
)


def commands():
    """Every command in README: indented, in a line of prose or a table, after a $ in a block."""
    found = set()
    for line in (line for lines, _ in BLOCKS for line in lines):
        command, _, remark = line.partition(" #")
        found.add(command.strip())
        if IS_COMMAND.match(remark.strip()):
            found.add(remark.strip())
        found.update(re.findall(r"--\w+(?= )", remark))
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
    found |= {code for code in re.findall(r"`([^`\n]+)`", prose) if IS_COMMAND.match(code)}
    for block in FENCES:
        found.update(re.findall(r"^\$ (.*)", block, re.M))
    return {re.sub(r"/dev/pts/\d+", "PORT", command) for command in found} - PROGRAMS


def test_every_command_is_claimed():
    unclaimed = sorted(commands() - CLAIMED.keys())
    assert not unclaimed, f"no test runs {unclaimed}; write one and add it to CLAIMED"
    stale = sorted(CLAIMED.keys() - commands())
    assert not stale, f"README has no {stale} any more; take it out of CLAIMED"


@pytest.mark.parametrize("claim", sorted(set(CLAIMED.values())))
def test_who_claims_is_there(claim):
    file, name = claim.split("::")
    assert re.search(rf"^def {name}\(", (HERE.parent / file).read_text(), re.M)


def test_targets_and_scripts():
    makefile = (TOP / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split())
    named = set(re.findall(r"(?:^    |`)make ([a-z0-9]+)", TEXT, re.M))
    assert named >= {"demo", "test", "firmware", "natmod", "max78000"}
    assert named <= targets
    named = set(re.findall(r"\btinyvlm-[a-z]+", TEXT))
    named |= {"tinyvlm" + short for short in re.findall(r"`(-[a-z]+)`", TEXT)}
    assert named <= scripts()
    for path in re.findall(r"\bhost/tinyvlm-[a-z]+", TEXT):
        assert os.access(TOP / path, os.X_OK)


def scripts():
    project = (TOP / "pyproject.toml").read_text()
    return set(re.findall(r"^(tinyvlm-[a-z]+) =", project, re.M))


def test_calls_in_the_prose():
    names = set(re.findall(r"`tinyvlm\.(\w+)", TEXT))
    assert names and all(hasattr(tinyvlm, name) for name in names)


def test_commands_on_the_path():
    if not (TOP / ".venv" / "bin" / "activate").exists():
        pytest.skip("no .venv: run `make setup`")
    wanted = ["mpremote", "pip", *sorted(scripts())]
    for name in wanted:
        line = f". .venv/bin/activate && command -v {name}"
        done = subprocess.run(["sh", "-c", line], cwd=TOP, capture_output=True, text=True)
        assert done.stdout.strip() == f"{TOP}/.venv/bin/{name}", name


# -- packing ----------------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """A folder with README's first list; it is the current one."""
    monkeypatch.chdir(tmp_path)
    [line] = [c for lines, _ in BLOCKS for c in lines if c.endswith("> pets.txt")]
    shell(line, tmp_path)
    return tmp_path


def test_options_of_pack(pets):
    """One file without network; a smaller vocabulary; half as many bytes of numbers."""

    def packed(*options):
        assert pack.main(["--vocab", "pets.txt", "--quiet", *options]) == 0
        data = Path("pets.tvp").read_bytes()
        return len(data), tvp.from_bytes(data)

    size, words = packed("--report", "report.html")
    page = Path("report.html").read_text()
    assert page.startswith("<!doctype html>") and "http" not in page and "Meerschwein" in page
    assert sorted(path.name for path in pets.iterdir()) == ["pets.tvp", "pets.txt", "report.html"]
    smaller, cut = packed("--dim", "16")
    assert smaller < size / 2 and cut.vectors.shape == (len(words.vectors), 16)
    halved, coarse = packed("--bits", "4")
    assert coarse.bits == 4 and coarse.vectors.shape == words.vectors.shape
    assert size - halved == words.vectors.size / 2


def test_the_real_clip(pets, monkeypatch, capsys):
    """With a stand-in for open_clip that knows no words apart; without one, what to install."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

    class Model:
        def eval(self):
            return self

        def encode_text(self, tokens, normalize=False):
            made = torch.randn(len(tokens), 512, generator=torch.Generator().manual_seed(0))
            return torch.nn.functional.normalize(made, dim=-1)

    class OpenClip:
        asked = []
        list_pretrained_tags_by_model = staticmethod(lambda model: ["openai"])
        get_pretrained_cfg = staticmethod(lambda model, tag: {"quick_gelu": True})
        get_tokenizer = staticmethod(lambda model: lambda texts: torch.zeros(len(texts), 77))

        @classmethod
        def create_model(cls, model, pretrained, force_quick_gelu):
            cls.asked.append((model, pretrained, force_quick_gelu))
            return Model()

    [option] = re.findall(r"`(--text-encoder \S+)`", TEXT)
    arguments = ["--vocab", "pets.txt", *option.split()]
    monkeypatch.setitem(sys.modules, "open_clip", OpenClip)
    assert pack.main(arguments) == 0
    assert OpenClip.asked == [("ViT-B-32", "openai", True)]
    words = tvp.from_bytes(Path("pets.tvp").read_bytes())
    assert words.text_encoder == option.split()[1] and np.any(words.vectors)
    Path("pets.tvp").unlink()
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "open_clip", None)
    assert pack.main(arguments) == 2
    assert "pip install 'tinyvlm[train]'" in capsys.readouterr().err
    assert not Path("pets.tvp").exists()


def test_extras():
    project = (TOP / "pyproject.toml").read_text()
    [extra] = set(re.findall(r"pip install -e '\.\[(\w+)\]'", TEXT))
    packages = re.search(rf"^{extra} = \[(.*?)\]", project, re.M | re.S)[1]
    assert {"torch", "open_clip_torch"} <= set(re.findall(r'"([\w-]+)', packages))
    assert f"--editable '.[{extra}]'" in (TOP / "Makefile").read_text()  # by `make test`


# -- boards -----------------------------------------------------------------------------------


def written(start):
    """The command in README that begins so, as words."""
    [command] = [command for command in commands() if command.startswith(start)]
    return shlex.split(command)


def test_make_firmware():
    """It starts boards/firmware.sh for a board that is there; test_stm32.py has what that does."""
    _, *words = written("make firmware")
    options = dict(word.split("=") for word in words[1:])
    assert options["BOARD"] in BOARDS
    line = f'boards/firmware.sh "{options["BOARD"]}" "build/{options["BOARD"]}" "host/tinyvlm/data'
    said = make(*words)
    assert line in said and f'MPY_DIR="{options["MPY_DIR"]}"' in said


def test_make_natmod():
    """It builds one of the kinds that test_natmod.py builds and runs."""
    _, *words = written("make natmod")
    text = (HERE.parent / "test_natmod.py").read_text()
    architectures = re.search(r"^BOARD_ARCHS = \((.*)\)", text, re.M)[1]
    assert f'"{words[-1].removeprefix("ARCH=")}"' in architectures
    assert f"-C native/natmod {words[-1]} " in make(*words)


def test_export(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert export.main(written("tinyvlm-export")[1:]) == 0
    assert capsys.readouterr().out.startswith("base.tflite: ")
    assert Path("base.tflite").read_bytes()[4:8] == b"TFL3"


# -- training and testing ---------------------------------------------------------------------


def test_training(tmp_path, monkeypatch):
    """README's flags mean what they say; test_train.py trains, test_quantize.py exports."""
    run = config.parse(written("tinyvlm-train --")[1:])
    assert (run.model, run.train_data) == ("base", "shards/*.tar")
    pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    from tinyvlm.train import checkpoint
    from tinyvlm.train import export as finish

    monkeypatch.chdir(tmp_path)
    (run.run / checkpoint.FOLDER).mkdir(parents=True)
    args = finish.parse(written("tinyvlm-train export")[2:])
    assert args.run == run.run and args.out == Path("base.tvlm")


def test_make_test(tmp_path):
    """The sizes first, then all tests; in the end what was skipped and why."""
    said = make("test").splitlines()
    sizes, tests = (next(i for i, s in enumerate(said) if w in s) for w in ("sizes.py", "pytest"))
    assert sizes < tests and said[tests].endswith(" -m pytest tests")
    (tmp_path / "test_a.py").write_text("import pytest\ndef test_a():\n  pytest.skip('no time')\n")
    command = [sys.executable, "-m", "pytest", "-c", TOP / "pyproject.toml", "test_a.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert re.search(r"^SKIPPED .*no time", done.stdout, re.M)
