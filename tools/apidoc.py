# SPDX-License-Identifier: MIT
"""docs/api.md from the docstrings of the device package and the types of its stubs.

    python tools/apidoc.py docs/api.md

Nothing is imported: the sources are read, as an editor reads them. Run in a checkout.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
from collections import Counter
from pathlib import Path

from tinyvlm.files import explain, write_atomic

ROOT = Path(__file__).resolve().parents[1]
DEVICE = ROOT / "device" / "tinyvlm"
HOST = ROOT / "host" / "tinyvlm"
# Sections: title, module, its public names in the order of the page.
SECTIONS = (
    ("Asking", "encoder", ("load", "classify", "classify_into", "embed")),
    ("Where is it?", "locate", ("detect", "heatmap", "Heatmap")),
    ("Frames", "frame", ("Frame",)),
    ("Vocabularies", "vocab", ("Vocab",)),
    ("Video", "smoother", ("Smoother",)),
    ("What runs here", "about", ("info", "profile", "selftest", "Info", "Profile")),
    ("Encoders", "encoder", ("Encoder",)),
)
PC = ("pack", "to_frame")
HIDDEN = {"level", "prototypes", "ranking"}  # methods that the package's own modules call
HEAD = """# API

<!-- Made from docstrings and stubs by `python tools/apidoc.py docs/api.md`; change those. -->

