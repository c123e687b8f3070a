# SPDX-License-Identifier: MIT
"""A stand-in for the ROM loader of an ESP32 chip, behind a pty: enough for esptool to flash it.

    with RomLoader("esp32c3") as chip:
        esptool --port chip.port --no-stub write-flash 0 firmware.bin
    chip.flash[:4]

It speaks SLIP, answers register reads (chip id, flash id; all others are 0), and keeps what is
written to its flash. Nothing here comes from Espressif's ROM: it is what esptool's documentation
says about the serial protocol.
"""

import hashlib
import os
import struct
import threading
import tty

from esptool.targets import CHIP_DEFS

SYNC, READ_REG, WRITE_REG, SECURITY_INFO = 0x08, 0x0A, 0x09, 0x14
FLASH_BEGIN, FLASH_DATA, FLASH_END, FLASH_MD5 = 0x02, 0x03, 0x04, 0x13
SPI_SET_PARAMS, SPI_ATTACH = 0x0B, 0x0D
MAGIC_REG = 0x40001000
FLASH_SIZE = 4 << 20
FLASH_ID = 0x16_40_20  # size 2^0x16 = 4 MB, type, vendor


class RomLoader:
    """dies_after: stop answering after so many blocks of data, as an unplugged board does."""

    def __init__(self, chip: str, dies_after: int | None = None, damage: bool = False):
        self.rom = CHIP_DEFS[chip]
        self.dies_after, self.damage = dies_after, damage
        self.flash = bytearray(b"\xff" * FLASH_SIZE)
        self.blocks = 0
        self.commands: list[int] = []
        self._at = 0
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self._slave)
        self._thread.join(2)

    def _serve(self) -> None:
        packet, inside, escape = bytearray(), False, False
        try:
            while data := os.read(self._master, 4096):
                for byte in data:
                    if byte == 0xC0:
                        if inside and packet:
                            self._answer(bytes(packet))
                        inside, packet = not (inside and packet), bytearray()
                    elif escape:
                        packet.append({0xDC: 0xC0, 0xDD: 0xDB}[byte])
                        escape = False
                    elif byte == 0xDB:
                        escape = True
                    elif inside:
                        packet.append(byte)
        except OSError:
            pass
        finally:
            os.close(self._master)

    def _answer(self, packet: bytes) -> None:
        if len(packet) < 8 or packet[0] != 0:
            return
        _, op, size, _ = struct.unpack_from("<BBHI", packet)
        body = packet[8 : 8 + size]
        self.commands.append(op)
        if self.dies_after is not None and self.blocks >= self.dies_after:
            return
        value, reply, status = 0, b"", b"\0\0\0\0"
        if op == SYNC:
            for _ in range(7):
                self._send(op, 0x55, status)
            value = 0x55  # 0 would say that the stub is running
        elif op == READ_REG:
            value = self._register(struct.unpack("<I", body)[0])
        elif op == SECURITY_INFO:
            if self.rom.USES_MAGIC_VALUE:
                status = b"\x01\x05\0\0"  # an old ROM does not know this command
                for _ in range(8):
                    self._send(op + 0x80, 0, status)
                return
            reply = struct.pack("<IB7xII", 0, 0, self.rom.IMAGE_CHIP_ID, 0)
        elif op == FLASH_BEGIN:
            size, _, _, self._at = struct.unpack_from("<IIII", body)
            self._from = self._at
            self.flash[self._at : self._at + size] = b"\xff" * size
        elif op == FLASH_DATA:
            length, number = struct.unpack_from("<II", body)
            data = bytearray(body[16 : 16 + length])
            if self.damage and number == 1:
                data[0] ^= 1
            at = self._from + number * length
            self.flash[at : at + length] = data
            self.blocks += 1
        elif op == FLASH_MD5:
            at, size = struct.unpack_from("<II", body)
            reply = hashlib.md5(self.flash[at : at + size]).hexdigest().encode()
        elif op not in (WRITE_REG, FLASH_END, SPI_SET_PARAMS, SPI_ATTACH):
            status = b"\x01\x05\0\0"
        self._send(op, value, reply + status)

    def _register(self, address: int) -> int:
        if address == MAGIC_REG:
            return self.rom.MAGIC_VALUE if self.rom.USES_MAGIC_VALUE else 0
        if address == self.rom.SPI_REG_BASE + self.rom.SPI_W0_OFFS:
            return FLASH_ID
        return 0

    def _send(self, op: int, value: int, data: bytes) -> None:
        packet = struct.pack("<BBHI", 1, op, len(data), value) + data
        packet = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        os.write(self._master, b"\xc0" + packet + b"\xc0")


def firmware(chip: str, size: int = 20_000) -> bytes:
    """A firmware as MicroPython's are: an image for the bootloader, and a partition table."""
    rom = CHIP_DEFS[chip]
    payload = bytes(range(256)) * (-(-size // 256))
    payload = payload[:size]
    header = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x40380000)
    extended = struct.pack("<B3xHBHH4xB", 0, rom.IMAGE_CHIP_ID, 0, 0, 0xFFFF, 1)
    image = header + extended + struct.pack("<II", 0x3FC80000, len(payload)) + payload
    image += bytes(15 - len(image) % 16)
    checksum = 0xEF
    for byte in payload:
        checksum ^= byte
    image += bytes([checksum])
    image += hashlib.sha256(image).digest()
    table = 0x8000 - rom.BOOTLOADER_FLASH_OFFSET
    return image.ljust(table, b"\xff") + b"\xaa\x50" + bytes(30)
