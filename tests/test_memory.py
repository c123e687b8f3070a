# SPDX-License-Identifier: MIT
"""`make memory`: each allocation of each call fails once, Ctrl-C comes at every hook; nothing is
half-done afterwards."""

import shutil

import memory
import pytest
from test_natmod import micropython  # noqa: F401


def check(found):
    print(found, sum(found.values()))
    assert all(found.values()) and sum(found.values()) > 5 * len(found)


def test_on_micropython(micropython):  # noqa: F811
    failed, pressed = memory.on_micropython()
    check(failed)
    check(pressed)


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_on_cpython():
    check(memory.on_cpython()[0])
