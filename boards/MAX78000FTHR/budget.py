# SPDX-License-Identifier: MIT
"""python3 budget.py firmware.bin: where the 512 KB of flash go; sizes are max78000fthr.ld's."""

import re
import sys
from pathlib import Path

firmware = Path(sys.argv[1]).stat().st_size
script = Path(__file__).with_name("max78000fthr.ld").read_text()
parts = dict(re.findall(r"^ *(FLASH|ROMFS|DISK) .*LENGTH = (\d+)K$", script, re.MULTILINE))
names = {
    "FLASH": f"firmware, {firmware} bytes used",
    "ROMFS": "encoder, vocabularies",
    "DISK": "file system",
}
for part, size in parts.items():
    print(f"{size:>5} KB  {names[part]}")
print(f"{sum(map(int, parts.values())):5} KB  flash")
