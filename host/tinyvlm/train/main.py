# SPDX-License-Identifier: MIT
"""The command tinyvlm-train: trains, or with a first word `cache` or `export` does that.

torch is imported late, so that --help and mistakes answer at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

from tinyvlm.shipped import extra
from tinyvlm.train import config

# Modules of this package with a main(argv).
OTHERS = {"cache": "cache", "map": "learn_map", "export": "export"}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in OTHERS:
        need_torch()
        return importlib.import_module(f"tinyvlm.train.{OTHERS[argv[0]]}").main(argv[1:]) or 0
    options = config.parse(argv)
    need_torch()
    from tinyvlm.train.distributed import leave
    from tinyvlm.train.train import train

    train(options)
    leave()
    return 0


def need_torch() -> None:
    """Stop with what to install when the extra `train` is not there."""
    for name in ("torch", "webdataset", "safetensors"):
        if importlib.util.find_spec(name) is None:
            raise SystemExit(f"tinyvlm-train needs {name}: {extra('train')}")


if __name__ == "__main__":
    sys.exit(main())
