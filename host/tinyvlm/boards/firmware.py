# SPDX-License-Identifier: MIT
"""Firmware images: which chip is this file for, and is it whole?

    image = read_image(Path("firmware.dfu"))
    image.family, image.chip, image.segments      # "stm32", None, [(0x8000000, b"...")]

ESP32 images name their chip. DfuSe, UF2 and Intel hex files name addresses. A raw Arm image names
nothing, but it begins with its vector table: where the stack is and where the code starts.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from ..shipped import extra
from .ports import BoardError

# family: (flash, RAM), each a list of (first, end). STM32: those of the whole family; DTCM and
# AXI SRAM of the H7 included.
MEMORY = {
    "stm32": (
        [(0x0800_0000, 0x0820_0000), (0x9000_0000, 0xA000_0000)],
        [(0x1000_0000, 0x1001_0000), (0x2000_0000, 0x200C_0000), (0x2400_0000, 0x2408_0000)],
    ),
    "stm32h7": (
        [(0x0800_0000, 0x0820_0000), (0x9000_0000, 0xA000_0000)],
        [(0x2000_0000, 0x2002_0000), (0x2400_0000, 0x2408_0000), (0x3000_0000, 0x3004_8000)],
    ),
    "max78000": ([(0x1000_0000, 0x1008_0000)], [(0x2000_0000, 0x2002_0000)]),
}

# UF2's family ids, and what INFO_UF2.TXT of such a board contains.
UF2_FAMILIES = {
    0xE48BFF56: ("rp2040", "RPI-RP2"),
    0xE48BFF59: ("rp2350", "RP2350"),
    0xE48BFF5A: ("rp2350", "RP2350"),
    0xBFDD4EEE: ("esp32s2", "ESP32S2"),
    0xC47E5767: ("esp32s3", "ESP32S3"),
    0x55114460: ("samd51", "SAMD51"),
    0xADA52840: ("nrf52840", "nRF52840"),
    0x4FB2D5BD: ("mimxrt10xx", "RT10"),
}

STM32_DFU = (0x0483, 0xDF11)  # vid, pid of the ROM's bootloader


@dataclass
class Image:
    """A firmware file. chip: None if the file does not say it closer than `family` does."""

    path: Path
    kind: str  # "esp", "dfu", "bin", "hex" or "uf2"
    family: str  # "esp32", "stm32", "max78000" or "uf2"
    data: bytes  # the file
    chip: str | None = None
    segments: list[tuple[int, bytes]] = field(default_factory=list)  # (address, bytes)
    usb: tuple[int, int] | None = None  # vid, pid that a .dfu file wants

    @property
    def size(self) -> int:
        return sum(len(data) for _, data in self.segments)

    def __str__(self) -> str:
        places = ", ".join(f"{len(data)} bytes at {at:#x}" for at, data in self.segments[:4])
        return f"{self.path.name}: for {self.chip or self.family}, {places}"


def read_image(path: Path, address: int | None = None) -> Image:
    """Find out what a file is and check it. `address` is where a raw image belongs."""
    data = path.read_bytes()
    if data[:4] == b"\x7fELF":
        raise BoardError(f"{path.name} is an ELF file; give the .bin, .dfu or .hex made from it")
    if data[:5] == b"DfuSe":
        return read_dfu(path, data)
    if data[:4] == b"UF2\n":
        return read_uf2(path, data)
    if data[:1] == b":":
        return read_hex(path, data)
    if data[:1] == b"\xe9":
        return read_esp(path, data, address)
    return read_bin(path, data, address)


def read_esp(path: Path, data: bytes, address: int | None = None) -> Image:
    """Espressif's format, checked by esptool: chip, checksum, SHA-256."""
    try:
        from esptool.bin_image import LoadFirmwareImage
        from esptool.targets import CHIP_DEFS, ROM_LIST
        from esptool.util import FatalError
    except ImportError:
        raise BoardError(f"esptool is not installed: {extra('boards')}") from None
    number = int.from_bytes(data[12:14], "little")
    names = {rom.IMAGE_CHIP_ID: rom.CHIP_NAME for rom in ROM_LIST if hasattr(rom, "IMAGE_CHIP_ID")}
    chip = names.get(number, "").lower().replace("-", "")
    if len(data) < 24 or chip not in CHIP_DEFS:
        raise BoardError(
            f"{path.name}: an Espressif image, but not for an ESP32 chip (id {number})"
        )
    try:
        image = LoadFirmwareImage(chip, data)
        whole = image.checksum == image.calculate_checksum()
        digest = getattr(image, "stored_digest", None)
        whole = whole and (digest is None or digest == image.calc_digest)
    except (FatalError, struct.error, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise BoardError(f"{path.name}: damaged: {str(error).splitlines()[0]}") from None
    if not whole:
        raise BoardError(f"{path.name}: damaged, its checksum is wrong; get it again")
    if address is None:
        # MicroPython's images begin with the bootloader, and hold the partition table
        address = CHIP_DEFS[chip].BOOTLOADER_FLASH_OFFSET
        table = 0x8000 - address
        if data[table : table + 2] != b"\xaa\x50":
            raise BoardError(
                f"{path.name} has no partition table, so it is an application alone; say where "
                "it belongs with --address (0x10000 on most boards)"
            )
    return Image(path, "esp", "esp32", data, chip, [(address, data)])


def read_dfu(path: Path, data: bytes) -> Image:
    """ST's DfuSe format: targets of elements, each with its address; a suffix with a CRC."""
    damaged = BoardError(f"{path.name}: damaged or cut off; get it again")
    if len(data) < 11 + 16 or data[-8:-4] != b"UFD\x10":
        raise damaged
    # the suffix's CRC-32 is not inverted at the end, zlib's is
    if zlib.crc32(data[:-4]) ^ 0xFFFFFFFF != int.from_bytes(data[-4:], "little"):
        raise damaged
    _, product, vendor, _ = struct.unpack_from("<HHHH", data, len(data) - 16)
    segments, at = [], 11
    try:
        for _ in range(data[10]):
            signature, size, elements = struct.unpack_from("<6s260xII", data, at)
            if signature != b"Target":
                raise damaged
            at += 274
            for _ in range(elements):
                address, size = struct.unpack_from("<II", data, at)
                segments.append((address, data[at + 8 : at + 8 + size]))
                at += 8 + size
    except struct.error:
        raise damaged from None
    if at != len(data) - 16 or not segments:
        raise damaged
    segments.sort()
    image = Image(path, "dfu", "stm32", data, None, segments, (vendor, product))
    check_vectors(image, "stm32")
    return image


def read_uf2(path: Path, data: bytes) -> Image:
    """Blocks of 512 bytes, each for itself with an address and the family of its chip."""
    damaged = BoardError(f"{path.name}: damaged or cut off; get it again")
    if len(data) % 512:
        raise damaged
    segments, families = [], set()
    for at in range(0, len(data), 512):
        magic, magic2, flags, address, size, number, total, family = struct.unpack_from(
            "<IIIIIIII", data, at
        )
        end = int.from_bytes(data[at + 508 : at + 512], "little")
        if (magic, magic2, end) != (0x0A324655, 0x9E5D5157, 0x0AB16F30) or size > 476:
            raise damaged
        if number != at // 512 or total != len(data) // 512:
            raise damaged
        families.add(family if flags & 0x2000 else None)
        segments.append((address, data[at + 32 : at + 32 + size]))
    if len(families) != 1 or not families <= set(UF2_FAMILIES):
        raise BoardError(
            f"{path.name}: UF2, but it does not say for which of the chips known here"
        )
    chip = UF2_FAMILIES[families.pop()][0]
    joined = [(segments[0][0], b"".join(piece for _, piece in segments))]
    return Image(path, "uf2", "uf2", data, chip, joined)


def read_hex(path: Path, data: bytes) -> Image:
    """Intel hex."""
    segments: dict[int, bytearray] = {}
    base = end = 0
    ended = False
    for number, line in enumerate(data.decode("ascii", "replace").split(), 1):
        try:
            record = bytes.fromhex(line.removeprefix(":"))
        except ValueError:
            record = b""
        if len(record) < 5 or len(record) != record[0] + 5 or sum(record) & 0xFF:
            raise BoardError(f"{path.name}: line {number} is damaged; get it again")
        kind, payload = record[3], record[4:-1]
        if kind == 0:
            at = base + int.from_bytes(record[1:3], "big")
            if at != end or not segments:
                segments[at] = bytearray()
                start = at
            segments[start] += payload
            end = at + len(payload)
        elif kind == 1:
            ended = True
        elif kind in (2, 4):
            base = int.from_bytes(payload, "big") << (4 if kind == 2 else 16)
    if not ended or not segments:
        raise BoardError(f"{path.name}: cut off; get it again")
    pieces = sorted((at, bytes(piece)) for at, piece in segments.items())
    return _arm(Image(path, "hex", "", data, None, pieces), pieces[0][0])


def read_bin(path: Path, data: bytes, address: int | None) -> Image:
    return _arm(Image(path, "bin", "", data, None, [(0, data)]), address)


def _arm(image: Image, address: int | None) -> Image:
    """Complete a raw image for an Arm chip; where its code starts tells which."""
    stack, reset = vectors(image)
    for family in ("stm32", "max78000"):
        flash, ram = MEMORY[family]
        if _inside(reset & ~1, flash) and _inside(stack - 4, ram) and reset & 1:
            start = flash[0][0] if address is None else address
            if image.kind == "bin":
                image.segments = [(start, image.data)]
            image.family = family
            check_vectors(image, family)
            end = start + len(image.data)
            if image.kind == "bin" and not start <= reset < end:
                raise BoardError(
                    f"{image.path.name}: it starts at {reset & ~1:#x}, outside of its "
                    f"{len(image.data)} bytes at {start:#x}; give its place with --address, or "
                    "the .dfu file"
                )
            return image
    raise BoardError(
        f"{image.path.name}: not a firmware known here: no Espressif header, and no vector table "
        f"for an STM32 or a MAX78000 (stack {stack:#x}, start {reset:#x})"
    )


def vectors(image: Image) -> tuple[int, int]:
    """Initial stack pointer and reset vector, at the beginning of the lowest segment."""
    first = image.segments[0][1]
    if len(first) < 8:
        raise BoardError(f"{image.path.name}: {len(first)} bytes are no firmware")
    return struct.unpack_from("<II", first)


def check_vectors(image: Image, family: str) -> None:
    """BoardError unless stack, start and all bytes lie in the memory of `family`."""
    flash, ram = MEMORY[family]
    name, (stack, reset) = image.path.name, vectors(image)
    what = family.upper()
    if not _inside(stack - 4, ram) or stack % 4:
        raise BoardError(f"{name}: its stack at {stack:#x} is not in the RAM of an {what}")
    if not _inside(reset & ~1, flash) or not reset & 1:
        raise BoardError(
            f"{name}: it starts at {reset:#x}, which is not in the flash of an {what}"
        )
    for address, data in image.segments:
        if not any(first <= address and address + len(data) <= end for first, end in flash):
            first, end = flash[0]
            raise BoardError(
                f"{name}: {len(data)} bytes at {address:#x} do not fit into the flash of an "
                f"{what} ({(end - first) // 1024} KB at {first:#x})"
            )


def _inside(address: int, regions: list[tuple[int, int]]) -> bool:
    return any(first <= address < end for first, end in regions)
