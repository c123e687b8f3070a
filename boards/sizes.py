# SPDX-License-Identifier: MIT
"""How large engine and firmware are, and how much they grew: `make size`.

Compares with sizes.json beside the board; `python3 boards/sizes.py --update` writes it anew, to
be committed together with what made the difference. Growth is printed, not judged: CI shows it
to whoever reviews.
"""

import json
import subprocess
import sys
from pathlib import Path

KNOWN = Path(__file__).parent / "VIRT_CORTEX_M7" / "sizes.json"


def measure(files: list[Path]) -> dict[str, int]:
    """Bytes of code and constants (text) and of static RAM (data, bss), summed over files."""
    command = ["arm-none-eabi-size", *map(str, files)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [[int(number) for number in line.split()[:3]] for line in said.splitlines()[1:]]
    return {"text": sum(r[0] for r in rows), "ram": sum(r[1] + r[2] for r in rows)}


def main(build: Path, update: bool) -> int:
    """Print the table; 1 if there is nothing to measure."""
    firmware, objects = build / "firmware.elf", sorted((build / "native").glob("*.o"))
    if not firmware.is_file() or not objects:
        print(f"sizes: no firmware in {build}: run `make board`", file=sys.stderr)
        return 1
    engine = [path for path in objects if path.name.startswith("tv_")]
    now = {path.stem: measure([path]) for path in engine}
    now |= {"engine": measure(engine), "firmware": measure([firmware])}
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    print(f"{'bytes':22}{'text':>9}{'grew':>8}{'RAM':>8}{'grew':>8}")
    for name, size in now.items():
        line = f"{name:22}"
        for (key, value), width in zip(size.items(), (9, 8), strict=True):
            before = known.get(name, {}).get(key, 0)
            line += f"{value:>{width}}{value - before:>+8}"
        print(line)
    if update:
        KNOWN.write_text(json.dumps(now, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path("build/board"), "--update" in sys.argv[1:]))
