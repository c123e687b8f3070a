# SPDX-License-Identifier: MIT
"""A target in Python under atheris (libFuzzer for Python): `make fuzz`, where it is installed.

python tests/fuzz/fuzz_atheris.py TARGET [libFuzzer's options] [folders of seeds]
"""

import sys

import atheris

with atheris.instrument_imports(include=["tinyvlm", "fuzz_python"]):
    from fuzz_python import TARGETS

atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
atheris.Fuzz()
