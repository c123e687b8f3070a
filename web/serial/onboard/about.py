# SPDX-License-Identifier: MIT
# What the page asks a board about itself, besides what tinyvlm-deploy does.
import os


def drive():  # the mark of firmware that wants a .tflite on its drive, or ""
    try:
        import _tinyvlm  # noqa: F401 - the mark is of a firmware that was there before

        return ""
    except Exception:
        pass
    for p in (".", "/", "/flash", "/sd"):
        try:
            names = os.listdir(p)
        except OSError:
            continue
        for n in (".openmv_disk", ".esp_vision_disk"):
            if n in names:
                return n
    try:
        import omv  # noqa: F401 - OpenMV's own, with its drive switched off

        return ".openmv_disk"
    except ImportError:
        return ""


def package():  # (version of tinyvlm, what its info() says or None, why not)
    try:
        import tinyvlm
    except Exception as e:
        return None, None, str(e)
    try:
        return tinyvlm.__version__, str(tinyvlm.info()), None
    except Exception as e:
        return tinyvlm.__version__, None, str(e)
