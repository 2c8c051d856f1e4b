"""log Z against closed forms: Gaussians, mixtures, and a restricted Boltzmann machine enumerated."""

import math

import pytest
import torch
from torch import Tensor

from genkit.errors import ConfigError, NumericalError
from genkit.models.energy.annealed_importance import AnnealedImportance, log_harmonic_mean, log_mean, sigmoid_path
from genkit.models.energy.normaliser import Quadrature
from genkit.noise import generator_of

TAIL = 4.0
LIKE = torch.zeros(())


def with_tail(log_density):
    """f (N, 1) whose sum with the tail is `log_density` (N,)."""
    return lambda u: (log_density(u) + u.flatten(1).square().sum(1) / (2 * TAIL**2))[:, None]


def gaussian(std: float, mean: float = 0.0):
    return lambda u: -(u.flatten(1) - mean).square().sum(1) / (2 * std**2)


def log_z_of(std: float, dim: int) -> float:
    return dim * math.log(std * math.sqrt(2 * math.pi))


@pytest.mark.parametrize(("dim", "std", "mean"), [(1, 0.02, 2.0), (2, 0.05, -1.5), (2, 1.0, 0.0), (2, TAIL, 0.0)])
def test_a_grid_finds_a_gaussian_wherever_it_is(dim: int, std: float, mean: float) -> None:
    found = Quadrature(400)(with_tail(gaussian(std, mean)), TAIL, (dim,), LIKE)
    assert float(found.value) == pytest.approx(log_z_of(std, dim), abs=1e-5)
    assert float(found.se) < 1e-3


def test_grids_of_two_sizes_agree_on_eight_modes_and_labels_have_their_own() -> None:
    angle = torch.arange(8) * math.pi / 4
    centres = 1.4 * torch.stack([angle.cos(), angle.sin()], 1)

    def modes(u: Tensor) -> Tensor:
        return torch.logsumexp(-torch.cdist(u, centres).square() / (2 * 0.14**2), 1)

    f = lambda u: torch.cat([with_tail(modes)(u), with_tail(gaussian(1.0))(u) + 3], 1)  # noqa: E731
    coarse, fine = (Quadrature(n)(f, TAIL, (2,), LIKE) for n in (400, 800))
    torch.testing.assert_close(coarse.value, fine.value, rtol=0, atol=1e-5)
    assert fine.value.tolist() == pytest.approx([log_z_of(0.14, 2) + math.log(8), log_z_of(1.0, 2) + 3], abs=1e-5)


def test_what_a_grid_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^model\.normaliser: .*3 values: choose AnnealedImportance$"):
        Quadrature()(with_tail(gaussian(1.0)), TAIL, (3,), LIKE)
    with pytest.raises(NumericalError, match="diverged"):
        Quadrature()(lambda u: u[:, :1] * torch.nan, TAIL, (2,), LIKE)


def test_annealing_finds_a_gaussian_in_four_dimensions() -> None:
    found = AnnealedImportance(chains=1000, steps=200)(with_tail(gaussian(0.8, 0.3)), TAIL, (4,), LIKE)
    assert float(found.value) == pytest.approx(log_z_of(0.8, 4), abs=0.03)
    assert abs(float(found.value) - log_z_of(0.8, 4)) < 3 * float(found.se) < 0.03
    assert "lower bound" in found.caution


def test_annealing_agrees_with_an_enumerated_boltzmann_machine() -> None:
    """Gaussian visible and ten binary hidden units: p̃(v) = Σ_h exp(−‖v‖²/2 + h·(W v + c)), Z by its 2¹⁰ states."""
    generator = generator_of(0, "rbm")
    weight, bias = 0.5 * torch.randn(10, 6, generator=generator), 0.5 * torch.randn(10, generator=generator)

    def log_density(v: Tensor) -> Tensor:
        return -v.square().sum(1) / 2 + torch.nn.functional.softplus(v @ weight.T + bias).sum(1)

    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 10)
    enumerated = torch.logsumexp(states @ bias + (states @ weight).square().sum(1) / 2, 0) + log_z_of(1.0, 6)
    found = AnnealedImportance(chains=300, steps=200)(with_tail(log_density), TAIL, (6,), LIKE)
    assert float(found.value) == pytest.approx(float(enumerated), abs=0.05)


def test_chains_there_and_back_hold_the_truth_between_them() -> None:
    """From the tail and from exact draws of a mixture; with few steps one is low and the other high."""
    generator, n, std = generator_of(0, "mixture"), 200, 0.25
    centres = torch.tensor([[1.5, 0.0, 0.0], [-1.5, 1.0, 0.0]])

    def modes(u: Tensor) -> Tensor:
        return torch.logsumexp(-torch.cdist(u, centres).square() / (2 * std**2), 1)

    truth = log_z_of(std, 3) + math.log(2)
    draws = centres[torch.arange(n) % 2] + std * torch.randn(n, 3, generator=generator)
    annealing, f = AnnealedImportance(chains=n, steps=60), with_tail(modes)
    there = annealing.log_weights(lambda u: f(u)[:, 0], TAIL, (3,), LIKE)
    back = annealing.log_weights(lambda u: f(u)[:, 0], TAIL, (3,), LIKE, draws)
    assert float(there.mean()) < truth < float(back.mean())  # Jensen, on average over chains
    (low, low_se), (high, high_se) = log_mean(there), log_harmonic_mean(back)
    assert float(low) - 3 * float(low_se) < truth < float(high) + 3 * float(high_se)


def test_the_path_begins_at_the_tail_and_ends_at_the_model() -> None:
    path = sigmoid_path(10)
    assert (float(path[0]), float(path[-1])) == (0.0, 1.0)
    assert bool((path.diff() > 0).all())
