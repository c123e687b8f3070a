# SPDX-License-Identifier: MIT
"""Boards on USB: finding them, talking to them, copying and flashing with care.

ports.py       serial ports, drives   transports.py  links to a serial board
target.py      a MicroPython board    drive.py       a CircuitPython one
deployment.py  what is to be copied   native_mpy.py  the engine as a file
firmware.py    firmware files         flashers.py    tools that write them
"""
