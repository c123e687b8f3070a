# SPDX-License-Identifier: MIT
"""For the tests of tinyvlm-deploy and tinyvlm-flash: the commands in this process, and files."""

import contextlib
import io

import numpy as np
from nets import random_graph

from tinyvlm import deploy
from tinyvlm.net import tvlm
from tinyvlm.shipped import DEFAULT_MODEL
from tinyvlm.words import tvp

FINGERPRINT = DEFAULT_MODEL.read_bytes()[16:24]


def call(main, *args):
    """main(args) as the command line would: (status, output, errors). Errors are one sentence."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(arg) for arg in args])
    errors = err.getvalue()
    assert errors.count("\n") == (status != 0), errors
    return status, out.getvalue(), errors


def run(*args):
    """`tinyvlm-deploy ...`"""
    return call(deploy.main, *args)


def make_vocab(path, labels=("cat", "dog"), dim=64, fingerprint=FINGERPRINT):
    """A vocabulary of random numbers, for the encoder that ships."""
    vectors = np.random.default_rng(len(labels)).integers(-127, 128, (len(labels), dim))
    vectors = vectors.astype(np.int8)
    tvp.write(tvp.Prototypes(list(labels), vectors, fingerprint, "first-light"), path)
    return path


def small_encoder(folder, name="small"):
    graph = random_graph(7, size=16, dim=16)
    graph.info["name"] = name
    tvlm.write(graph, folder / f"{name}.tvlm")
    return folder / f"{name}.tvlm"
