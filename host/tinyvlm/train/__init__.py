# SPDX-License-Identifier: MIT
"""Training: photos and class names in, an int8 `tinyvlm.graph.Graph` and a lexicon out.

Needs torch; read in the order data, text, labels, student, loss, train, quantize, export.
"""
