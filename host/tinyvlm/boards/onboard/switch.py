# SPDX-License-Identifier: MIT
# Renames NAME.new over NAME for every path, as close together as it goes.
import os


def switch(paths):
    for p in paths:
        try:
            os.rename(p + ".new", p)
        except OSError:  # FAT does not rename over a file
            os.stat(p + ".new")
            os.remove(p)
            os.rename(p + ".new", p)
    if hasattr(os, "sync"):
        os.sync()
