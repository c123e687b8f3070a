import os

freeze("modules")
include("$(MPY_DIR)/extmod/asyncio")

# The device's Python package, where this board is built from a checkout of tinyvlm.
_DEVICE = "../../device"
if os.path.isdir(_DEVICE + "/tinyvlm"):
    package("tinyvlm", base_path=_DEVICE)
