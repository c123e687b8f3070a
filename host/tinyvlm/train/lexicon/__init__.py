# SPDX-License-Identifier: MIT
"""Building the lexicon: which words it has, and a vector for each.

build.py     the command      words.py     which words are worth a row
wordnet.py   meanings         estimate.py  vectors of words that CLIP's table lacks
measure.py   how good they are      regression.py  any phrase, for words/sentence.py
"""
