# SPDX-License-Identifier: MIT
"""Fitting a vocabulary to photos, on made-up embeddings, and measuring it held out."""

from array import array
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning_photos import DIM, world

from tinyvlm.device import Vocab
from tinyvlm.measure import tune_fit, tune_folds
from tinyvlm.measure.answers import ask, ask_without, label_lines, matrix_lines, rates, worst
from tinyvlm.measure.metrics import calibration_error
from tinyvlm.measure.sorted_photos import Sorted
from tinyvlm.words import tvp


def tuned(p, photos, unknown="balanced", shots=65535):
    """The Outcome, all fits before it counted down."""
    *steps, outcome = tune_folds.tune(p, photos, unknown, shots)
    assert steps == list(range(len(steps), 0, -1))
    return outcome


def test_the_answers_are_those_of_the_boards_package():
    p, photos = world(threshold=0.5)
    answers, vocab = ask(p, photos.embeddings, photos.target), Vocab(tvp.to_bytes(p))
    for i, row in enumerate(photos.embeddings):
        [(label, score)] = vocab.match(array("b", row.tobytes()), 1)
        assert label == answers.name(answers.said[i])
        assert score == pytest.approx(answers.score[i], abs=1e-6)
    assert set(answers.said) > {3}  # unknown, and others


def test_counts_of_answers():
    p, photos = world(threshold=0.5)
    answers = ask(p, photos.embeddings, photos.target)
    found, matrix = rates(answers), answers.matrix()
    assert (found.shown, found.none, matrix.sum()) == (30, 20, 50)
    assert found.right + found.unknown + found.wrong == found.shown
    assert (np.trace(matrix[:3, :3]), matrix[:3, 3].sum()) == (found.right, found.unknown)
    assert matrix[3, :3].sum() == found.named
    named = [answers.said[i] < 3 for i in worst(answers)]
    assert len(named) == found.unknown + found.wrong + found.named
    assert named == sorted(named, reverse=True)  # those that were named come first
    scores = [answers.score[i] for i in worst(answers)][: sum(named)]
    assert scores == sorted(scores, reverse=True)


def test_tuning_names_what_was_unknown():
    p, photos = world()
    outcome = tuned(p, photos)
    before, after = rates(outcome.before), rates(outcome.after)
    assert after.right > before.right + 5 and after.right > 25 and after.named <= 3
    assert outcome.better and outcome.cost[1] < outcome.cost[0]
    assert outcome.tuned.prototypes.background == 1  # detect() still needs it
    whole = rates(ask(outcome.tuned.prototypes, photos.embeddings, photos.target))
    assert whole.right >= after.right - 2


def test_every_prefix_is_fitted():
    p, photos = world()
    made = tuned(p, photos).tuned.prototypes
    assert [dim for dim, _, _ in made.prefixes] == [8, 16]
    vocab = Vocab(tvp.to_bytes(made))
    for dim in (8, 16, DIM):
        vocab.dim = dim
        assert vocab.threshold < 0.9
        right = sum(
            vocab.match(array("b", row.tobytes()), 1)[0][0] == p.labels[k]
            for row, k in zip(photos.embeddings, photos.target, strict=True)
            if k < 3
        )
        assert right > 12


def wrong_words(p):
    """The same with its words at the wrong labels, so that showing helps."""
    return replace(p, vectors=np.concatenate([p.vectors[[1, 2, 0]], p.vectors[3:]]))


@pytest.mark.parametrize("bits", [8, 4])
def test_shown_photos_make_what_add_makes(bits):
    p, photos = world(bits=bits, noise=0.5)
    p = wrong_words(p)
    outcome = tuned(p, photos)
    made, vocab = outcome.tuned.prototypes, Vocab(tvp.to_bytes(p))
    assert outcome.tuned.shown == 30
    for row, k in zip(photos.embeddings, photos.target, strict=True):
        if k < 3:
            vocab.learn(p.labels[k], row.tobytes())
    mine = Vocab(tvp.to_bytes(made))
    for row in photos.embeddings:
        assert mine.cosines(row.tobytes()).tolist() == vocab.cosines(row.tobytes()).tolist()


@pytest.mark.parametrize("rivals", [0, 1])
@pytest.mark.parametrize("before", [0, 2])
def test_what_is_fitted_is_what_the_board_computes(rivals, before):
    """The cosines of photos, of shown ones those of a vocabulary that was shown all but them."""
    p, photos = world(each=4, none=3, rivals=rivals)
    p = tune_fit.taught(p, photos, [i for k in range(3) for i in range(4 * k, 4 * k + before)])
    picked = [0, 1, 4]
    lessons = tune_fit.Lessons(p, photos, picked)
    for i, row in enumerate(photos.embeddings):
        vocab = Vocab(tvp.to_bytes(tune_fit.taught(p, photos, [j for j in picked if j != i])))
        own = photos.target[i]
        for dim in (8, 16, DIM):
            vocab.dim = dim
            frames, cosines = lessons.frames(dim), vocab.cosines(row.tobytes()).tolist()
            assert frames.rivals[i].tolist() == pytest.approx(cosines[3:], abs=1e-5)
            if i in picked:  # what others are compared with has this photo in it
                assert frames.labels[i, own] == pytest.approx(cosines[own], abs=0.01)
            elif not picked or i > 4:
                assert frames.labels[i].tolist() == pytest.approx(cosines[:3], abs=0.01)


