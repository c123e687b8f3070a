# SPDX-License-Identifier: MIT
"""What a firmware takes of its board's memories: `report.py BUILD ENCODER`.

Measured on the linked ELF file; the arena is what the encoder file says it needs.
"""

import sys
from pathlib import Path

from elf import ARENA, FILES, HEAP, ROMFS, inside, regions, sections, symbols

FLASH_REGIONS = ("FLASH_TEXT", "FLASH")  # the Arduinos' after their bootloader, the others'


def rows(build: Path, encoder: Path, arena: int) -> list[tuple[str, int, int]]:
    """(what, bytes used, bytes there) for each memory."""
    elf = build / "firmware.elf"
    known, memories = symbols(elf), regions(build / "firmware.map")
    flash, ram = sections(elf)
    code = next(name for name in FLASH_REGIONS if name in memories)
    start, room = (known[name] for name in ROMFS)
    where = "chip" if start >> 24 == 0x08 else "external"
    firmware, image = inside(flash, memories[code]), (build / "rom.romfs").stat().st_size
    table = [
        ("flash: firmware", firmware, memories[code][1]),
        (f"{where} flash: ROMFS with {encoder.name}", image, room),
    ]
    if where == "chip":
        # the firmware's, ROMFS's and the files' share make the whole of the chip's flash
        files = known[FILES[1]] - known[FILES[0]]
        table.append(("chip flash: all, files included", firmware + image + files, 2 << 20))
    fixed, heap = inside(ram, memories["RAM"]), known[HEAP[1]] - known[HEAP[0]]
    return table + [
        ("DTCM: arena", arena, known[ARENA[1]] - known[ARENA[0]]),
        ("RAM: data, bss, code in RAM", fixed, memories["RAM"][1]),
        (f"RAM: and a heap of {heap}; left: stack", fixed + heap, memories["RAM"][1]),
    ]


def main(build: Path, encoder: Path) -> int:
    """Print the table; 1 if the encoder's arena does not fit."""
    from tinyvlm.net.tvlm import load

    table = rows(build, encoder, load(encoder).plan.arena_size)
    print(f"\n{build.name:40}{'bytes':>10}{'of':>10}{'left':>10}")
    for what, used, there in table:
        print(f"{what:40}{used:10}{there:10}{there - used:10}")
    if any(used > there for _, used, there in table):
        print("make firmware: that does not fit; take a smaller encoder", file=sys.stderr)
        return 1
    both = (build / "all.dfu").exists()
    print(f"\nWrite it: tinyvlm-flash {build / ('all.dfu' if both else 'firmware.dfu')}")
    if not both:
        print(f"    then: mpremote romfs deploy {build / 'rom.romfs'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
