# SPDX-License-Identifier: MIT
"""docs/api.md is current, and the stubs say what the code does."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import apidoc
import pytest

import tinyvlm
from tinyvlm import device

TOP = Path(__file__).resolve().parents[1]
STUBS = sorted(path.stem for path in apidoc.DEVICE.glob("*.pyi"))


def stub(path):
    return ast.parse(path.read_text()).body


def signature(node):
    """(name, default) of every argument, self left out."""
    names = [argument.arg for argument in node.args.args]
    defaults = [ast.literal_eval(default) for default in node.args.defaults]
    defaults = [inspect.Parameter.empty] * (len(names) - len(defaults)) + defaults
    return [pair for pair in zip(names, defaults, strict=True) if pair[0] not in ("self", "cls")]


def of(function):
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in parameters if p.name != "self"]


def public(members):
    return {name for name in members if not name.startswith("_") or name == "__call__"}


def test_the_page_is_current():
    text = (TOP / "docs" / "api.md").read_text()
    assert text == apidoc.page(), "make it again: python tools/apidoc.py docs/api.md"


def test_help_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        apidoc.main(["--help"])
    assert not list(tmp_path.iterdir())


def test_every_public_name_is_on_the_page():
    shown = {name for _, _, names in apidoc.SECTIONS for name in names}
    constants = {name for name in device.__all__ if name.isupper()}
    assert shown - {"Info", "Profile"} == set(device.__all__) - constants
    assert all(f"`{name}`" in apidoc.page() for name in constants)


@pytest.mark.parametrize("name", STUBS)
def test_functions_and_classes_of_the_stubs(name):
    module = import_module(f"tinyvlm.device.{name}")
    for node in stub(apidoc.DEVICE / f"{name}.pyi"):
        if isinstance(node, ast.FunctionDef):
            assert signature(node) == of(getattr(module, node.name)), node.name
        if isinstance(node, ast.ClassDef):
            real = getattr(module, node.name)
            methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
            for method, declared in methods.items():
                if isinstance(inspect.getattr_static(real, method), property):
                    continue
                assert signature(declared) == of(getattr(real, method)), method
            assert public(vars(real)) <= public(methods) | {"dim"}, node.name
    have = {n.name for n in stub(apidoc.DEVICE / f"{name}.pyi") if hasattr(n, "name")}
    defined = {
        k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
    }
    assert public(defined) - {"Engine"} <= have


def test_attributes_of_the_stubs_are_there(tmp_path):
    (tmp_path / "v.txt").write_text("cat\ndog\n")
    from tinyvlm import packit

    assert packit.main(["--vocab", str(tmp_path / "v.txt"), "--quiet"]) == 0
    vocab = tinyvlm.Vocab(tmp_path / "v.tvp")
    frame = tinyvlm.Frame(bytes(64 * 64), 64, 64, "GRAY8")
    things = {
        "encoder": tinyvlm.load(),
        "vocab": vocab,
        "frame": frame,
        "smoother": tinyvlm.Smoother(),
        "locate": tinyvlm.heatmap(frame, "cat", vocab),
        "about": tinyvlm.info(),
    }
    for name, thing in [*things.items(), ("about", tinyvlm.profile())]:
        for node in stub(apidoc.DEVICE / f"{name}.pyi"):
            if getattr(node, "name", "") == type(thing).__name__.removeprefix("Device"):
                fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
                assert fields and all(hasattr(thing, field) for field in fields), fields


def test_the_stub_of_the_package_has_what_it_exports():
    nodes = stub(TOP / "host" / "tinyvlm" / "__init__.pyi")
    names = {target.id for n in nodes if isinstance(n, ast.Assign) for target in n.targets}
    assert names == set(tinyvlm.__all__)
    for node in nodes:
        if isinstance(node, ast.Assign):
            where, name = ast.unparse(node.value).split(".")
            assert node.targets[0].id == name and where in ("api", "device")
            home = getattr(import_module(f"tinyvlm.{where}"), name)
            assert getattr(tinyvlm, name) is home


def test_the_stub_of_the_engine():
    import _tinyvlm

    nodes = {
        getattr(n, "name", None) or n.target.id: n
        for n in stub(TOP / "host" / "_tinyvlm-stubs" / "__init__.pyi")
        if hasattr(n, "name") or isinstance(n, ast.AnnAssign)
    }
    assert set(nodes) == public(dir(_tinyvlm)) | {"backends", "heap"}  # two are MicroPython's
    members = {getattr(n, "name", None) or n.target.id for n in nodes["Encoder"].body}
    assert public(members) == public(dir(_tinyvlm.Encoder))
    for name in public(dir(_tinyvlm)) - {"Encoder"}:
        function = getattr(_tinyvlm, name)
        if callable(function):  # its docstring begins with its arguments
            said = function.__doc__.partition("(")[2].partition(")")[0].split(", ")
            assert [a.partition("=")[0] for a in said] == [a for a, _ in signature(nodes[name])]


def test_a_name_without_docstring_or_stub_is_told(monkeypatch, tmp_path):
    (tmp_path / "m.py").write_text("def f():\n    pass\n")
    (tmp_path / "m.pyi").write_text("def f() -> None: ...\n")
    monkeypatch.setattr(apidoc, "DEVICE", tmp_path)
    monkeypatch.setattr(apidoc, "SECTIONS", (("X", "m", ("f",)),))
    with pytest.raises(ValueError, match="f has no docstring"):
        apidoc.page()
    monkeypatch.setattr(apidoc, "SECTIONS", (("X", "m", ("g",)),))
    with pytest.raises(ValueError, match="m: g is not in it"):
        apidoc.page()
