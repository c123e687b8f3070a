# SPDX-License-Identifier: MIT
"""Vocabularies: labels with their prototypes, from a `.tvp` file, by showing, or both."""

import struct
from array import array

from . import tvp
from .ranking import Ranking
from .rows import nibble, row_size, signed, unit

# A photo is closer to photos of the same thing than to its word. This factor on the cosines of
# shown prototypes makes both comparable: docs/design.md says how it was measured.
_GAIN = 0.6


class Vocab:
    """The words to tell apart: `Vocab("pets.tvp")`, made by tinyvlm-pack; add() shows it more.

    labels: their names in order. dim: how many dimensions of a prototype are used; set it to any
    smaller value for speed. threshold: least score that counts, 0 ... 1; it follows dim, until
    you set it. background: prototypes that stand for "none of them". ValueError if the file is
    damaged.
    """

    def __init__(self, path):
        if isinstance(path, (bytes, bytearray, memoryview)):
            data, path = path, "vocabulary"
        else:
            data = tvp.open_file(path)
        self.path = path
        self._parse(data)

    def _parse(self, data):
        path = self.path
        self._prototypes = self._ranking = None  # both are made of what follows, once
        fields = tvp.check(data, path)
        size, self.fingerprint, labels, self.background, dim, self.bits, flags = (
            fields[3:4] + (fields[5:11])
        )
        vectors, strings = fields[13:15]
        at = tvp.strings_end(data, path, strings, 3, size)
        end = tvp.strings_end(data, path, at, labels, size)
        self._levels, end = tvp.read_levels(data, path, end, fields)
        if flags & tvp.SHOTS and end + 4 + 2 * labels > size:
            raise ValueError("%s: inconsistent shots; pack it again" % path)
        names, place = [], strings
        for _ in range(3):
            names.append(tvp.text(data, place))
            place += 2 + len(names[-1].encode())
        self.encoder, self.text_encoder, self.prompt = names
        self.labels = tvp.Labels(data, at, labels)
        if labels <= tvp.LIST:
            self.labels = list(self.labels)
        self._row_bytes = row_size(dim, self.bits)
        rows = labels + self.background
        self._vectors = memoryview(data)[vectors : vectors + rows * self._row_bytes]
        self._stored_dim = dim
        self.dim = dim  # and what goes with it
        self._gain = struct.unpack_from("<f", data, end)[0] if flags & tvp.SHOTS else _GAIN
        self._shots = {}  # label index -> how often it was shown
        if flags & tvp.SHOTS:
            for i in range(labels):
                count = data[end + 4 + 2 * i] | data[end + 5 + 2 * i] << 8
                if count:
                    self._shots[i] = count
        self._sums = {}  # label index -> sum of the unit embeddings shown, array('f')
        self._changed = False

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
        self._prototypes = None
        _, self._scale, self._threshold = tvp.level_at(self._levels, dim)

    @property
    def logit_scale(self):
        """The factor on cosines that makes scores probabilities, for the dimensions in use."""
        return self._scale

    @property
    def threshold(self):
        """The least score that counts, for the dimensions in use. What you set holds for all."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold):
        try:
            good = 0 <= threshold <= 1
        except TypeError:
            good = False
        if not good:
            raise ValueError("threshold %r: a score is 0 ... 1" % (threshold,))
        threshold = float(threshold)
        self._levels = [(dim, scale, threshold) for dim, scale, _ in self._levels]
        self._threshold = threshold

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        return "Vocab(%d labels, dim %d of %d, %d bits, for %s)" % (
            len(self.labels),
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

        Labels first, then the background. The array is reused by the next call.
        """
        return self.ranking().compare(embedding, self._dim)

    def prototypes(self):
        """(rows, their count, dimensions stored, bits, dimensions in use), for the engine."""
        if self._prototypes is None:
            rows = len(self.labels) + self.background
            self._prototypes = self._vectors, rows, self._stored_dim, self.bits, self._dim
        return self._prototypes

    def ranking(self):
        """What compares, with its buffers; another one once the prototypes have changed."""
        if self._ranking is None:
            self._ranking = Ranking(
                self._vectors,
                len(self.labels),
                self.background,
                self._stored_dim,
                self.bits,
                self._shots,
                self._gain,
            )
        return self._ranking

    def match(self, embedding, top=3, coarse=None):
        """The best labels for an embedding: list of (label, score), best first, at most `top`.

        The score is a probability: the softmax of logit_scale * cosine over all labels and the
        background. Labels under the threshold are left out. If that leaves none, or a background
        prototype is nearer than every label, the answer is [("unknown", p)]: p is 1 - the best
        label's score. Allocates the list and nothing else.

        coarse: with many labels all are compared at this prefix, and the 64 best once more at
        `dim`; the softmax is over these. None: a prefix of 32 from 512 labels on. 0: never.
        """
        found = []
        if top < 1:
            return found
        ranking, dim, scale = self.ranking(), self._dim, self.logit_scale
        count = ranking.best(embedding, dim, scale, self.threshold, top, coarse)
        for i in range(count):
            found.append((self.labels[ranking.index(i)], ranking.score(i)))
        if not found:
            found.append(("unknown", 1 - ranking.score(0)))
        return found

    def match_into(self, embedding, scores):
        """Every label's score into `scores`, array('f') of len(vocab), without allocating.

        Returns the index of the best label, -1 where match() would say "unknown". All labels are
        compared in all `dim` dimensions.
        """
        ranking, dim, scale = self.ranking(), self._dim, self.logit_scale
        return ranking.all(embedding, dim, scale, self.threshold, scores)

    # -- learning by showing ----------------------------------------------------------------

    def add(self, label, frame):
        """Show it: `vocab.add("my mug", frame)`; again with other frames, to average them.

        A label that came from words keeps them: they count as one frame. Needs the encoder that
        the vocabulary was packed for. Returns how often the label was shown.
        """
        from .encoder import loaded

        encoder = loaded()
        encoder.check(self)
        return self.learn(label, encoder.embed(frame))

    def learn(self, label, embedding):
        """As add(), from an embedding (int8 buffer)."""
        dim = self._stored_dim
        if len(embedding) < dim:
            raise ValueError(
                "the embedding has %d dimensions, the vocabulary %d" % (len(embedding), dim)
            )
        size = len(label.encode()) if isinstance(label, str) else 0
        if not 0 < size < 256:
            raise ValueError("a label is a str of 1 ... 255 bytes of UTF-8, not %r" % (label,))
        shown = unit(signed(embedding, dim))
        self._make_own()
        if label in self.labels:
            number = self.labels.index(label)
        else:
            number = self._insert(label)
        total = self._sums.get(number)
        if total is None:  # from the file: its direction, as long as it counts
            count = self._shots.get(number, 1 if any(self._row(number)) else 0)
            total = array("f", [count * x for x in unit(self._row(number))])
            self._sums[number] = total
        for i in range(dim):
            total[i] += shown[i]
        self._set_row(number, total)
        self._ranking = None
        self._shots[number] = min(self._shots.get(number, 0) + 1, 65535)
        return self._shots[number]

    def remove(self, label):
        """Forget a label. ValueError if it is not there, or the last one."""
        number = self.index(label)
        if len(self.labels) == 1:
            raise ValueError("%r is the last label; a vocabulary needs one" % self.labels[number])
        self._make_own()
        size = self._row_bytes
        self._use(self._own[: number * size] + self._own[(number + 1) * size :])
        del self.labels[number]
        for table in (self._shots, self._sums):
            kept = [(i - (i > number), table[i]) for i in table if i != number]
            table.clear()
            table.update(kept)

    def save(self, path=None):
        """Write a `.tvp` file, all or nothing: power loss leaves the old file or the new one.

        path: where to, the file it came from if left out. Returns the bytes written.
        """
        flags = (tvp.PREFIXES if len(self._levels) > 1 else 0) | (tvp.SHOTS if self._shots else 0)
        header = (
            self.fingerprint,
            len(self.labels),
            self.background,
            self._stored_dim,
            self.bits,
            flags,
            self._levels[-1][1],
            self._levels[-1][2],
        )
        return tvp.write(path or self.path, header, self._parts)

    def _parts(self):
        yield 0, self._vectors
        for text in (self.encoder, self.text_encoder, self.prompt):
            yield 1, struct.pack("<H", len(text.encode())) + text.encode()
        for label in self.labels:
            yield 1, struct.pack("<H", len(label.encode())) + label.encode()
        if len(self._levels) > 1:
            yield 1, bytes([len(self._levels) - 1])
            for level in self._levels[:-1]:
                yield 1, struct.pack("<Hff", *level)
        if self._shots:
            yield 1, struct.pack("<f", self._gain)
            for i in range(len(self.labels)):
                yield 1, struct.pack("<H", self._shots.get(i, 0))

    def _make_own(self):
        # The first change copies prototypes and labels into RAM, out of ROMFS perhaps.
        if not self._changed:
            try:
                own, labels = bytearray(self._vectors), list(self.labels)
            except MemoryError:
                raise MemoryError(
                    "%s: a vocabulary must be in RAM to be changed, and %d labels with %d bytes "
                    "of prototypes do not fit; pack fewer"
                    % (self.path, len(self.labels), len(self._vectors))
                ) from None
            self.labels, self._changed = labels, True
            self._use(own)

    def _use(self, own):
        # What was made of the old rows is made again when it is asked for.
        self._own, self._vectors = own, memoryview(own)
        self._prototypes = self._ranking = None

    def _insert(self, label):
        if len(self.labels) == 65535:
            raise ValueError("a vocabulary has at most 65535 labels")
        # a new buffer: others may still look at the old one
        at = len(self.labels) * self._row_bytes
        own = bytearray(len(self._own) + self._row_bytes)
        own[:at] = self._vectors[:at]
        own[at + self._row_bytes :] = self._vectors[at:]
        self._use(own)
        self.labels.append(label)
        return len(self.labels) - 1

    def _row(self, number):
        at = number * self._row_bytes
        row = self._vectors[at : at + self._row_bytes]
        if self.bits == 8:
            return signed(row, self._stored_dim)
        return [nibble(row, i) for i in range(self._stored_dim)]

    def _set_row(self, number, values):
        at, most = number * self._row_bytes, 127 if self.bits == 8 else 7
        peak = max(max(values), -min(values)) or 1
        for i in range(self._stored_dim):
            value = int(values[i] / peak * most + 1000.5) - 1000  # rounded, not cut
            if self.bits == 8:
                self._own[at + i] = value & 255
            else:
                shift = 4 * (i & 1)
                old = self._own[at + i // 2] & ~(15 << shift)
                self._own[at + i // 2] = old | (value & 15) << shift
