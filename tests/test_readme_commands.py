# SPDX-License-Identifier: MIT
"""Commands that README.md and docs/ show without their output do what the pages say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from readme import BLOCKS, PAGES, README, TOP, make, shell
from stm32 import BOARDS

import tinyvlm
from tinyvlm import export, packit
from tinyvlm.train import config
from tinyvlm.words import tvp

TEXT = "\n".join(page.text for page in PAGES.values())


def test_targets_and_scripts():
    makefile = (TOP / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split())
    named = set(re.findall(r"(?:^    |`)make ([a-z0-9]+)", TEXT, re.M))
    assert named <= targets
    named = set(re.findall(r"^    (tinyvlm-[a-z]+)|`(tinyvlm-[a-z]+)", TEXT, re.M))
    assert {one or other for one, other in named} <= scripts()
    for path in re.findall(r"\bhost/tinyvlm-[a-z]+", TEXT):
        assert os.access(TOP / path, os.X_OK)


def scripts():
    project = (TOP / "pyproject.toml").read_text()
    return set(re.findall(r"^(tinyvlm-[a-z]+) =", project, re.M))


def test_calls_in_the_prose():
    names = set(re.findall(r"`tinyvlm\.(\w+)\(", TEXT))
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
    [line] = [c for lines, _ in README.blocks for c in lines if c.endswith("> pets.txt")]
    shell(line, tmp_path)
    return tmp_path


def test_options_of_pack(pets):
    """One file without network; a smaller vocabulary; half as many bytes of numbers."""

    def packed(*options):
        assert packit.main(["--vocab", "pets.txt", "--quiet", *options]) == 0
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

    option = "--text-encoder open_clip:ViT-B-32/openai"
    assert option in PAGES["docs/vocabulary.md"].text
    arguments = ["--vocab", "pets.txt", *option.split()]
    monkeypatch.setitem(sys.modules, "open_clip", OpenClip)
    assert packit.main(arguments) == 0
    assert OpenClip.asked == [("ViT-B-32", "openai", True)]
    words = tvp.from_bytes(Path("pets.tvp").read_bytes())
    assert words.text_encoder == option.split()[1] and np.any(words.vectors)
    Path("pets.tvp").unlink()
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "open_clip", None)
    assert packit.main(arguments) == 2
    assert "[train]'" in capsys.readouterr().err
    assert not Path("pets.tvp").exists()


def test_extras():
    project = (TOP / "pyproject.toml").read_text()
    [extra] = set(re.findall(r"pip install -e '\.\[(\w+)\]'", README.text))
    packages = re.search(rf"^{extra} = \[(.*?)\]", project, re.M | re.S)[1]
    assert {"torch", "open_clip_torch"} <= set(re.findall(r'"([\w-]+)', packages))
    assert f"--editable '.[{extra}]'" in (TOP / "Makefile").read_text()  # by `make test`


# -- boards -----------------------------------------------------------------------------------


def written(start):
    """The commands that begin so, as words, each once."""
    lines = (line.partition(" #")[0].strip() for commands, _ in BLOCKS for line in commands)
    found = [shlex.split(line) for line in dict.fromkeys(lines) if line.startswith(start)]
    assert found, start
    return found


@pytest.mark.parametrize("words", written("make firmware"))
def test_make_firmware(words):
    """It starts boards/firmware.sh for a board that is there; test_stm32.py has what that does."""
    words = words[1:]
    options = dict(word.split("=") for word in words[1:])
    assert options["BOARD"] in BOARDS
    line = f'boards/firmware.sh "{options["BOARD"]}" "build/{options["BOARD"]}" "host/tinyvlm/data'
    said = make(*words)
    assert line in said and f'MPY_DIR="{options["MPY_DIR"]}"' in said


@pytest.mark.parametrize("words", written("make natmod"))
def test_make_natmod(words):
    """It builds an architecture that the engine's makefile knows."""
    [arch] = [word for word in words if word.startswith("ARCH=")]
    assert arch.removeprefix("ARCH=") in (TOP / "native" / "natmod" / "Makefile").read_text()
    assert f"-C native/natmod {arch} " in make(*words[1:])


@pytest.mark.parametrize("words", written("tinyvlm-export"))
def test_export(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("rom").mkdir()
    assert export.main(words[1:]) == 0
    assert capsys.readouterr().out.startswith(f"{words[-1]}: ") and Path(words[-1]).stat().st_size


# -- training and testing ---------------------------------------------------------------------


def test_training(tmp_path, monkeypatch):
    """README's flags mean what they say; test_train.py trains, test_quantize.py exports."""
    lines = [shlex.split(line) for commands, _ in README.blocks for line in commands]
    train, finishing = (line for line in lines if line[0] == "tinyvlm-train")
    run = config.parse(train[1:])
    assert (run.model, run.train_data) == ("base", "shards/*.tar")
    pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    from tinyvlm.train import checkpoint
    from tinyvlm.train import export as finish

    monkeypatch.chdir(tmp_path)
    (run.run / checkpoint.FOLDER).mkdir(parents=True)
    args = finish.parse(finishing[2:])
    assert args.run == run.run and args.out == Path("base.tvlm")


def test_make_test():
    """The sizes first, then all tests."""
    said = make("test").splitlines()
    sizes, tests = (next(i for i, s in enumerate(said) if w in s) for w in ("sizes.py", "pytest"))
    assert sizes < tests and said[tests].endswith(" -m pytest tests")
