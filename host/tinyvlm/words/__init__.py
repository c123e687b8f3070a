# SPDX-License-Identifier: MIT
"""Words: from a word list to prototypes that an image encoder understands.

vocabulary.py  the word list          encoders.py    text encoders by name
space.py       vectors, linear map    lexicon.py     the offline one
prototypes.py  phrases to prototypes  clip.py        open_clip's
sentence.py    any English phrase
background.py  none of the labels     tvp.py         the .tvp file
lint.py        labels too alike       report.py      a page about them
"""
