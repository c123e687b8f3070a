# SPDX-License-Identifier: MIT
"""Makes a folder with a native .mpy installable: package.py DEVICE FOLDER.

Copies the files of DEVICE/package.json into FOLDER and writes a package.json of them and of the
.mpy that is there. The folder is complete: serve it anywhere, or name it by its path.
"""

import json
import shutil
import sys
from pathlib import Path


def main(device: Path, folder: Path) -> None:
    """Fill the folder; mip has no choice of architecture, so there is one folder for each."""
    package = json.loads((device / "package.json").read_text())
    for _, source in package["urls"]:
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(device / source, folder / source)
    package["urls"].append(["_tinyvlm.mpy", "_tinyvlm.mpy"])
    (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
