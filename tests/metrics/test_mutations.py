"""Mistakes that others have made, put in on purpose: the tests of this folder must see each of them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import test_classes
import test_copying
import test_frechet
import test_inception_score
import test_kernel
import test_likelihood_metrics
import test_manifold
import test_modes
import test_moments
import test_sliced_wasserstein
import torch
from torch import Tensor

from genkit.errors import NumericalError
from genkit.metrics import (
    classes,
    copying,
    distances,
    frechet,
    inception_score,
    kernel,
    manifold,
    modes,
)
from genkit.metrics.kernel import GaussianKernel, KernelSums, PolynomialKernel
from genkit.metrics.manifold import Precision, Recall
from genkit.metrics.moments import Moments
from genkit.metrics.sliced_wasserstein import SortedPairs
from genkit.models import density

Patch = pytest.MonkeyPatch
Check = Callable[[], Any]


def divided_by_n(patch: Patch) -> None:
    patch.setattr(Moments, "covariance", property(lambda self: self.scatter / self.count))


def uncentred_rows(patch: Patch) -> None:
    patch.setattr(Moments, "of", classmethod(lambda cls, rows: cls(len(rows), rows.mean(0), rows.T @ rows)))


def difference_of_sums(patch: Patch) -> None:
    """Σ x xᵀ − n m mᵀ, which is the scatter until the mean is large."""

    def of(cls: type[Moments], rows: Tensor) -> Moments:
        mean = rows.mean(0)
        return cls(len(rows), mean, rows.T @ rows - len(rows) * torch.outer(mean, mean))

    patch.setattr(Moments, "of", classmethod(of))


def no_shift_between_pieces(patch: Patch) -> None:
    patch.setattr(
        Moments, "merge", lambda a, b: Moments(a.count + b.count, (a.mean + b.mean) / 2, a.scatter + b.scatter)
    )


def swapped_precision_and_recall(patch: Patch) -> None:
    precision, recall = Precision.met, Recall.met
    patch.setattr(Precision, "met", recall)
    patch.setattr(Recall, "met", precision)


def open_balls(patch: Patch) -> None:
    patch.setattr(distances, "RIM", -1e-9)


def own_point_as_neighbour(patch: Patch) -> None:
    radii = manifold.squared_radii
    patch.setattr(manifold, "squared_radii", lambda points, k: radii(points, k - 1) if k > 1 else 0 * radii(points, 1))


def deviations_for_variances(patch: Patch) -> None:
    def root(covariance: Tensor) -> Tensor:
        variances, axes = torch.linalg.eigh(covariance)
        return axes * variances  # R Rᵀ is the square of the covariance

    patch.setattr(frechet, "covariance_factor", root)


def no_root_of_the_product(patch: Patch) -> None:
    patch.setattr(frechet, "_trace_root", lambda matrix: torch.linalg.eigvalsh(matrix).sum())


def width_for_its_square(patch: Patch) -> None:
    def call(self: GaussianKernel, x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(x, y).square() / (2 * self.bandwidth))

    patch.setattr(GaussianKernel, "__call__", call)


def biased_estimate(patch: Patch) -> None:
    """Sums without the diagonal over all n² pairs."""

    def biased(sums: KernelSums) -> Tensor:
        n, m = len(sums.fake), sums.m
        return sums.real / m**2 + sums.fake.sum() / n**2 - 2.0 * sums.cross.sum() / (m * n)

    patch.setattr(kernel, "mmd_squared", biased)


def diagonal_left_in(patch: Patch) -> None:
    patch.setattr(kernel, "_off_diagonal", lambda rows, k: k(rows, rows).sum(1))


def kernel_of_another_scale(patch: Patch) -> None:
    patch.setattr(PolynomialKernel, "__call__", lambda self, x, y: (x @ y.T + self.offset).pow(self.degree))


def bits_for_nats(patch: Patch) -> None:
    """A density taken to be in bits already."""

    def bits(nll: Any, dim: int, levels: int, value_range: tuple[float, float]) -> Any:
        return nll / dim + math.log2(levels / (value_range[1] - value_range[0]))

    patch.setattr(density, "bits_per_dim", bits)


def nats_for_bits_of_a_level(patch: Patch) -> None:
    def bits(nll: Any, dim: int, levels: int, value_range: tuple[float, float]) -> Any:
        return nll / (dim * math.log(2)) + math.log(levels / (value_range[1] - value_range[0]))

    patch.setattr(density, "bits_per_dim", bits)


def modes_in_bits(patch: Patch) -> None:
    nats = modes.kl_to_uniform
    patch.setattr(modes, "kl_to_uniform", lambda labels, k: nats(labels, k) / math.log(2))


def classes_in_bits(patch: Patch) -> None:
    nats = classes.kl_to_uniform
    patch.setattr(classes, "kl_to_uniform", lambda labels, k: nats(labels, k) / math.log(2))


def score_in_bits(patch: Patch) -> None:
    """e to a divergence in bits."""
    score = inception_score.inception_score
    patch.setattr(inception_score, "inception_score", lambda *rows: score(*rows) ** (1 / math.log(2)))


def mean_of_distances(patch: Patch) -> None:
    """Sliced Wasserstein without its squares."""
    patch.setattr(SortedPairs, "cost", lambda self, x, y: (x[:, self.i] - y[:, self.j]).abs() @ self.mass)


def ties_counted_whole(patch: Patch) -> None:
    def z(left: Tensor, right: Tensor) -> float:
        n, m = len(left), len(right)
        u = float((left[:, None] >= right).sum())
        return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)

    patch.setattr(copying, "mann_whitney", z)


def with_blocks(test: Callable[..., None], k: Any, elements: int = 2**20) -> Check:
    def check() -> None:
        with pytest.MonkeyPatch.context() as patch:
            test(k, elements, patch)

    return check


# the mistake -> tests that see it
MUTATIONS: dict[Callable[[Patch], None], list[Check]] = {
    divided_by_n: [
        test_frechet.test_variances_are_divided_by_n_minus_one,
        lambda: test_frechet.test_affine_image((200, 6)),
        test_moments.test_covariance_is_unbiased,
    ],
    uncentred_rows: [lambda: test_frechet.test_affine_image((200, 6))],
    difference_of_sums: [
        lambda: test_frechet.test_a_large_offset_costs_little(1e8, 1e-4),
        lambda: test_moments.test_a_large_mean_costs_no_precision(1e8, 1e-6),
    ],
    no_shift_between_pieces: [lambda: test_moments.test_merging_processes_is_seeing_everything(2)],
    swapped_precision_and_recall: [
        test_manifold.test_counted_by_hand,
        test_manifold.test_precision_and_recall_are_each_other_s_mirror,
    ],
    open_balls: [test_manifold.test_a_point_on_the_rim_is_inside],
    own_point_as_neighbour: [test_manifold.test_counted_by_hand],
    deviations_for_variances: [
        test_frechet.test_covariances_that_do_not_commute,
        test_frechet.test_diagonal_gaussians,
    ],
    no_root_of_the_product: [test_frechet.test_diagonal_gaussians],
    width_for_its_square: [
        test_kernel.test_gaussian_mmd_of_shifted_normals,
        test_kernel.test_kernels_are_their_formulas,
    ],
    biased_estimate: [with_blocks(test_kernel.test_blocks_are_the_double_loop, PolynomialKernel())],
    diagonal_left_in: [
        with_blocks(test_kernel.test_blocks_are_the_double_loop, PolynomialKernel()),
        test_kernel.test_kid_is_unbiased,
    ],
    kernel_of_another_scale: [test_kernel.test_kernels_are_their_formulas],
    bits_for_nats: [lambda: test_likelihood_metrics.test_a_uniform_model_of_digits_needs_log2_17_bits((-1.0, 1.0))],
    nats_for_bits_of_a_level: [
        lambda: test_likelihood_metrics.test_a_uniform_model_of_digits_needs_log2_17_bits((0.0, 1.0))
    ],
    modes_in_bits: [test_modes.test_a_collapsed_model_reaches_one],
    classes_in_bits: [lambda: test_classes.test_a_collapse_is_counted(1, math.log(10))],
    score_in_bits: [test_inception_score.test_certain_and_balanced_predictions_score_the_classes],
    mean_of_distances: [test_sliced_wasserstein.test_shift_costs_its_length_over_the_root_of_the_dimension],
    ties_counted_whole: [test_copying.test_held_out_data_against_itself_is_exactly_zero],
}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_mistake_is_seen_by_every_test_that_names_it(mutate: Callable[[Patch], None], monkeypatch: Patch) -> None:
    for check in MUTATIONS[mutate]:
        check()  # nothing is wrong yet
    mutate(monkeypatch)
    for check in MUTATIONS[mutate]:
        with pytest.raises((AssertionError, NumericalError)):
            check()
