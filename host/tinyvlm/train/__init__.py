# SPDX-License-Identifier: MIT
"""Training: shards of photos with class names or captions in, a `.tvlm` out.

Needs torch. Read in the order config, shape, student, shards, augment, loader, text, labels,
space, loss, task, train, checkpoint; then teacher and cache; integer, quantize, export.
"""
