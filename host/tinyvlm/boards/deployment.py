# SPDX-License-Identifier: MIT
"""What a board shall have, compared with what it has: the part of tinyvlm-deploy that decides.

Nothing here writes to a board. An encoder belongs into ROMFS, where its weights are used in
place; everything else goes to the file system. What is there already is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..net import tvlm
from ..shipped import DEFAULT_MODEL, EXAMPLES, PACKAGE, encoder_for
from ..words import tvp
from . import native_mpy, openmv
from .ports import BoardError
from .romfs import make_image
from .target import File


@dataclass
class Model:
    """An encoder file on this PC."""

    path: Path
    name: str
    data: bytes
    tflite: bytes = b""  # the same for LiteRT with its map, where a release has it made

    @property
    def fingerprint(self) -> bytes:
        return self.data[16:24]


@dataclass
class Plan:
    """What the board shall have. `files` go to its file system, `image` to ROMFS."""

    package: list[File] = field(default_factory=list)
    engine: File | None = None
    encoder: File | None = None
    vocabs: list[File] = field(default_factory=list)
    programs: list[File] = field(default_factory=list)
    image: bytes | None = None
    kept: list[str] = field(default_factory=list)  # other files in ROMFS
    fingerprint: bytes | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    doing: str = "look"  # or "copy", "romfs", "switch", "test"

    @property
    def files(self) -> list[File]:
        every = [*self.package, *self.vocabs, *self.programs]
        if self.encoder and self.image is None:
            every.insert(len(self.package), self.encoder)
        if self.engine:
            every.insert(len(self.package), self.engine)
        return [file for file in every if file.was != "unchanged"]


def package_files() -> list[Path]:
    """The device package, as it lies in this one."""
    found = sorted((PACKAGE / "device").glob("*.py"))
    if not found:  # a checkout without symbolic links
        raise BoardError("the device package is not installed with this tinyvlm; install it again")
    return found


def read_model(path: Path) -> Model:
    """An encoder file, checked. OSError or ValueError says what is wrong with it."""
    info = tvlm.load(path).graph.info
    return Model(path, info.get("name", path.stem), path.read_bytes())


def shipped_model(vocabs: list[tuple[Path, tvp.Prototypes]]) -> Model:
    """The encoder that the vocabularies were packed for if it ships, else base."""
    found = {encoder_for(vocab.fingerprint) for _, vocab in vocabs}
    return read_model((found.pop() if len(found) == 1 else None) or DEFAULT_MODEL)


def read_vocabs(paths: list[Path], model: Model | None) -> list[tuple[Path, tvp.Prototypes]]:
    """Read all vocabularies; ValueError for one that is damaged or made for another encoder."""
    names = [path.name for path in paths]
    if len(set(names)) != len(names):
        raise ValueError("two vocabularies have the same name; the board has one place for it")
    vocabs = [(path, tvp.read(path)) for path in paths]
    if model:
        check_vocabs(vocabs, model.fingerprint, f"{model.path.name} is {model.name}")
    return vocabs


def check_vocabs(
    vocabs: list[tuple[Path, tvp.Prototypes]], fingerprint: bytes, there: str
) -> None:
    for path, vocab in vocabs:
        if vocab.fingerprint != fingerprint:
            raise BoardError(
                f"{path.name} was packed for encoder {vocab.encoder} ({vocab.fingerprint.hex()}), "
                f"{there} ({fingerprint.hex()}); pack it again with --model, or deploy its "
                "encoder with --encoder"
            )


def make_plan(target, args, vocabs, model: Model | None, native: bytes | None = None) -> Plan:
    """Compare what shall be there with what is there. Only reads from the board."""
    facts, plan = target.facts, Plan()
    if args.no_package:
        plan.lines.append(("package", "left out"))
    elif facts.frozen is not None:
        plan.lines.append(("package", f"tinyvlm {facts.frozen} is built into the firmware"))
    else:
        lib = "lib" if facts.lib is None else facts.lib
        for path in package_files():
            plan.package.append(File(f"{lib}/tinyvlm/{path.name}", path.read_bytes()))
    plan.vocabs = [File(path.name, path.read_bytes()) for path, _ in vocabs]
    if facts.name == "openmv":
        plan.programs = openmv.programs(args.main, target)
    elif args.main:
        name = "code.py" if facts.name == "circuitpython" else "main.py"
        plan.programs.append(File(name, args.main.read_bytes()))
    if args.examples:
        plan.programs.append(File("detect.py", (EXAMPLES / "detect.py").read_bytes()))
    target.compare([*plan.package, *plan.vocabs, *plan.programs])
    if plan.package:
        words = {file.was for file in plan.package}
        was = words.pop() if len(words) == 1 else "changed"
        size = sum(len(file.data) for file in plan.package)
        where = plan.package[0].path.rpartition("/")[0]
        plan.lines.append(("package", f"{where}, {len(plan.package)} files, {size} bytes: {was}"))
    if native is not None:
        plan.engine = native_mpy.plan(facts, native)
        target.compare([plan.engine])
        plan.lines.append(("engine", native_mpy.describe(plan.engine, facts)))
    plan_encoder(plan, target, args, vocabs, model)
    for file in plan.vocabs:
        plan.lines.append(("vocabulary", f"{file.path}, {len(file.data)} bytes: {file.was}"))
    for file in plan.programs:
        plan.lines.append(("program", f"{file.path}, {len(file.data)} bytes: {file.was}"))
    check_space(plan, facts)
    return plan


def plan_encoder(plan: Plan, target, args, vocabs, model: Model | None) -> None:
    """Keep the board's encoder, or put `model` into ROMFS, or onto the file system."""
    facts = target.facts
    plan.lines += [("", f"{path} is incomplete, a copy was cut off") for path in facts.damaged]
    if model is None and facts.encoders:
        path, plan.fingerprint, size = facts.encoders[0]
        check_vocabs(vocabs, plan.fingerprint, f"the board has {path}")
        plan.lines.append(("encoder", f"{path}, {size} bytes ({plan.fingerprint.hex()}): kept"))
        return
    if model is None and facts.name == "circuitpython":
        nano = "--encoder nano, and words of tinyvlm-pack --model nano"
        plan.lines.append(("encoder", f"none, so frames are not looked at: {nano}"))
        return
    if model is None:
        model = shipped_model(vocabs)
        check_vocabs(vocabs, model.fingerprint, f"the board has no encoder and gets {model.name}")
    if facts.name == "openmv":
        plan.encoder = openmv.encoder_file(model)
        target.compare([plan.encoder])
        what = f"{model.name} ({model.fingerprint.hex()}), {len(plan.encoder.data)} bytes"
        plan.lines.append(("encoder", f"{plan.encoder.path}, {what}: {plan.encoder.was}"))
        check_first(facts, plan.encoder.path, model.fingerprint)
        return
    plan.fingerprint = model.fingerprint
    what = f"{model.name} ({model.fingerprint.hex()}), {len(model.data)} bytes"
    if facts.encoders:
        first = File(facts.encoders[0][0], model.data)
        target.compare([first])
        if first.was == "unchanged":
            plan.lines.append(("encoder", f"{first.path}, {what}: unchanged"))
            return
    if not facts.romfs:
        plan.encoder = File(model.path.name, model.data)
        target.compare([plan.encoder])
        plan.lines.append(("encoder", f"{plan.encoder.path}, {what}: {plan.encoder.was}"))
        if facts.name == "circuitpython":
            check_first(facts, plan.encoder.path, model.fingerprint)
        if facts.ram:
            plan.lines.append(
                ("", f"no ROMFS here: it is loaded into RAM, of which {facts.ram} bytes are free")
            )
        return
    if not target.link.can_romfs:
        raise BoardError("the encoder belongs into ROMFS, which ampy cannot write; use mpremote")
    plan.encoder = File(f"/rom/{model.path.name}", model.data)
    if any(_is_encoder(path) for path, _ in facts.rom_files):
        plan.encoder.was = "changed"
    keep = [(path, size) for path, size in facts.rom_files if not _is_encoder(path)]
    plan.kept = [path for path, _ in keep]
    plan.lines.append(("encoder", f"{plan.encoder.path}, {what}: {plan.encoder.was}"))
    if keep:
        size = sum(size for _, size in keep)
        plan.lines.append(("", f"{len(keep)} other files in ROMFS, {size} bytes, are kept"))
    plan.image = make_image(
        [(plan.encoder.path, plan.encoder.data), *((path, bytes(size)) for path, size in keep)]
    )
    if len(plan.image) > facts.romfs:
        raise BoardError(
            f"ROMFS has {facts.romfs} bytes, {len(plan.image)} are needed; nothing was changed"
        )
    if facts.rom_files:
        plan.lines.append(("", "until the command has ended the board has no ROMFS: keep it on"))
    plan.lines += [
        ("", f"{path} was packed for another encoder and will not work with this one")
        for path, fingerprint, _ in facts.vocabs
        if fingerprint != plan.fingerprint and path not in [file.path for file in plan.vocabs]
    ]


def check_first(facts, path: str, fingerprint: bytes) -> None:
    """load() takes the first encoder by name, and a drive has no prompt that would show which."""
    for other, its, _ in facts.encoders:
        if other < path and its != fingerprint:
            raise BoardError(
                f"the board would take {other}, another encoder, before {path}; delete it there "
                "and run the same command again. Nothing was changed"
            )


def _is_encoder(path: str) -> bool:
    return path.endswith(".tvlm") and path.rpartition("/")[0] in ("/rom", "/rom/lib")


def check_space(plan: Plan, facts) -> None:
    """Old and new lie side by side until the new ones are complete."""
    if facts.free is None:
        return
    block = facts.block or 512
    # a block more for each file: its name, or LittleFS's own pointers
    need = sum(-(-len(file.data) // block) * block + block for file in plan.files)
    if need > facts.free:
        advice = "delete files there"
        if facts.name == "micropython":
            advice += " (mpremote rm :FILE)"
        if facts.name == "openmv":
            advice = "put in an SD card, or make a ROMFS image: --openmv FILE.romfs"
        raise BoardError(
            f"no space: {need} bytes are needed, {facts.free} are free on the board; {advice}. "
            "Nothing was changed"
        )
