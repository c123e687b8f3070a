# SPDX-License-Identifier: MIT
"""How well tinyvlm.detect points: its boxes against known ones, beside simpler ways.

    python tools/localize.py --composites ../shared/data/train   # what detect() was made with
    python tools/localize.py --data ../shared/data/eval/coco-mini-boxes-000.tar.gz

What the columns are is said in host/tinyvlm/measure/localize.py.
"""

import sys

from tinyvlm.measure.localize import main

sys.exit(main())
