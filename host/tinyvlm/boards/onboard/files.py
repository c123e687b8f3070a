# SPDX-License-Identifier: MIT
# Folders and files, several in one go.
import os


def make_folders(paths):
    for p in paths:
        try:
            os.stat(p)
        except OSError:
            os.mkdir(p)


def remove(paths):
    for p in paths:
        try:
            os.remove(p)
        except OSError:
            pass
    sync()


def sync():
    if hasattr(os, "sync"):
        os.sync()
