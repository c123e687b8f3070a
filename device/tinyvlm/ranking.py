# SPDX-License-Identifier: MIT
"""Which labels are nearest to an embedding, in buffers that the next frame uses again.

On a board with the engine nothing here allocates once a call was made: no lists, no slices, and
no floats, each of which would be a block of the heap. Whoever compares takes a set of buffers and
gives it back; another thread, or a callback that runs meanwhile, gets another one.
"""

from array import array

from .score import best as best_labels
from .score import rank, score, weigh


class Buffers:
    """What one comparison works in. order, scores: the nearest labels, as best() finds them."""

    def __init__(self):
        self.how = array("f", [0, 0, 0])  # scale, threshold, none
        self.order = array("H", [0])
        self.scores = array("f", [0])
        self.cosines = None


class Ranking:
    """The prototypes of a vocabulary as they are now: labels first, then its background words.

    learnt: of labels with a gain, {index: (..., ..., factor on its cosines)}.
    """

    def __init__(self, vectors, labels, background, stored_dim, bits, learnt):
        self._vectors = vectors
        self._labels = labels
        self._rows = labels + background
        self._stored_dim = stored_dim
        self._bits = bits
        self._shown = array("H", sorted(learnt))
        self._gains = array("f", [learnt[i][2] for i in self._shown] or [1])  # empty: not aligned
        self._spare = [Buffers()]

    def take(self):
        """Buffers that nobody else has until they are given back."""
        try:
            return self._spare.pop()  # one step, which no other thread can divide
        except IndexError:
            return Buffers()

    def give(self, buffers):
        """Give buffers back. Those that an exception kept are replaced by new ones."""
        self._spare.append(buffers)

    def compare(self, buffers, embedding, dim):
        """Cosines with every prototype, in buffers.cosines."""
        self._check(embedding, dim)
        out, rows, shown = buffers.cosines, self._rows, self._shown
        if out is None:
            out = buffers.cosines = array("f", bytes(4 * rows))
        score(embedding, self._vectors, rows, self._stored_dim, self._bits, dim, out)
        weigh(out, shown, len(shown), self._gains)
        return out

    def best(self, buffers, embedding, dim, level, count):
        """How many of the `count` nearest labels count; buffers.order and .scores say which.

        level: scale, threshold and none, see tvp.py. 0: a background word is nearer, or no score
        reaches the threshold; scores[0] is the best label's all the same. However many labels
        there are, only the nearest are kept.
        """
        self._check(embedding, dim)
        _set(buffers.how, level)
        labels, shown = self._labels, self._shown
        count = min(count, labels)
        if len(buffers.order) < count:
            buffers.order = array("H", bytes(2 * count))
            buffers.scores = array("f", bytes(4 * count))
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
            buffers.how,
            count,
            buffers.order,
            buffers.scores,
        )

    def all(self, buffers, embedding, dim, level, scores):
        """Every label's score into `scores`. Returns the best one's index, -1 if none counts."""
        labels, order = self._labels, buffers.order
        if len(scores) < labels:
            raise ValueError(
                "scores has room for %d values, the vocabulary %d labels: give it an "
                "array('f') of len(vocab)" % (len(scores), labels)
            )
        cosines = self.compare(buffers, embedding, dim)
        _set(buffers.how, level)
        count = rank(cosines, labels, self._rows, buffers.how, scores, 1, order)
        return order[0] if count else -1

    def _check(self, embedding, dim):
        if len(embedding) < dim:
            raise ValueError("the embedding has %d dimensions, dim is %d" % (len(embedding), dim))


def _set(how, level):
    for i in range(3):
        how[i] = level[i]
