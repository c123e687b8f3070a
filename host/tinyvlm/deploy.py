# SPDX-License-Identifier: MIT
"""tinyvlm-deploy: put tinyvlm, its encoder and vocabularies onto a board, and see that they work.

tinyvlm-deploy pets.tvp                # the board on USB; copies only what it does not have
tinyvlm-deploy pets.tvp --openmv       # an OpenMV camera's drive
tinyvlm-deploy pets.tvp --dry-run      # says what it would do
tinyvlm-deploy pets.tvp --from dist    # engine and encoder from a release, as the board needs them

The exit status is 0, 1 when the board's self-test failed, 130 after Ctrl-C, or 2 after any other
error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .boards.ports import BoardError
from .files import explain

if TYPE_CHECKING:
    from .boards.deployment import Plan
    from .boards.drive import Drive
    from .boards.target import Target

# What to tell when the board is lost, by what was being done.
_LOST = {
    "look": "nothing was changed",
    "copy": "nothing was replaced, what was on the board still works",
    "romfs": "its ROMFS is empty until all of it is written, the vocabularies are as before",
    "switch": "each file on it is the old or the new one, complete",
    "test": "everything is in place, only the self-test is missing",
}


def open_target(args: argparse.Namespace) -> Target | Drive:
    """The board that is meant. BoardError says why it cannot be reached."""
    from .boards.ports import choose_port, drives

    port, backend = args.port, args.backend
    if args.openmv:
        from .boards import openmv

        return openmv.Camera(openmv.find() if args.openmv == "auto" else Path(args.openmv))
    if port == "auto" and backend != "ampy":
        mounted = drives("boot_out.txt")
        if mounted and (backend == "circuitpy" or not _serial_board()):
            if len(mounted) > 1:
                names = ", ".join(map(str, mounted))
                raise BoardError(f"{len(mounted)} CircuitPython drives ({names}); use --port")
            port = str(mounted[0])
        elif backend == "circuitpy":
            raise BoardError("no CIRCUITPY drive is mounted; name its folder with --port")
    if port != "auto" and (backend == "circuitpy" or Path(port).is_dir()):
        if backend not in (None, "circuitpy"):
            raise BoardError(f"{port} is a folder; {backend} needs a serial port")
        from .boards.drive import Drive

        return Drive(Path(port))
    from .boards.target import Target
    from .boards.transports import connect

    if port == "auto":
        port = choose_port()
    link = connect(port, backend or "mpremote")
    try:
        target = Target(link)
        if target.facts.name != "micropython":
            raise BoardError(
                f"{port} runs {target.facts.name}, which lets the PC write its files on its "
                "drive only: mount it and give the folder to --port"
            )
    except BaseException:
        link.close()
        raise
    return target


def _serial_board() -> bool:
    from .boards.ports import board_ports

    return bool(board_ports())


def carry_out(plan: Plan, target) -> None:
    """Copy, verify, switch."""
    from .boards.native_mpy import try_staged
    from .boards.target import ENOSPC
    from .boards.transports import LinkLost

    for path in target.tidy():
        print(f"  {path}: an interrupted copy was complete, it is in place now")
    files = plan.files
    plan.doing = "copy"
    try:
        if files:
            target.make_folders([file.path for file in files])
        for file in files:
            target.stage(file)
        if plan.engine in files:
            try_staged(target, plan.engine)
        if plan.image is not None:
            write_romfs(plan, target)
        if files:
            plan.doing = "switch"
            target.switch(files)
    except LinkLost:
        raise  # nobody there to tidy up; the next run does
    except BoardError as error:
        target.unstage(files)
        if getattr(error, "errno", None) == ENOSPC:
            raise BoardError("no space left on the board; nothing was replaced") from None
        raise


def write_romfs(plan: Plan, target) -> None:
    from .boards.romfs import make_image

    kept = [(path, target.read(path)) for path in plan.kept]
    image = make_image([(plan.encoder.path, plan.encoder.data), *kept])
    plan.doing = "romfs"
    target.write_romfs(image)
    if not target.check_romfs(image):
        raise BoardError("ROMFS: the checksum differs on the board; run the same command again")


def test_board(plan: Plan, target) -> int:
    """Run the self-test on the board and open the vocabularies there. Returns the exit status."""
    from .boards.transports import OnBoard

    target.link.soft_reset()
    try:
        text, path, fingerprint = target.selftest()
        print(text)
        if plan.fingerprint not in (None, fingerprint):
            print(
                f"tinyvlm-deploy: the board finds {path} first, another encoder; remove it: "
                f"mpremote rm :{path}",
                file=sys.stderr,
            )
            return 1
        print("self-test passed: the encoder's known answer, to the last bit")
    except OnBoard as error:
        if target.facts.engine is not None or plan.engine:
            print(f"tinyvlm-deploy: the self-test failed: {error}", file=sys.stderr)
            return 1
        print(f"no self-test: {error}")
    for file in plan.vocabs:
        try:
            _, labels = target.vocab(file.path)
        except OnBoard as error:
            print(f"tinyvlm-deploy: {file.path} on the board: {error}", file=sys.stderr)
            return 1
        print(f"{file.path}: " + ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else ""))
    return 0


def describe(target) -> str:
    facts = target.facts
    if not hasattr(target, "link"):
        version = f"CircuitPython {facts.version} on " if facts.version else ""
        return (
            f"{target.root}: {version}{facts.machine}, "
            f"{facts.free // 1024} of {facts.flash // 1024} KB free"
        )
    has = [f"{facts.ram // 1024} KB RAM free"]
    if facts.free is not None:
        has.insert(0, f"{facts.free // 1024} of {facts.flash // 1024} KB flash free")
    has.append(f"ROMFS {facts.romfs // 1024} KB" if facts.romfs else "no ROMFS")
    engine = facts.engine and f"engine {facts.engine}"
    has.append({None: "no engine", "": "engine built in"}.get(facts.engine, engine))
    where = target.link.port
    return f"{where}: MicroPython {facts.version} on {facts.machine}\n  " + ", ".join(has)


def deploy(args: argparse.Namespace) -> int:
    from .boards import native_mpy, openmv
    from .boards.deployment import make_plan, read_model, read_vocabs
    from .boards.transports import LinkLost

    openmv.check(args)
    release = None
    if args.release:
        from .boards import fitting

        release = fitting.our_release(args.release)
    native = native_mpy.read(args.engine) if args.engine else None
    model = read_model(args.encoder) if args.encoder else None
    vocabs = read_vocabs(args.vocab, model)
    if args.openmv and openmv.is_image(args.openmv):
        from .boards import openmv_image

        if release:
            _, model = fitting.complete(release, openmv_image.FACTS, vocabs, None, model)
        return openmv_image.write(args, vocabs, model)
    target = plan = None
    try:
        target = open_target(args)
        if not hasattr(target, "link"):
            target.lock()
        print(describe(target))
        if release:
            native, model = fitting.complete(release, target.facts, vocabs, native, model)
        plan = make_plan(target, args, vocabs, model, native)
        for label, text in plan.lines:
            print(f"  {label:11} {text}")
        if not plan.files and plan.image is None:
            print("unchanged: the board has all of it")
        if args.dry_run:
            print("dry run: nothing was changed")
            return 0
        carry_out(plan, target)
        plan.doing = "test"
        return finish(plan, target, args)
    except LinkLost as error:
        raise BoardError(
            f"{error} (unplugged?); {_LOST[plan.doing if plan else 'look']}. Connect it and run "
            "the same command again"
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_LOST[plan.doing if plan else "look"]) from None
    finally:
        if hasattr(target, "link"):
            target.link.close()
        elif target:
            target.unlock()


def finish(plan: Plan, target, args) -> int:
    if not hasattr(target, "link"):
        labels = ", ".join(file.path for file in plan.vocabs)
        print(f"on the drive: {labels or 'the package'}; read back and equal")
        if target.facts.name == "openmv":
            print("eject the drive, then reset the board: main.py starts")
        return 0
    if plan.files and not target.facts.atomic:
        print("  (not LittleFS: keep power on while copying, a rename is two steps there)")
    if plan.engine and (status := test_engine(plan, target)):
        return status
    return 0 if args.no_selftest else test_board(plan, target)


def test_engine(plan: Plan, target) -> int:
    """Import the engine on the board: is it the one that was meant? Returns the exit status."""
    from .boards.native_mpy import found
    from .boards.transports import OnBoard

    target.link.soft_reset()
    try:
        path = found(target)
    except OnBoard as error:
        path = f"nothing ({error})"
    if path == plan.engine.path:
        return 0
    print(
        f"tinyvlm-deploy: the board imports {path}, not {plan.engine.path}; remove the other "
        "one, or look at sys.path there",
        file=sys.stderr,
    )
    return 1


def encoder_path(name: str) -> Path:
    """The file of an encoder: one that ships, by name, or `name` itself."""
    from .shipped import model_path  # which needs numpy, and --help does not

    return model_path(name)


def list_ports() -> int:
    from .boards.openmv import MARKS
    from .boards.ports import drives, serial_ports

    ports = serial_ports()
    marks = {"boot_out.txt": "a CircuitPython board", **MARKS}
    lines = [*map(str, ports)]
    lines += [
        f"{drive}  drive of {what}" for mark, what in marks.items() for drive in drives(mark)
    ]
    print("\n".join(lines) or "no serial ports and no drives of boards")
    return 0


def main(argv: list[str] | None = None) -> int:
    args = _arguments().parse_args(argv)
    try:
        return list_ports() if args.list else deploy(args)
    except (BoardError, OSError, ValueError, ImportError) as error:
        print(f"tinyvlm-deploy: {explain(error)}", file=sys.stderr)
        return 2


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyvlm-deploy",
        description="Put tinyvlm, its encoder and vocabularies onto a board, and test them there.",
    )
    parser.add_argument(
        "vocab", nargs="*", type=Path, metavar="FILE.tvp", help="made by tinyvlm-pack"
    )
    parser.add_argument(
        "--encoder",
        type=encoder_path,
        metavar="MODEL",
        help="base, large, nano, max78000 or FILE.tvlm (default: what the board has, "
        "else that of the vocabularies, or base)",
    )
    parser.add_argument(
        "--engine",
        type=Path,
        metavar="FILE.mpy",
        help="the engine for a firmware without it, made by make natmod ARCH=...",
    )
    parser.add_argument(
        "--from",
        dest="release",
        metavar="DIR|URL",
        help="a release: take engine and encoder from it, as far as this board lacks them",
    )
    parser.add_argument(
        "--port",
        default="auto",
        help="serial port, or the folder of a CIRCUITPY drive (default: the only board on USB)",
    )
    parser.add_argument(
        "--backend",
        choices=("mpremote", "ampy", "circuitpy"),
        help="default: mpremote; circuitpy if the port is a folder",
    )
    parser.add_argument(
        "--openmv",
        nargs="?",
        const="auto",
        metavar="FOLDER or FILE.romfs",
        help="an OpenMV camera or ESP-VISION board: its drive (default: the only one mounted), or "
        "a ROMFS image; encoder as .tflite, and an example as main.py",
    )
    parser.add_argument(
        "--main", type=Path, metavar="FILE.py", help="the program that runs at power-on"
    )
    parser.add_argument("--examples", action="store_true", help="copy detect.py, too")
    parser.add_argument(
        "--no-package", action="store_true", help="do not copy the Python package tinyvlm"
    )
    parser.add_argument(
        "--no-selftest", action="store_true", help="do not run the encoder's self-test"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and change nothing"
    )
    parser.add_argument("--list", action="store_true", help="list ports and drives, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
