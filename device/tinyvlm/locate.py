# SPDX-License-Identifier: MIT
"""Where is it? Boxes and heat maps from one run of the encoder.

The encoder's dense map has an embedding for each cell of the frame's centred square. A label's
region is the warm cells around its warmest one; the mean embedding of these cells is classified
as a frame would be, so the score is a probability as classify() gives it.
"""

from array import array

from .encoder import loaded
from .frame import as_frame
from .score import map_heat, map_mean, map_peaks

_CANDIDATES = 8  # labels looked at, by their warmest cell
_SHADES = " .:-=+*#%@"

_work = None


class Heatmap:
    """A small grid of numbers: `h[row][column]`, the higher the more it is there.

    label: whose. box: (x, y, width, height) of the square it covers, in pixels of the frame.
    `print(h)` draws it.
    """

    def __init__(self, label, box, height, width, values):
        self.label = label
        self.box = box
        self.height = height
        self.width = width
        self.values = array("f", values)

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
                cells += 2 * _SHADES[max(0, shade)]
            lines.append("|" + cells + "|")
        return "\n".join(lines)

    def peak(self):
        """(x, y): the centre of the warmest cell, in pixels of the frame."""
        at = list(self.values).index(max(self.values))
        x, y, side, _ = self.box
        x += int((at % self.width + 0.5) * side / self.width)
        return x, y + int((at // self.width + 0.5) * side / self.height)


class _Work:
    """The buffers of one encoder and vocabulary, kept for the next frame."""

    def __init__(self, encoder, rows):
        if not getattr(encoder._engine, "map", None):
            raise ValueError("encoder %s has no dense map; use one that has" % encoder.name)
        self.height, self.width = encoder._engine.map
        cells = self.cells = self.height * self.width
        self.map = bytearray(cells * encoder.dim)
        self.embedding = array("b", bytes(encoder.dim))
        self.levels = array("f", bytes(8 * cells))
        self.heat = array("f", bytes(4 * cells))
        self.mask = bytearray(cells)
        self.cosines = array("f", bytes(4 * rows))
        self.peaks = array("f", bytes(4 * rows))
        self.key = (encoder, rows)

    def run(self, encoder, frame, vocab):
        """Fill the map, the levels and every prototype's warmest cell."""
        encoder._engine.embed_map(
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

    def region(self):
        """Mark the connected cells around the warmest one that are warmer than the average."""
        heat, mask, width, cells = self.heat, self.mask, self.width, self.cells
        level = sum(heat) / cells
        best = max(heat)
        for cell in range(cells):
            value = heat[cell]
            mask[cell] = 1 if value == best else 2 if value > level else 0  # 2: if connected
            if value == best:
                best = 1e9  # one cell is the warmest
        grown = True
        while grown:  # integers only: this makes no garbage
            grown = False
            for cell in range(cells):
                if mask[cell] == 2 and (
                    (cell % width and mask[cell - 1] == 1)
                    or (cell % width < width - 1 and mask[cell + 1] == 1)
                    or (cell >= width and mask[cell - width] == 1)
                    or (cell < cells - width and mask[cell + width] == 1)
                ):
                    mask[cell] = 1
                    grown = True
        for cell in range(cells):
            mask[cell] &= 1
        return level

    def box(self, level, square):
        """(x, y, width, height) of the marked region in the frame.

        Its middle is the region's centre of warmth. The map says little about a thing's size: the
        sides are the mean of the region's and of half the square.
        """
        heat, columns = self.heat, self.width
        left, top, side, _ = square
        weight = x = y = 0.0
        x0, x1, y0, y1 = columns, 0, self.height, 0
        for cell in range(self.cells):
            if self.mask[cell]:
                row, column = cell // columns, cell % columns
                warmth = max(heat[cell] - level, 1e-6)
                weight += warmth
                x += warmth * (column + 0.5)
                y += warmth * (row + 0.5)
                x0, x1 = min(x0, column), max(x1, column + 1)
                y0, y1 = min(y0, row), max(y1, row + 1)
        width = ((x1 - x0) / columns + 0.5) / 2
        height = ((y1 - y0) / self.height + 0.5) / 2
        x = min(max(x / weight / columns - width / 2, 0), 1 - width)
        y = min(max(y / weight / self.height - height / 2, 0), 1 - height)
        return (
            left + int(x * side + 0.5),
            top + int(y * side + 0.5),
            int(width * side + 0.5),
            int(height * side + 0.5),
        )


def detect(frame, vocab, threshold=None):
    """What is in the frame, and where? A list of (label, score, (x, y, width, height)).

    Best first; boxes in pixels of the frame, inside its centred square. A label is found where it
    wins against all others and the background, with at least `threshold` (None: the vocabulary's).
    An empty list: nothing is. Costs one run of the encoder and a little more.
    """
    encoder, frame, work = _begin(frame, vocab)
    work.run(encoder, frame, vocab)
    if threshold is None:
        threshold = vocab.threshold
    square = _square(frame)
    peaks = list(work.peaks)[: len(vocab)]
    found = []
    for _ in range(min(_CANDIDATES, len(peaks))):
        index = peaks.index(max(peaks))
        peaks[index] = -1e9
        work.heat_of(vocab, index)
        level = work.region()
        map_mean(work.map, work.cells, work.mask, work.embedding)
        best, _ = vocab.ranked(work.embedding, 1, threshold)
        if best and best[0][0] == index:
            found.append((vocab.labels[index], best[0][1], work.box(level, square)))
    found.sort(key=lambda item: -item[1])
    return found


def heatmap(frame, label, vocab):
    """How much of a label is where: a Heatmap, `h[row][column]`. label: its name or number."""
    index = vocab.index(label)
    encoder, frame, work = _begin(frame, vocab)
    work.run(encoder, frame, vocab)
    heat = work.heat_of(vocab, index)
    return Heatmap(vocab.labels[index], _square(frame), work.height, work.width, heat)


def _begin(frame, vocab):
    global _work
    encoder = loaded()
    encoder.check(vocab)
    frame = as_frame(frame, encoder.size)
    rows = vocab.prototypes()[1]
    if _work is None or _work.key != (encoder, rows):
        _work = None  # the old buffers are free before the new ones are taken
        _work = _Work(encoder, rows)
    return encoder, frame, _work


def _square(frame):
    side = min(frame.width, frame.height)
    return (frame.width - side) // 2, (frame.height - side) // 2, side, side
