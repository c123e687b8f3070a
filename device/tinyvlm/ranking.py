# SPDX-License-Identifier: MIT
"""Which labels are nearest to an embedding, in buffers that the next frame uses again.

On a board with the engine nothing here allocates once a call was made: no lists, no slices, and
no floats, each of which would be a block of the heap.
"""

from array import array

from .score import NATIVE, rank, score, score_at, weigh
from .score import top as best_rows

_MANY = 512  # labels; from here on a prefix is looked at first
_PREFIX = 32
_FINALISTS = 64
_NUMBERED = 65536  # rows that an array('H') can list


class Ranking:
    """The prototypes of a vocabulary as they are now: labels first, then its background words.

    learnt: of labels that were shown, {index: (..., ..., factor on its cosines)}.
    """

    def __init__(self, vectors, labels, background, stored_dim, bits, learnt):
        self._vectors = vectors
        self._labels = labels
        self._rows = labels + background
        self._stored_dim = stored_dim
        self._bits = bits
        self._shown = array("H", sorted(learnt))
        self._was_shown = set(learnt)
        self._gains = array("f", [learnt[i][2] for i in self._shown] or [1])  # empty: not aligned
        self._how = array("f", [0, 0, 0])  # scale, threshold, none
        self._cosines = self._scores = self._index = None
        self._order = array("H", [0])
        self._coarse = False  # does _order count finalists, not labels?

    def compare(self, embedding, dim):
        """Cosines with every prototype, in an array that is used again."""
        if len(embedding) < dim:
            raise ValueError("the embedding has %d dimensions, dim is %d" % (len(embedding), dim))
        out, rows, shown = self._cosines, self._rows, self._shown
        if out is None:
            out = self._cosines = array("f", bytes(4 * rows))
        score(embedding, self._vectors, rows, self._stored_dim, self._bits, dim, out)
        weigh(out, shown, len(shown), self._gains)
        return out

    def best(self, embedding, dim, level, count, coarse=None):
        """How many of the `count` nearest labels count; index() and score() say which.

        level: scale, threshold and none, see tvp.py. 0: a background word is nearer, or no score
        reaches the threshold; score(0) is the best label's all the same.
        """
        labels, rows = self._labels, self._rows
        if coarse is None:
            coarse = _PREFIX if NATIVE and labels >= _MANY else 0
        self._coarse = bool(coarse) and labels > _FINALISTS and rows <= _NUMBERED
        if self._coarse:
            background = rows - labels
            labels = self._finalists(embedding, dim, min(coarse, dim))
            rows, cosines = labels + background, self._final
        else:
            cosines = self.compare(embedding, dim)
        self._set(level)
        count = min(count, labels)
        if len(self._order) < count:
            self._order = array("H", bytes(2 * count))
        if self._scores is None or len(self._scores) < labels:
            self._scores = array("f", bytes(4 * labels))
        return rank(cosines, labels, rows, self._how, self._scores, count, self._order)

    def index(self, rank):
        """The index of the label that best() put at a rank."""
        at = self._order[rank]
        return self._index[at] if self._coarse else at

    def score(self, rank):
        """The score of the label that best() put at a rank."""
        return self._scores[self._order[rank]]

    def all(self, embedding, dim, level, scores):
        """Every label's score into `scores`. Returns the best one's index, -1 if none counts."""
        labels, order = self._labels, self._order
        if len(scores) < labels:
            raise ValueError(
                "scores has room for %d values, the vocabulary %d labels: give it an "
                "array('f') of len(vocab)" % (len(scores), labels)
            )
        cosines = self.compare(embedding, dim)
        self._set(level)
        count = rank(cosines, labels, self._rows, self._how, scores, 1, order)
        return order[0] if count else -1

    def _set(self, level):
        for i in range(3):
            self._how[i] = level[i]

    def _finalists(self, embedding, dim, prefix):
        # How many labels are compared at `dim`; _final has their cosines and the background's.
        shown, labels, rows = self._shown, self._labels, self._rows
        if self._index is None:
            room = len(shown) + _FINALISTS + rows - labels
            self._index = array("H", bytes(2 * room))
            self._final = array("f", bytes(4 * room))
            self._near = array("H", bytes(2 * _FINALISTS))
            self._firsts = array("H", range(len(shown)))
            for i in range(len(shown)):  # what was shown is never left out
                self._index[i] = shown[i]
        # four at once would be a tuple, on the heap
        index, near, out = self._index, self._near, self._final
        vectors, stored_dim, bits = self._vectors, self._stored_dim, self._bits
        found = best_rows(
            embedding, vectors, labels, stored_dim, bits, prefix, _FINALISTS, near, out
        )
        count = len(shown)
        for i in range(found):
            if near[i] not in self._was_shown:
                index[count] = near[i]
                count += 1
        for row in range(labels, rows):
            index[count + row - labels] = row
        every = count + rows - labels
        score_at(embedding, vectors, rows, stored_dim, bits, dim, index, every, out)
        weigh(out, self._firsts, len(shown), self._gains)
        return count
