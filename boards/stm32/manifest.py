# What is frozen into the firmware: asyncio, and the device's Python package.
import os

include("$(MPY_DIR)/extmod/asyncio")
package("tinyvlm", base_path="../../device")
freeze("modules")
board = os.environ.get("TINYVLM_BOARD", "") + "/modules"  # board.mk exports it
if os.path.isdir(board):
    freeze(board)

# MicroPython 1.29: the manifest names the C module, too. Before, USER_C_MODULES does (board.mk).
if "c_module" in globals():
    c_module(os.path.abspath("../../native"))
