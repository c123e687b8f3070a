# SPDX-License-Identifier: MIT
"""Code that runs on a board: small files of plain functions, sent to its prompt as they are.

    link.value(call("sums.sums", ["/rom/base.tvlm"]))      # what the function returns
    link.run(call("files.remove", ["pets.tvp.new"]))

They run on MicroPython of any port and on CPython, where the tests call them, too. Every board has
its own gaps, so they import inside functions and take little RAM.
"""

from __future__ import annotations

from pathlib import Path

ENGINE = "_tinyvlm"  # the engine's module, as the device package imports it


def call(function: str, *arguments: object) -> str:
    """The file of `function` ("file.function"), and a line that prints what it returns."""
    file, _, name = function.partition(".")
    source = Path(__file__).with_name(f"{file}.py").read_text("utf-8")
    return f"{source}\nprint(repr({name}({', '.join(map(repr, arguments))})))"
