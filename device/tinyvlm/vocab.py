# SPDX-License-Identifier: MIT
"""Vocabularies: labels with their prototypes, from a `.tvp` file, by showing, or both."""

import gc
import struct
from array import array
from math import log, sqrt

from . import tvp
from .ranking import Ranking
from .rows import check_items, nibble, row_size, signed, unit

# How many frames a word counts as, and what stands in their place for a label without a word:
# docs/design.md says how they were measured.
WORD = 5.0
NO_WORD = 1.0
GAIN = 0.75  # power of the length of the mean of what made a prototype: its factor on cosines


class _Held:
    """What a change replaces as a whole: labels, prototypes and what was shown."""

    def __init__(self, labels, vectors, learnt, sums):
        self.labels = labels
        self.vectors = vectors
        self.learnt = learnt  # label index -> times shown, weight, factor on its cosines
        self.sums = sums  # label index -> sum of the unit embeddings shown, array('f')
        self.prototypes = self.ranking = self.level = None  # made once, when asked for


class Vocab:
    """The words to tell apart: `Vocab("pets.tvp")`, made by tinyvlm-pack; add() shows it more.

    labels: their names in order. dim: how many dimensions of a prototype are used; set it to any
    smaller value for speed. threshold: least score that counts, 0 ... 1; it follows dim, until
    you set it. background: prototypes that stand for "none of them". ValueError if the file is
    damaged.

    Reentrancy and lifetimes: any number of threads, and callbacks in the middle of a call, may
    compare at once; each comparison has buffers of its own. What changes a Vocab (add, remove,
    dim, threshold) is for one thread: others see it as it was or as it is. Nothing is copied from
    a buffer given as the file: leave it as it is for as long as the Vocab lives.
    """

    def __init__(self, path):
        self._nameless = isinstance(path, (bytes, bytearray, memoryview))
        if self._nameless:
            data, path = path, "vocabulary"
        elif not isinstance(path, str):
            raise TypeError(
                "a Vocab is read from a .tvp file; its path is a str, not %s" % type(path).__name__
            )
        else:
            data = tvp.open_file(path)
        self.path = path
        self._parse(data)

    def _parse(self, data):
        path = self.path
        fields = tvp.check(data, path)
        size, self.fingerprint, labels, self.background, dim, self.bits = (
            fields[3:4] + (fields[5:10])
        )
        vectors, strings = fields[13:15]
        at = tvp.strings_end(data, path, strings, 3, size)
        end = last = tvp.strings_end(data, path, at, labels, size)
        self._levels, self._rivals, end = tvp.read_levels(data, path, end, fields)
        self.encoder, self.text_encoder, self.prompt = tvp.Labels(data, strings, 3, path)
        words = tvp.Labels(data, at, labels, path)
        if words.empty:
            raise ValueError("%s: an empty label; pack it again" % path)
        if labels <= tvp.LIST:
            words = list(words)
            if len(set(words)) != labels:
                raise ValueError("%s: the same label twice; pack it again" % path)
        elif max(memoryview(data)[at:last]) > 127:  # not ASCII alone: read them all, a second
            for _ in words:
                pass
        self._row_bytes = row_size(dim, self.bits)
        rows = labels + self.background
        view = memoryview(data)[vectors : vectors + rows * self._row_bytes]
        self._held = _Held(words, view, tvp.read_learnt(data, path, end, fields), {})
        self._packed = labels  # how many the levels were fitted for
        self._stored_dim = self._dim = dim

    @property
    def labels(self):
        """The names, in order."""
        return self._held.labels

    @property
    def dim(self):
        """Dimensions in use per prototype, 1 ... what the file holds."""
        return self._dim

    @dim.setter
    def dim(self, dim):
        try:
            whole = dim == int(dim)  # any library's kind of number
        except (TypeError, ValueError):
            whole = False
        if not whole or not 1 <= dim <= self._stored_dim:
            raise ValueError(
                "dim %r: this vocabulary holds %d; set a whole number from 1 to that, or pack it "
                "with a larger --dim" % (dim, self._stored_dim)
            )
        self._dim = int(dim)
        self._held.prototypes = self._held.level = None

    @property
    def logit_scale(self):
        """The factor on cosines that makes scores probabilities, for the dimensions in use."""
        return self.level()[0]

    @property
    def threshold(self):
        """The least score that counts, for the dimensions in use. What you set holds for all."""
        return self.level()[1]

    @threshold.setter
    def threshold(self, threshold):
        try:
            good = 0 <= threshold <= 1
        except TypeError:
            good = False
        if not good:
            raise ValueError("threshold %r: a score is 0 ... 1" % (threshold,))
        threshold = float(threshold)
        self._levels = [(dim, scale, threshold, none) for dim, scale, _, none in self._levels]
        self._held.level = None

    def __len__(self):
        return len(self.labels)

    def __iter__(self):
        return iter(self.labels)

    def __contains__(self, label):
        return label in self.labels

    def __repr__(self):
        return "Vocab(%d label%s, dim %d of %d, %d bits, for %s)" % (
            len(self.labels),
            "" if len(self.labels) == 1 else "s",
            self._dim,
            self._stored_dim,
            self.bits,
            self.encoder,
        )

    def index(self, label):
        """The index of a label, by name or index. ValueError or IndexError if there is none."""
        if isinstance(label, int):
            if not 0 <= label < len(self.labels):
                raise IndexError("label %d: this vocabulary has %d" % (label, len(self.labels)))
            return label
        try:
            return self.labels.index(label)
        except ValueError:
            raise ValueError("%s has no label %r; see .labels" % (self.path, label)) from None

    # -- comparing --------------------------------------------------------------------------

    def cosines(self, embedding):
        """Cosine of an embedding (int8 buffer) with every prototype, as an array('f').

        Labels first, then the background words that compete with them. The array is reused by
        the next comparison, of another thread, too.
        """
        ranking = self.ranking()
        buffers = ranking.take()
        found = ranking.compare(buffers, embedding, self._dim)
        ranking.give(buffers)
        return found

    def prototypes(self):
        """(rows, their count, dimensions stored, bits, dimensions in use), for the engine."""
        held = self._held
        if held.prototypes is None:
            rows = len(held.labels) + self.background
            held.prototypes = held.vectors, rows, self._stored_dim, self.bits, self._dim
        return held.prototypes

    def ranking(self, held=None):
        """What compares, with its buffers; another one once the prototypes have changed."""
        held = held or self._held
        if held.ranking is None:
            held.ranking = Ranking(
                held.vectors,
                len(held.labels),
                self._rivals,
                self._stored_dim,
                self.bits,
                held.learnt,
            )
        return held.ranking

    def match(self, embedding, top=3):
        """The best labels for an embedding: list of (label, score), best first, at most `top`.

        The score is a probability: the softmax of logit_scale * cosine over all labels and "none
        of them". Labels under the threshold are left out. If that leaves none, or a background
        word is nearer than every label, the answer is [("unknown", p)]: p is 1 - the best
        label's score. Allocates the list and nothing else.
        """
        found = []
        if top < 1:
            return found
        held = self._held
        ranking = self.ranking(held)
        buffers = ranking.take()
        count = ranking.best(buffers, embedding, self._dim, self.level(), top)
        for i in range(count):
            found.append((held.labels[buffers.order[i]], buffers.scores[i]))
        if not found:
            found.append(("unknown", 1 - buffers.scores[0]))
        ranking.give(buffers)
        return found

    def match_into(self, embedding, scores):
        """Every label's score into `scores`, array('f') of len(vocab), without allocating.

        Returns the index of the best label, -1 where match() would say "unknown". The scores are
        match()'s.
        """
        ranking = self.ranking()
        buffers = ranking.take()
        best = ranking.all(buffers, embedding, self._dim, self.level(), scores)
        ranking.give(buffers)
        return best

    def level(self, threshold=None):
        """(scale, threshold, none) for the dimensions in use, or with another threshold."""
        held = self._held
        if held.level is None:
            held.level = tvp.level_at(self._grown(), self._dim)[1:]
        if threshold is None:
            return held.level
        return held.level[0], threshold, held.level[2]

    def _grown(self):
        # "None of them" counts as much beside many labels as beside few: what was fitted for
        # other numbers of labels differs by just this (docs/vocabulary.md), so that a vocabulary
        # that add() made grow needs no other fit.
        count = len(self._held.labels)
        if count == self._packed or self._levels[-1][3] == tvp.NOTHING:
            return self._levels
        more = log(count / self._packed)
        return [level[:3] + (level[3] + more / level[1],) for level in self._levels]

    # -- learning by showing ----------------------------------------------------------------

    def add(self, label, frame):
        """Show it: `vocab.add("my mug", frame)`; again with other frames, to average them.

        A label that came from words keeps them: they count as five frames. Scores stay
        probabilities, and the threshold holds for them. Needs the encoder that the vocabulary was
        packed for. Returns how often the label was shown.
        """
        from .encoder import loaded

        encoder = loaded()
        encoder.check(self)
        embedding = encoder._take(self._stored_dim)
        shots = self.learn(label, encoder.embed_into(frame, embedding))
        encoder._give(embedding)
        return shots

    def learn(self, label, embedding):
        """As add(), from an embedding (int8 buffer).

        An exception, Ctrl-C too, leaves the vocabulary as it was or as it is to be.
        """
        dim = self._stored_dim
        check_items("the embedding", embedding, 1)
        if len(embedding) < dim:
            raise ValueError(
                "the embedding has %d dimensions, the vocabulary %d" % (len(embedding), dim)
            )
        if not 0 < tvp.label_size(label) < 256:
            raise ValueError("a label is a str of 1 ... 255 bytes of UTF-8, not %r" % (label,))
        if label == "unknown":
            raise ValueError("'unknown' is what shows none of the labels; take another name")
        shown = array("f", unit(signed(embedding, dim)))
        held, known = self._held, label in self.labels
        number = held.labels.index(label) if known else len(held.labels)
        if number == 65535:
            raise ValueError("a vocabulary has at most 65535 labels")
        shots, weight = 0, NO_WORD
        if known:
            shots, weight, gain = held.learnt.get(number, (0, WORD, 1.0))
            total, length = held.sums.get(number), 1.0
            if total is None:  # from the file: its direction, as long as it counts
                total, length = unit(self._row(number)), weight * gain ** (1 / GAIN)
            for i in range(dim):
                shown[i] += length * total[i]
        # A photo is nearer to photos of its kind than to its word, the more the more there are.
        # How long the mean of what made a prototype is undoes that, for each label by itself: a
        # word has 1, or as long as its gain says that tinyvlm-pack gave it, a few photos of one
        # thing have more than many different ones.
        weight += 1
        gain = (sqrt(sum([x * x for x in shown])) / weight) ** GAIN
        shots = min(shots + 1, 65535)
        labels, vectors = self._copy(number, 1 if known else 0, [label])
        learnt, sums = dict(held.learnt), dict(held.sums)
        self._set_row(vectors, number, shown)
        sums[number] = shown
        learnt[number] = [shots, weight, gain]
        self._held = _Held(labels, memoryview(vectors), learnt, sums)
        return shots

    def remove(self, label):
        """Forget a label, as learn() does all of it or nothing.

        ValueError if it is not there, or the last one.
        """
        number, held = self.index(label), self._held
        if len(held.labels) == 1:
            raise ValueError("%r is the last label; a vocabulary needs one" % held.labels[number])
        labels, vectors = self._copy(number, 1, [])
        learnt, sums = [
            {i - (i > number): table[i] for i in table if i != number}
            for table in (held.learnt, held.sums)
        ]
        self._held = _Held(labels, memoryview(vectors), learnt, sums)

    def save(self, path=None):
        """Write a `.tvp` file, all or nothing: power loss leaves the old file or the new one.

        path: where to, the file it came from if left out. Returns the bytes written.
        """
        return tvp.write(self._place(path), self._pieces())

    def _place(self, path):
        if path is None and self._nameless:
            raise ValueError('this vocabulary came from no file; save it as one: save("pets.tvp")')
        return path or self.path

    def _pieces(self):
        flags, levels = tvp.LEARNT if self._held.learnt else 0, self._grown()
        if len(levels) > 1:
            flags |= tvp.PREFIXES
        if levels[-1][3] != tvp.NOTHING:
            flags |= tvp.NONE
        header = (
            self.fingerprint,
            len(self.labels),
            self.background,
            self._stored_dim,
            self.bits,
            flags,
            levels[-1][1],
            levels[-1][2],
        )
        return tvp.pieces(header, self._parts)

    def _parts(self):
        yield 0, self._held.vectors
        for text in (self.encoder, self.text_encoder, self.prompt):
            yield 1, struct.pack("<H", len(text.encode())) + text.encode()
        for label in self.labels:
            yield 1, struct.pack("<H", len(label.encode())) + label.encode()
        levels = self._grown()
        if len(levels) > 1:
            yield 1, bytes([len(levels) - 1])
            for level in levels[:-1]:
                yield 1, struct.pack("<Hff", *level[:3])
        if levels[-1][3] != tvp.NOTHING:
            yield 1, struct.pack("<H", self._rivals)
            for level in levels:
                yield 1, struct.pack("<f", level[3])
        learnt = self._held.learnt
        if learnt:
            yield 1, struct.pack("<H", len(learnt))
            for i in sorted(learnt):
                yield 1, struct.pack("<HHff", i, *learnt[i])

    def _copy(self, at, old, new):
        # Labels and prototypes in RAM, out of ROMFS perhaps, with `new` labels and zero rows in
        # place of `old` ones. A change writes there, so that until it is complete nothing changed.
        vectors, size = self._held.vectors, self._row_bytes
        head, tail = at * size, (at + len(new)) * size
        if hasattr(gc, "mem_free"):  # a board: the large piece first, before names lie around it
            gc.collect()
        try:
            rows = bytearray(len(vectors) + (len(new) - old) * size)
            labels = list(self.labels)
            labels[at : at + old] = new
        except MemoryError:
            raise MemoryError(
                "%s: a vocabulary must be in RAM to be changed, and %d labels with %d bytes "
                "of prototypes do not fit; pack fewer"
                % (self.path, len(self.labels), len(vectors))
            ) from None
        rows[:head] = vectors[:head]
        rows[tail:] = vectors[head + old * size :]
        return labels, rows

    def _row(self, number):
        at = number * self._row_bytes
        row = self._held.vectors[at : at + self._row_bytes]
        if self.bits == 8:
            return signed(row, self._stored_dim)
        return [nibble(row, i) for i in range(self._stored_dim)]

    def _set_row(self, rows, number, values):
        at, most = number * self._row_bytes, 127 if self.bits == 8 else 7
        peak = max(max(values), -min(values)) or 1
        for i in range(self._stored_dim):
            value = int(values[i] / peak * most + 1000.5) - 1000  # rounded, not cut
            if self.bits == 8:
                rows[at + i] = value & 255
            else:
                shift = 4 * (i & 1)
                old = rows[at + i // 2] & ~(15 << shift)
                rows[at + i // 2] = old | (value & 15) << shift
