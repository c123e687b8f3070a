# SPDX-License-Identifier: MIT
"""Which labels are nearest to an embedding, in buffers that the next frame uses again.

On a board with the engine nothing here allocates once a call was made: no lists, no slices, and
no floats, each of which would be a block of the heap.
"""

from array import array

from .score import best as best_labels
from .score import rank, score, weigh


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
        self._gains = array("f", [learnt[i][2] for i in self._shown] or [1])  # empty: not aligned
        self._how = array("f", [0, 0, 0])  # scale, threshold, none
        self._cosines = None
        self._order = array("H", [0])
        self._scores = array("f", [0])  # of the labels in _order

    def compare(self, embedding, dim):
        """Cosines with every prototype, in an array that is used again."""
        self._check(embedding, dim)
        out, rows, shown = self._cosines, self._rows, self._shown
        if out is None:
            out = self._cosines = array("f", bytes(4 * rows))
        score(embedding, self._vectors, rows, self._stored_dim, self._bits, dim, out)
        weigh(out, shown, len(shown), self._gains)
        return out

    def best(self, embedding, dim, level, count):
        """How many of the `count` nearest labels count; index() and score() say which.

        level: scale, threshold and none, see tvp.py. 0: a background word is nearer, or no score
        reaches the threshold; score(0) is the best label's all the same. However many labels
        there are, only the nearest are kept.
        """
        self._check(embedding, dim)
        self._set(level)
        labels, shown = self._labels, self._shown
        count = min(count, labels)
        if len(self._order) < count:
            self._order = array("H", bytes(2 * count))
            self._scores = array("f", bytes(4 * count))
        return best_labels(
            embedding,
            self._vectors,
            labels,
            self._rows,
            self._stored_dim,
            self._bits,
            dim,
            shown,
            len(shown),
            self._gains,
            self._how,
            count,
            self._order,
            self._scores,
        )

    def index(self, rank):
        """The index of the label that best() put at a rank."""
        return self._order[rank]

    def score(self, rank):
        """The score of the label that best() put at a rank."""
        return self._scores[rank]

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

    def _check(self, embedding, dim):
        if len(embedding) < dim:
            raise ValueError("the embedding has %d dimensions, dim is %d" % (len(embedding), dim))

    def _set(self, level):
        for i in range(3):
            self._how[i] = level[i]
