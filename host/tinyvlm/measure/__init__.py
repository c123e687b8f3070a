# SPDX-License-Identifier: MIT
"""Measuring encoders on labelled photos: accuracy, retrieval, pointing, calibration.

labelled.py    photos with names      embedding.py   many of them through the engine
metrics.py     what is measured       pointing.py    the same for places
eval_table.py  as text                plots.py       as plots; curves.py those of calibrate.py
held_out.py    what training leaves   calibrate.py   none of them, fitted on it
verdict.py     what a maker gets      localize.py    how detect() points
"""
