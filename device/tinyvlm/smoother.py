# SPDX-License-Identifier: MIT
"""Steady answers from a video: scores that do not flicker, labels that do not blink."""


class Smoother:
    """Smooth what classify() says over frames: `steady = smoother(tinyvlm.classify(frame, v))`.

    alpha: weight of the newest frame, 0 ... 1; 1 smooths nothing. A label comes on when its
    smoothed score reaches `on`, and goes off when it falls below `off`: between the two it stays
    what it was. Calling returns the labels that are on, as [(label, score), ...], best first;
    changed is True if they are others than one frame before. Labels that are not in a
    frame's list count as 0 there.
    """

    def __init__(self, alpha=0.3, on=0.5, off=0.3):
        if not (0 < alpha <= 1 and 0 <= off <= on <= 1):
            raise ValueError(
                "Smoother(alpha=%s, on=%s, off=%s): 0 < alpha <= 1 and 0 <= off <= on <= 1 are "
                "possible" % (alpha, on, off)
            )
        self.alpha = alpha
        self.on = on
        self.off = off
        self.reset()

    def __repr__(self):
        return "Smoother(alpha=%s, on=%s, off=%s; seen: %s)" % (
            self.alpha,
            self.on,
            self.off,
            ", ".join(sorted(self.seen)) or "nothing",
        )

    def reset(self):
        """Forget the frames so far."""
        scores, seen = {}, set()
        self.scores = scores  # label -> smoothed score
        self.seen = seen  # labels that are on
        self.changed = False

    def __call__(self, found):
        """The next frame's list of (label, score) or, from detect(), (label, score, box)."""
        # aside, and then in place: a heap that is full in the middle leaves the frame before
        scores, seen, changed, alpha = dict(self.scores), set(self.seen), False, self.alpha
        now = {}
        for item in found:  # of several boxes of one label the best
            now[item[0]] = max(item[1], now.get(item[0], 0))
        for label in now:
            scores.setdefault(label, 0.0)
        for label in list(scores):
            score = scores[label] + alpha * (now.get(label, 0.0) - scores[label])
            scores[label] = score
            if label in seen:
                if score < self.off:
                    seen.remove(label)
                    changed = True
            elif score >= self.on:
                seen.add(label)
                changed = True
            if score < 0.001 and label not in seen:
                del scores[label]  # faded away, and so does its memory
        steady = sorted([(label, scores[label]) for label in seen], key=lambda item: -item[1])
        self.scores, self.seen, self.changed = scores, seen, changed
        return steady
