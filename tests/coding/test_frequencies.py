"""Integer frequencies: they share out the whole range, leave nobody without, and cost what is said."""

import numpy as np
import pytest

from genkit.coding.frequencies import STEPS, TOTAL, cumulative_frequencies, spans
from genkit.errors import NumericalError


@pytest.mark.parametrize("count", [1, 2, 17, 256, 5000])
@pytest.mark.parametrize("spread", [0.0, 3.0, 1000.0])
def test_frequencies_fill_the_range_and_exceed_their_share(count, spread):
    scores = spread * np.random.default_rng(count).normal(size=(20, count))
    table = cumulative_frequencies(scores)
    frequency = np.diff(table)
    rounded = np.rint(scores * STEPS) / STEPS
    p = np.exp(rounded - rounded.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    assert (table[:, 0] == 0).all()
    assert (table[:, -1] == TOTAL).all()
    assert (frequency >= 1).all()
    assert (frequency >= p * (TOTAL - count) - 1e-6).all()  # so a symbol costs at most −log2(1 − V / 2^24) more


def test_scores_that_differ_by_rounding_have_the_same_frequencies():
    scores = np.random.default_rng(0).normal(size=(2000, 17))
    nearby = scores * (1 + 4e-15) + 3.0  # and a constant, which changes no probability
    assert (cumulative_frequencies(scores) == cumulative_frequencies(nearby)).all()


def test_what_never_occurs_has_a_frequency_and_the_rest_its_own():
    table = cumulative_frequencies(np.array([[-np.inf, 0.0, 0.0]]))
    assert spans(table, np.array([0])) == ([0], [1])
    assert abs(spans(table, np.array([1]))[1][0] - TOTAL / 2) < 3


@pytest.mark.parametrize("row", [[np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]])
def test_scores_that_are_no_probabilities_are_refused(row):
    with pytest.raises(NumericalError):
        cumulative_frequencies(np.array([row]))


@pytest.mark.parametrize("symbol", [-1, 2])
def test_a_symbol_outside_of_the_alphabet_is_refused(symbol):
    with pytest.raises(ValueError, match="alphabet"):
        spans(cumulative_frequencies(np.zeros((1, 2))), np.array([symbol]))