The calls of `import tinyvlm`, the same on every board and on the PC. A frame is a `tinyvlm.Frame`,
or a buffer of exactly the encoder's size in RGB888 or GRAY8; on the PC it is also the path of a
picture, a PIL image or a numpy array. Editors find the types where the package is installed, in
its stubs (`device/tinyvlm/*.pyi`; the engine's in `host/_tinyvlm-stubs`).
"""


def page() -> str:
    """The text of docs/api.md. ValueError if a public name has no docstring or no stub."""
    parts = [HEAD, _contents()]
    for title, module, names in SECTIONS:
        code = ast.parse((DEVICE / f"{module}.py").read_text("utf-8"))
        stub = ast.parse((DEVICE / f"{module}.pyi").read_text("utf-8"))
        parts.append(f"## {title}\n")
        for name in names:
            parts.append(_entry(name, _find(code, name, module), _find(stub, name, module)))
        if module == "frame":
            parts.append(_formats())
    parts.append(_pc())
    parts.append(_commands())
    return "\n".join(parts).rstrip() + "\n"


def _contents() -> str:
    lines, seen = [], Counter()
    for title, _, names in SECTIONS:
        links = []
        for name in names:  # headings that differ in capitals only get numbers
            number = seen[name.lower()]
            seen[name.lower()] += 1
            links.append(f"[{name}](#{name.lower()}{f'-{number}' if number else ''})")
        lines.append(f"- {title}: {', '.join(links)}")
    return "\n".join(lines) + "\n"


def _find(tree: ast.AST, name: str, where: str) -> ast.AST:
    for node in tree.body:
        if getattr(node, "name", None) == name:
            return node
    raise ValueError(f"{where}: {name} is not in it, or not in its stub")


def _entry(name: str, code: ast.AST, stub: ast.AST) -> str:
    if isinstance(code, ast.FunctionDef):
        return f"### {name}\n\n```python\n{signature(stub)}\n```\n\n{text(code)}\n"
    lines = [f"### {name}\n", f"```python\n{_constructor(stub)}\n```\n", text(code) + "\n"]
    if fields := _fields(stub):
        lines += ["```python", *fields, "```\n"]
    for method in _methods(code):
        declared = _find(stub, method.name, name)
        if _is_setter(method) or _is_setter(declared):
            continue
        lines.append(f"**{name}.{method.name}**\n\n```python\n{signature(declared)}\n```\n")
        lines.append(text(method) + "\n")
    return "\n".join(lines)


def _methods(code: ast.ClassDef) -> list[ast.FunctionDef]:
    """Public methods, and calling; they need a docstring."""
    named = [node for node in code.body if isinstance(node, ast.FunctionDef)]
    named = [node for node in named if node.name not in HIDDEN]
    return [n for n in named if not n.name.startswith("_") or n.name == "__call__"]


def _is_setter(node: ast.AST) -> bool:
    return any(isinstance(d, ast.Attribute) for d in node.decorator_list)


def _fields(stub: ast.ClassDef) -> list[str]:
    return [ast.unparse(node) for node in stub.body if isinstance(node, ast.AnnAssign)]


def _constructor(stub: ast.ClassDef) -> str:
    arguments = signature(_find(stub, "__init__", stub.name)).removeprefix("__init__")
    return stub.name + arguments.removesuffix(" -> None")


def signature(stub: ast.FunctionDef) -> str:
    """`name(arguments) -> type` as the stub has it, without self; a property as `name: type`."""
    arguments = ast.unparse(stub.args)
    arguments = re.sub(r"^(self|cls)(, |$)", "", arguments)
    arguments = re.sub(r"Frame \| Any\b", "Frame", arguments)  # what the docs call a frame
    arguments = re.sub(r"(?<=\S)=(?=\S)", " = ", arguments)
    returns = ast.unparse(stub.returns)
    if any(ast.unparse(d) == "property" for d in stub.decorator_list):
        return f"{stub.name}: {returns}"
    name = "smoother" if stub.name == "__call__" else stub.name
    line = f"{name}({arguments}) -> {returns}"
    if len(line) < 90:
        return line
    lines = textwrap.wrap(arguments, 86, break_long_words=False, break_on_hyphens=False)
    return "\n    ".join([f"{name}(", *lines]) + f"\n) -> {returns}"


def text(code: ast.AST) -> str:
    """The docstring as Markdown. ValueError if there is none."""
    words = ast.get_docstring(code)
    if not words:
        raise ValueError(f"{code.name} has no docstring")
    # `name:` at the start of a sentence is a parameter or an attribute
    return re.sub(r"(?m)(^|[.;] )([a-z_]+):(?=\s)", r"\1`\2`:", words)


def _formats() -> str:
    tree = ast.parse((DEVICE / "frame.py").read_text("utf-8"))
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not target.id.startswith("_")
    ]
    return f"### Formats\n\n{', '.join(f'`{name}`' for name in names)}\n"


def _pc() -> str:
    tree = ast.parse((HOST / "api.py").read_text("utf-8"))
    parts = ["## On the PC only\n"]
    for name in PC:
        node = _find(tree, name, "api")
        parts.append(f"### {name}\n\n```python\n{signature(node)}\n```\n\n{text(node)}\n")
    return "\n".join(parts)


def _commands() -> str:
    """Every command that the package installs, with the first sentence of its module."""
    source = (HOST / "command.py").read_text("utf-8")
    scripts = re.findall(r'partial\(start, "(tinyvlm-[\w-]+)", "([\w.]+)"\)', source)
    lines = ["## Commands\n", "| command | |", "|---|---|"]
    for name, module in sorted(scripts):
        path = HOST / f"{module.replace('.', '/')}.py"
        words = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        first = re.split(r"(?<=\.)\s|\n\n", words, maxsplit=1)[0].replace("\n", " ")
        first = re.sub(rf"^{name}[^:]*: ", "", first).rstrip(".")
        lines.append(f"| `{name}` | {first[0].upper()}{first[1:]} |")
    return (
        "\n".join(lines)
        + "\n\n`COMMAND --help` says the rest, `COMMAND --version` which tinyvlm it is.\n"
    )


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 2 after a message on stderr."""
    parser = argparse.ArgumentParser(
        prog="python tools/apidoc.py", description="Make docs/api.md from docstrings and stubs."
    )
    parser.add_argument("page", type=Path, nargs="?", help="to write (default: it is printed)")
    args = parser.parse_args(argv)
    try:
        if not DEVICE.is_dir():
            raise ValueError(f"{DEVICE}: not there; run this in a checkout")
        if args.page:
            write_atomic(args.page, page().encode())
        else:
            print(page(), end="")
    except (OSError, ValueError) as error:
        print(f"apidoc: {explain(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
