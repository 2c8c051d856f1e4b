"""Faults that were met in other programs, put into the metrics one at a time: the metrics' own tests must see each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import test_frechet
import test_kernel
import test_likelihood_metrics
import test_manifold
import test_moments
import test_transport
from torch import Tensor

from genkit.metrics import kernel, likelihood, transport
from genkit.metrics.kernel import KernelSums, PolynomialKernel
from genkit.metrics.manifold import Precision, Recall
from genkit.metrics.moments import Moments

Patches = list[tuple[Any, str, Any]]  # object, attribute, what stands in its place


@dataclass(frozen=True)
class Mutation:
    """A fault, and the test that knows the right value."""

    patches: Patches
    check: Callable[[], None]


def biased(sums: KernelSums) -> Tensor:
    """As if the diagonals counted: sums of i ≠ j divided by all pairs."""
    n, m = len(sums.fake), sums.m
    return sums.real / m**2 + sums.fake.sum() / n**2 - 2.0 * sums.cross.sum() / (m * n)


def blocks_are_the_double_loop() -> None:
    with pytest.MonkeyPatch.context() as patched:
        test_kernel.test_blocks_are_the_double_loop(PolynomialKernel(), 50, patched)


SLICED, BITS = transport.sliced_wasserstein, likelihood.bits_per_dim

MUTATIONS = {
    "variances divided by n": Mutation(
        [(Moments, "covariance", property(lambda self: self.scatter / self.count))],
        test_moments.test_covariance_is_unbiased,
    ),
    "second moments not centred": Mutation(
        [
            (
                Moments,
                "covariance",
                property(lambda self: self.scatter / (self.count - 1) + self.mean.outer(self.mean)),
            )
        ],
        lambda: test_moments.test_moments_of_pieces_are_those_of_the_whole(7),
    ),
    "standard deviations for variances": Mutation(
        [(Moments, "covariance", property(lambda self: (self.scatter / (self.count - 1)).abs().sqrt()))],
        lambda: test_frechet.test_affine_image((200, 6)),
    ),
    "a square for its root": Mutation(
        [(transport, "sliced_wasserstein", lambda *arguments: SLICED(*arguments).square())],
        lambda: test_transport.test_one_dimension_is_exact_transport(9, 7, 2.999338429881789),
    ),
    "precision for recall": Mutation(
        [(Precision, "met", Recall.met), (Recall, "met", Precision.met)], test_manifold.test_counted_by_hand
    ),
    "kernel distance biased": Mutation([(kernel, "mmd_squared", biased)], blocks_are_the_double_loop),
    "nats for bits": Mutation(
        [(likelihood, "bits_per_dim", lambda nll, *arguments: BITS(nll * math.log(2), *arguments))],
        lambda: test_likelihood_metrics.test_a_uniform_model_of_digits_needs_log2_17_bits((0.0, 17.0)),
    ),
}


@pytest.mark.parametrize("fault", MUTATIONS)
def test_a_fault_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = MUTATIONS[fault]
    mutation.check()
    for patch in mutation.patches:
        monkeypatch.setattr(*patch)
    with pytest.raises(AssertionError):
        mutation.check()
