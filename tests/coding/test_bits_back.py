"""Bits-back coding with a model in closed form: z ~ N(0, I), binary x given z, some q(z | x)."""

import numpy as np
import pytest

from genkit.coding.ans import ANSStack
from genkit.coding.bits_back import (
    BINS,
    BITS,
    edges,
    is_start,
    medians,
    pop_example,
    posterior_frequencies,
    push_example,
    start,
)
from genkit.coding.frequencies import TOTAL

D, K = 4, 50
W = np.random.default_rng(0).normal(size=(K, D))


def posterior(x):
    return W.T @ (x - 0.5) * 0.1, np.full(D, -1.5)


def scores(z):
    return np.stack([np.zeros(K), W @ z], 1)


@pytest.fixture(scope="module")
def examples():
    draw = np.random.default_rng(1)
    z = draw.normal(size=(400, D))
    return (draw.random((400, K)) < 1 / (1 + np.exp(-z @ W.T))).astype(np.int64)


def elbo_bits(examples):
    """−ELBO in bits, the mean over examples, by 300 draws each."""
    eps, total = np.random.default_rng(2).normal(size=(300, D)), 0.0
    for x in examples:
        mean, log_std = posterior(x)
        z = mean + np.exp(log_std) * eps
        logits = z @ W.T
        log_joint = (x * logits - np.logaddexp(0, logits)).sum(1) - 0.5 * (z**2).sum(1)
        total -= (log_joint + (0.5 * eps**2 + log_std).sum(1)).mean() / np.log(2)
    return total / len(examples)


def test_examples_come_back_at_the_price_of_the_bound(examples):
    stack = start(0)
    for x in examples:
        push_example(stack, x, posterior, scores)
    message = stack.to_bytes()
    again = ANSStack(message)
    found = [pop_example(again, posterior, scores, D) for _ in examples][::-1]
    assert (np.stack(found) == examples).all()
    assert is_start(again, 0)
    assert not is_start(again, 1)
    net = (8 * len(message) - 96 - 32 * stack.drawn) / len(examples)
    assert abs(net / elbo_bits(examples) - 1) < 0.02


def test_the_first_example_alone_pays_for_its_latents(examples):
    stack = start(0)
    push_example(stack, examples[0], posterior, scores)
    assert 0 < 32 * stack.drawn <= D * BITS + 32


def test_bins_have_equal_mass_and_hold_their_medians():
    ends = np.array(edges())
    assert len(ends) == BINS + 1
    assert (ends[:-1] < medians()).all()
    assert (medians() < ends[1:]).all()
    prior = posterior_frequencies(0.0, 0.0)
    frequency = np.diff([prior(k) for k in range(BINS + 1)])
    assert abs(frequency - TOTAL / BINS).max() <= 2


@pytest.mark.parametrize(("mean", "log_std"), [(0.3, -3.0), (-40.0, 2.0), (7.0, -9.0)])
def test_frequencies_of_a_posterior_fill_the_range(mean, log_std):
    cumulative = posterior_frequencies(mean, log_std)
    table = np.array([cumulative(k) for k in range(BINS + 1)])
    assert table[0] == 0
    assert table[-1] == TOTAL
    assert (np.diff(table) >= 1).all()