def test_scores_are_those_of_the_fit():
    """At scale, threshold and none as they were fitted, the board's answers cost that much."""
    p, photos = world(noise=1.0)
    made = tune_fit.fit(p, photos, shots=0).prototypes
    frames = tune_fit.Lessons(made, photos, []).frames(DIM)
    answers = ask(made, photos.embeddings, photos.target)
    labels = np.exp(made.logit_scale * frames.labels)
    scores = labels / (labels.sum(axis=1) + np.exp(made.logit_scale * made.none[-1]))[:, None]
    best = scores.max(axis=1)
    assert ((best >= made.threshold) == (answers.said < 3)).all()
    named = np.where(answers.said < 3, best, 1 - best)
    assert named.tolist() == pytest.approx(answers.score.tolist(), abs=1e-4)


def test_scores_become_probabilities():
    p, photos = world(each=60, none=180, noise=1.3)
    outcome = tuned(p, photos, shots=0)
    errors = []
    for answers in (outcome.before, outcome.after):
        sure = np.where(answers.said < 3, answers.score, 1 - answers.score)
        errors.append(calibration_error(sure, ~answers.wrong & (answers.said < 3)))
    assert errors[1] < errors[0] and errors[1] < 0.12


def test_at_most_so_many_are_shown_and_evenly():
    p, photos = world(noise=0.5)
    p = wrong_words(p)
    for shots, times in ((4, [4, 4, 4]), (0, [])):
        learnt = tuned(p, photos, shots=shots).tuned.prototypes.learnt
        assert [learnt[i][0] for i in sorted(learnt)] == times


def test_an_answer_does_not_know_the_photos_of_its_fold():
    """Whatever a photo is, the held-out answers to the others of its block stay the same."""
    p, photos = world()
    fold = tune_folds.folds(photos.target)
    changed = photos.embeddings.copy()
    changed[0] = -changed[12]
    other = Sorted(photos.labels, photos.paths, changed, photos.target)
    first, second = (tuned(p, one).after for one in (photos, other))
    same = (fold == fold[0]) & (np.arange(len(fold)) != 0)
    assert same.sum() > 3
    assert (first.said[same] == second.said[same]).all()
    assert (first.score[same] == second.score[same]).all()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_folds(counts):
    target = np.repeat(np.arange(len(counts)), counts)
    if not len(target):
        return
    fold = tune_folds.folds(target)
    most = min(tune_folds.FOLDS, max(counts))
    assert set(fold) <= set(range(most))
    for label, count in enumerate(counts):
        each = np.bincount(fold[target == label], minlength=most)
        assert each.max() - each.min() <= 1 and each.sum() == count


@settings(max_examples=12)
@given(
    st.lists(st.sampled_from([0, 1, 2, 5, 60]), min_size=1, max_size=4).filter(lambda c: sum(c)),
    st.sampled_from([0, 2, 30]),
    st.sampled_from(list(tune_fit.COSTS)),
    st.sampled_from([0, 65535]),
    st.integers(0, 3),
)
def test_any_numbers_of_photos(counts, none, unknown, shots, seed):
    """Whatever is there, what comes out is a vocabulary that a board reads."""
    p, photos = world(len(counts), counts, none, seed)
    made = tune_fit.fit(p, photos, unknown, shots).prototypes
    vocab = Vocab(tvp.to_bytes(made))
    assert list(vocab.labels) == p.labels and 0 <= vocab.threshold <= 1
    assert [len(made.none), len(made.prefixes)] == [0 if unknown == "off" else 3, 2]
    if unknown == "off":
        answers = ask(made, photos.embeddings, photos.target)
        assert (answers.said < len(p.labels)).all()


@pytest.mark.parametrize("unknown", ["balanced", "off"])
def test_a_file_without_none(unknown):
    """Packed with --unknown off, or by an older tinyvlm: all of its background competes."""
    p, photos = world(threshold=0.0)
    p = replace(p, none=[])
    made = tune_fit.fit(p, photos, unknown).prototypes
    assert (len(made.none), made.rivals) == ((3, 1) if unknown == "balanced" else (0, 0))
    assert made.background == made.rivals


def test_two_photos_a_label_move_little():
    p, photos = world(each=2, none=2, threshold=0.3)
    made = tune_fit.fit(p, photos).prototypes
    assert abs(made.threshold - 0.3) < 0.3 and 5 < made.logit_scale < 20


def test_without_photos_of_none_others_stand_in():
    p, photos = world(none=0)
    outcome = tuned(p, photos)
    before, after = outcome.stand_in
    assert rates(before).none == rates(after).none == 30
    assert outcome.better and rates(outcome.after).right > 15
    found = ask_without(p, photos.embeddings, photos.target)
    assert (found.said != photos.target).all()  # a label that is not there is not said


@pytest.mark.parametrize("knob", [("cautious", "eager")])
def test_cautious_names_fewer_that_show_none(knob):
    p, photos = world(noise=2.2, each=30, none=60)
    named = [rates(tuned(p, photos, unknown).after).named for unknown in knob]
    assert named[0] < named[1]


def test_lines_for_a_terminal():
    p, photos = world(threshold=0.5)
    answers = ask(p, photos.embeddings, photos.target)
    lines = matrix_lines(answers)
    assert lines[0].split() == ["shows", "\\", "called", *" ".join(p.labels).split(), "unknown"]
    assert len(lines) == 5 and lines[-1].startswith("shows none")
    table = label_lines(answers, answers)
    assert len(table) == 5 and "tuned: right" in table[0]
    many, photos = world(labels=20, each=2)
    answers = ask(many, photos.embeddings, photos.target)
    assert "--report" in matrix_lines(answers)[0] and len(label_lines(answers)) == 22
