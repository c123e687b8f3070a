# SPDX-License-Identifier: MIT
# What a board is and has. Each part may fail by itself; a key that is missing means None.
import gc
import os
import sys


def facts(engine):
    gc.collect()
    i = sys.implementation
    d = {"name": i[0], "version": ".".join([str(n) for n in i[1][:3]]), "ram": gc.mem_free()}
    d["machine"] = getattr(i, "_machine", "") or (
        os.uname()[4] if hasattr(os, "uname") else sys.platform
    )
    d["mpy"] = getattr(i, "_mpy", 0)
    d["cwd"] = os.getcwd()
    try:
        s = os.statvfs(d["cwd"])
        d["block"], d["flash"], d["free"] = s[1], s[1] * s[2], s[1] * s[3]
    except Exception:
        pass
    for p in sys.path:
        if p.endswith("/lib") and not p.startswith("/rom"):
            d["lib"] = p
            break
    try:
        import vfs

        mounts = [(len(p), str(type(v))) for v, p in vfs.mount() if d["cwd"].startswith(p)]
        d["fs"] = max(mounts)[1]
    except Exception:
        pass
    try:
        v = vfs.rom_ioctl(2, 0) if vfs.rom_ioctl(1) > 0 else 0
        d["romfs"] = v.ioctl(4, 0) * v.ioctl(5, 0) if hasattr(v, "ioctl") else len(v)
    except Exception:
        pass
    for n in list(sys.modules):
        if n.split(".")[0] == "tinyvlm":
            del sys.modules[n]
    try:
        d["engine"] = getattr(__import__(engine), "__file__", "")
    except Exception:
        pass
    p = sys.path[:]
    sys.path[:] = [".frozen"]
    try:
        import tinyvlm

        d["frozen"] = tinyvlm.__version__
    except Exception:
        pass
    sys.path[:] = p
    return d
