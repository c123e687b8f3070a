# SPDX-License-Identifier: MIT
"""Where is it? Boxes and heat maps from one run of the encoder.

The encoder's dense map has an embedding for each cell of the frame's centred square. A label's
region is the warm cells around its warmest one (native/tv_region.c); their mean embedding is
classified as a frame would be, so the score is a probability as classify() gives it. What the
whole frame is called is found, too: nothing that classify() names is missing here.
"""

from array import array

from .encoder import loaded
from .frame import as_frame
from .score import largest, map_heat, map_mean, map_peaks, map_region

_CANDIDATES = 8  # labels looked at, by their warmest cell
_SHADES = " .:-=+*#%@"


class Heatmap:
    """A small grid of values: `h[row][column]`, the higher the more it is there.

    label: whose. box: (x, y, width, height) of the square it covers, in pixels of the frame.
    `print(h)` draws it.
    """

    def __init__(self, label, box, height, width, values):
        self.label = label
        self.box = box
        self.height = height
        self.width = width
        self.values = values if isinstance(values, array) else array("f", values)

    def __len__(self):
        return self.height

    def __getitem__(self, row):
        if not 0 <= row < self.height:
            raise IndexError("row %d of %d" % (row, self.height))
        return self.values[row * self.width : (row + 1) * self.width]

    def __repr__(self):
        high = max(self.values)
        span = (high - max(min(self.values), 0)) or 1  # nothing below 0 is worth a shade
        lines = ["%s, %.2f at %s" % (self.label, high, self.peak())]
        for row in range(self.height):
            cells = ""
            for value in self[row]:
                shade = int((value - high + span) / span * (len(_SHADES) - 1) + 0.5)
                cells += 2 * _SHADES[max(0, shade) if high > 0 else 0]
            lines.append("|" + cells + "|")
        return "\n".join(lines)

    def peak(self):
        """(x, y): the centre of the warmest cell, in pixels of the frame."""
        at = list(self.values).index(max(self.values))
        x, y, side, _ = self.box
        x += int((at % self.width + 0.5) * side / self.width)
        return x, y + int((at // self.width + 0.5) * side / self.height)


class _Work:
    """The buffers of one encoder and vocabulary, kept for the next frame.

    The encoder keeps them, so that load() frees them together with it. An exception leaves them
    to the garbage collector.
    """

    def __init__(self, encoder, rows, dim):
        if not getattr(encoder._engine, "map", None):
            raise ValueError("encoder %s has no dense map; use one that has" % encoder.name)
        self.height, self.width = encoder._engine.map
        cells = self.cells = self.height * self.width
        self.map = bytearray(cells * dim)
        self.embedding = array("b", bytes(dim))
        self.levels = array("f", bytes(8 * cells))
        self.heat = array("f", bytes(4 * cells))
        self.mask = bytearray(cells)
        self.corners = array("H", bytes(8))
        self.cosines = array("f", bytes(4 * rows))
        self.peaks = array("f", bytes(4 * rows))
        self.candidates = array("H", bytes(2 * _CANDIDATES))
        self.encoder = encoder
        self.rows = rows
        self.dim = dim

    def run(self, frame, vocab):
        """Fill the map, the levels and every prototype's warmest cell."""
        self.encoder._engine.embed_map(
            frame.buffer,
            frame.width,
            frame.height,
            frame.format,
            frame.stride,
            self.embedding,
            self.map,
        )
        vectors, rows, stored_dim, bits, dim = vocab.prototypes()
        map_peaks(
            self.map,
            self.cells,
            vectors,
            rows,
            stored_dim,
            bits,
            dim,
            self.cosines,
            self.peaks,
            self.levels,
        )

    def heat_of(self, vocab, index):
        """The heat of one label in every cell; the array is used again."""
        vectors, _, stored_dim, bits, dim = vocab.prototypes()
        heat = self.heat
        map_heat(self.map, self.cells, vectors, index, stored_dim, bits, dim, self.levels, heat)
        return heat

    def region(self, frame):
        """Mark the warm cells around the warmest one, and leave their box for box()."""
        side = min(frame.width, frame.height)
        map_region(self.heat, self.height, self.width, side, self.mask, self.corners)

    def box(self, frame):
        """(x, y, width, height) of the marked region in the frame."""
        side = min(frame.width, frame.height)
        x, y, width, height = self.corners
        return (frame.width - side) // 2 + x, (frame.height - side) // 2 + y, width, height


def detect(frame, vocab, threshold=None):
    """What is in the frame, and where? A list of (label, score, (x, y, width, height)).

    Best first; boxes in pixels of the frame, inside its centred square. A label is found where it
    wins against all others and "none of them", with at least `threshold` (None: the vocabulary's),
    or if the whole frame is called so: what classify() names is always among them, and what it
    calls "unknown" as a whole may still have something in a part. Returns [] if nothing is found.
    threshold=0: the likeliest eight labels, whether they win or not. Costs one run of the encoder
    and a little more. Allocates the list and a float, nothing else.
    """
    work = _begin(vocab)
    frame = as_frame(frame, work.encoder.size)
    work.run(frame, vocab)
    every = threshold == 0
    level, ranking, dim = vocab.level(threshold), vocab.ranking(), vocab.dim
    embedding, candidates = work.embedding, work.candidates  # four at once would be a tuple
    found, whole = [], -1
    buffers = ranking.take()
    count = largest(work.peaks, len(vocab), _CANDIDATES, candidates)
    if ranking.best(buffers, embedding, dim, level, 1):
        whole, sure = buffers.order[0], buffers.scores[0]
        for i in range(count):
            if candidates[i] == whole:
                break
        else:
            candidates[count - 1] = whole
    for i in range(count):
        index = candidates[i]
        work.heat_of(vocab, index)
        work.region(frame)
        map_mean(work.map, work.cells, work.mask, embedding)
        score = -1
        if every:
            # the peaks have done their work
            ranking.all(buffers, embedding, dim, level, work.peaks)
            score = work.peaks[index]
        elif ranking.best(buffers, embedding, dim, level, 1) and buffers.order[0] == index:
            score = buffers.scores[0]
        if index == whole and sure > score:
            score = sure
        if score < 0:
            continue
        place = len(found)
        while place and found[place - 1][1] < score:
            place -= 1
        found.insert(place, (vocab.labels[index], score, work.box(frame)))
    ranking.give(buffers)
    work.encoder._work.append(work)
    return found


def heatmap(frame, label, vocab):
    """How much of a label is where: a Heatmap, `h[row][column]`. label: its name or index.

    Allocates the Heatmap and nothing else.
    """
    work = _begin(vocab)
    index = vocab.index(label)
    frame = as_frame(frame, work.encoder.size)
    work.run(frame, vocab)
    heat = work.heat_of(vocab, index)[:]
    work.encoder._work.append(work)
    return Heatmap(vocab.labels[index], _square(frame), work.height, work.width, heat)


def _begin(vocab):
    encoder = loaded()
    encoder.check(vocab)
    rows, dim = vocab.prototypes()[1], min(vocab.dim, encoder.dim)
    try:
        work = encoder._work.pop()  # nobody else has it until it is given back
    except IndexError:
        work = None
    if work is None or work.rows != rows or work.dim != dim:
        work = None  # the old buffers are free before the new ones are taken
        work = _Work(encoder, rows, dim)
    return work


def _square(frame):
    side = min(frame.width, frame.height)
    return (frame.width - side) // 2, (frame.height - side) // 2, side, side
