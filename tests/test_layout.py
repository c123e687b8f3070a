# SPDX-License-Identifier: MIT
"""Where things live (docs/design.md): who may import whom, and that nothing runs in a circle."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
HOST = TOP / "host" / "tinyvlm"
DEVICE = TOP / "device" / "tinyvlm"

# Folder or module -> what its modules may import besides each other; a folder stands for all of
# its modules. Only commands are not here: they may import everything.
MAY_IMPORT = {
    "api": {"device", "annotate", "files", "picture", "shipped", "net.intake", "words"},
    "annotate": set(),
    "picture": set(),
    "files": set(),
    "shipped": set(),
    "options": {"files", "shipped", "words"},
    "release": {"files"},
    "net": {"files", "shipped"},
    "net.tvlm": {"device", "files", "shipped", "max78000"},  # device: which files are legal
    "net.cmsis_nn": {"device"},  # likewise
    "words": {"files", "shipped", "net.tvlm"},
    "measure": {
        *("api", "device", "files", "options", "picture", "shipped", "net", "words"),
        "train.labels",
    },
    "measure.eval_encoders": {"net", "max78000"},  # what the accelerator takes
    "boards": {"files", "shipped", "release", "net.tflite", "net.tvlm", "words.tvp"},
    "virtual": {"files", "shipped", "release", "net", "words"},
    "virtual.count": {"boards.romfs", "net", "shipped", "words"},
    "max78000": {"files", "shipped", "net", "virtual.board"},
    "train": {"files", "options", "shipped", "net", "words", "measure"},
}

EXPORTED = {"__version__", "device"}  # of the package itself


def modules(root: Path) -> dict[str, Path]:
    """Dotted name inside the package -> file; "" is the package itself."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if "device" not in parts:
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


@cache
def imports(root: Path, typing: bool = True) -> dict[str, set[str]]:
    """Who imports whom of the package, inside functions too; `typing`: also for type checks."""
    return {name: _imports(root, name, typing) - {name, ""} for name in modules(root)}


def _imports(root: Path, name: str, typing: bool) -> set[str]:
    path, known, found = modules(root)[name], modules(root), set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(path.read_text("utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            skipped |= set(ast.walk(node))
    for node in set(ast.walk(tree)) - skipped:
        if isinstance(node, ast.ImportFrom) and (node.level or _ours(node.module)):
            base = package[: len(package) - node.level + 1] if node.level else []
            rest = (node.module or "").split(".")
            base = [*base, *(rest if node.level else rest[1:])]
            for alias in node.names:
                whole = ".".join(part for part in [*base, alias.name] if part)
                module = whole if whole in known else ".".join(part for part in base if part)
                if not module and alias.name not in EXPORTED:
                    module = whole  # not there
                found.add("device" if "device" in (whole, *base[:1]) else module)
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if _ours(a.name)}
    return found


def _ours(module: str) -> bool:
    return module.split(".")[0] == "tinyvlm"


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def rule(module: str) -> str | None:
    """The entry of MAY_IMPORT that is for a module; None for a command."""
    return max((place for place in MAY_IMPORT if within(module, place)), key=len, default=None)


def test_what_is_imported_is_there():
    known = {*modules(HOST), "device"}
    wrong = {
        f"{module} imports {other}"
        for module, others in imports(HOST).items()
        for other in others - known
    }
    assert not wrong


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_who_may_import_whom(place):
    mine = [module for module in imports(HOST) if rule(module) == place]
    assert mine, f"{place}: no such folder or module"
    home = place if "." not in place else place.rpartition(".")[0]
    allowed = {home, *MAY_IMPORT[place]}
    wrong = {
        f"{module} imports {other}"
        for module in mine
        for other in imports(HOST)[module]
        if not any(within(other, one) for one in allowed)
    }
    assert not wrong


def test_nobody_imports_a_command():
    commands = {module for module in imports(HOST) if module and rule(module) is None}
    assert {"packit", "eval", "deploy"} <= commands
    commands.add("train.main")
    wrong = {
        f"{module} imports {other}"
        for module, others in imports(HOST).items()
        for other in others & commands
    }
    assert not wrong


@pytest.mark.parametrize("root", [HOST, DEVICE], ids=["host", "device"])
def test_no_circles(root):
    assert len(imports(root)) > 10
    try:
        TopologicalSorter(imports(root, typing=False)).prepare()
    except CycleError as error:
        pytest.fail(f"imported in a circle: {' -> '.join(error.args[1])}")


def test_a_checkout_of_that_name_does_not_hide_the_package(tmp_path):
    """As from the folder above a clone: an editable install that is a .pth comes first."""
    (tmp_path / "tinyvlm").mkdir()
    code = "import tinyvlm; print(tinyvlm.Frame(bytes(4), 2, 2, 'GRAY8'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "Frame(2x2 GRAY8)\n", done.stderr


def test_files_that_c_names_are_there():
    """A comment that sends a reader to a file that has moved sends him nowhere."""
    named = re.compile(r"\b(?:host|device|boards|docs|tests|tools)/[\w/]+\.(?:py|md|[ch])\b")
    lost = {
        (path.relative_to(TOP).as_posix(), name)
        for folder in ("native", "boards")
        for path in TOP.glob(f"{folder}/**/*.[ch]")
        for name in named.findall(re.sub("#include.*", "", path.read_text()))
        if not (TOP / name).exists()
    }
    assert not lost
