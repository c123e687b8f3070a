# SPDX-License-Identifier: MIT
# Encoder and vocabularies tried where they will be used.
import gc

import tinyvlm


def selftest():  # (what the encoder says, its path, its fingerprint)
    gc.collect()
    e = tinyvlm.load()
    t = getattr(tinyvlm, "selftest", None) or e._engine.selftest
    if t() is False:
        raise RuntimeError("the known answer differs")
    return str(e), e.path, bytes(e.fingerprint)


def vocab(path):  # (what it says, its labels)
    v = tinyvlm.Vocab(path)
    return str(v), v.labels
