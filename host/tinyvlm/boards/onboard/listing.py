# SPDX-License-Identifier: MIT
# What lies on a board: (heads of encoders and vocabularies, leftovers of a copy, files in ROMFS).
import os


def names(p):
    try:
        return sorted(os.listdir(p or "."))
    except OSError:
        return []


def listing(places, lib, engine):
    heads = []
    for p in places:
        for n in names(p):
            if n[-5:] == ".tvlm" or n[-4:] == ".tvp":
                n = p + "/" + n if p else n
                with open(n, "rb") as f:
                    heads.append((n, f.read(24), os.stat(n)[6]))
    package, trials = lib + "/tinyvlm", (engine + ".mpy.new", engine + "_new.mpy")
    left = [n for n in names("") if n[-8:] == ".tvp.new" or n[-9:] == ".tvlm.new"]
    left += [n for n in names("") if n == "main.py.new"]
    left += [package + "/" + n for n in names(package) if n[-4:] == ".new"]
    left += [lib + "/" + n for n in names(lib) if n in trials]
    rom = []
    walk("/rom", rom)
    return heads, left, rom


def walk(p, found):
    for n in names(p):
        q = p + "/" + n
        s = os.stat(q)
        if s[0] & 0x4000:
            walk(q, found)
        else:
            found.append((q, s[6]))
