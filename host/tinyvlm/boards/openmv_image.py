# SPDX-License-Identifier: MIT
"""A ROMFS image for an OpenMV camera: package, encoder, vocabularies and program, on this PC.

OpenMV's IDE writes it to the camera, or `mpremote romfs deploy`.
"""

from __future__ import annotations

from pathlib import Path

from ..files import write_atomic
from . import openmv
from .deployment import Model, check_vocabs, package_files, shipped_model
from .romfs import make_image
from .target import Facts

# What a release is asked for: an encoder for a ROMFS, with nothing there yet.
FACTS = Facts("openmv", "", "a ROMFS image", ram=0, cwd="", romfs=1)


def write(args, vocabs, model: Model | None) -> int:
    """Write the image to args.openmv and say what is in it. Returns the exit status."""
    if model is None:
        model = shipped_model(vocabs)
    check_vocabs(vocabs, model.fingerprint, f"the image gets {model.name}")
    encoder = openmv.encoder_file(model)
    files = [(encoder.path, encoder.data)]
    files += [(path.name, path.read_bytes()) for path, _ in vocabs]
    files += [(file.path, file.data) for file in openmv.programs(args.main)]
    lines = [f"{path}, {len(data)} bytes" for path, data in files]
    if not args.no_package:
        package = package_files()
        files += [(f"lib/tinyvlm/{path.name}", path.read_bytes()) for path in package]
        lines.append(f"lib/tinyvlm, {len(package)} files")
    image = make_image([(f"/rom/{path}", data) for path, data in files])
    for line in lines:
        print(f"  /rom/{line}")
    if args.dry_run:
        print(f"dry run: {args.openmv} would have {len(image)} bytes")
        return 0
    write_atomic(Path(args.openmv), image)
    print(f"{args.openmv}: {len(image)} bytes; it replaces all that is in the camera's ROMFS")
    return 0
