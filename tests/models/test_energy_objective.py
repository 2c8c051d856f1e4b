"""Objectives of an energy against closed forms, and the guards of persistent chains."""

import math

import pytest
import torch
from torch import Tensor, nn

from genkit.batch_noise import share_of_batch
from genkit.errors import ConfigError
from genkit.models.energy.contrastive import CHAINS, JEM, PersistentCD
from genkit.models.energy.objective import NCE, ImportanceML, under
from genkit.models.energy.score_matching import DenoisingScoreMatching


def normal(variance: float = 1.0, log_z: float = 0.0):
    """log densities (N, 1) of N(0, variance I), off by log_z from being normalised."""

    def log_densities(u: Tensor) -> Tensor:
        u = u.flatten(1)
        value = -u.square().sum(1) / (2 * variance) - u.shape[1] / 2 * math.log(2 * math.pi * variance)
        return (value + log_z)[:, None]

    return log_densities


def made(kind=PersistentCD, shape=(2,), num_classes=None, **options):
    return kind(shape=shape, num_classes=num_classes, **options)


def test_importance_ml_finds_log_z_and_the_entropy() -> None:
    torch.manual_seed(0)
    terms = made(ImportanceML, draws=100_000).losses(normal(log_z=3.0), torch.randn(100_000, 2), None)
    assert float(terms["log_z"]) == pytest.approx(3.0, abs=0.02)
    assert float(terms["loss"]) == pytest.approx(1 + math.log(2 * math.pi), abs=0.02)


def test_the_constant_of_nce_is_log_z_where_its_loss_is_least() -> None:
    torch.manual_seed(0)
    objective, u = made(NCE, ratio=2), torch.randn(50_000, 2)
    slopes = []
    for constant in (2.8, 3.0, 3.2):
        objective.log_z.data.fill_(constant)
        objective.zero_grad()
        objective.losses(normal(log_z=3.0), u, None)["loss"].backward()
        slopes.append(float(objective.log_z.grad))
    assert slopes[0] < -0.01 < 0.01 < slopes[2]
    assert abs(slopes[1]) < 0.01


@pytest.mark.parametrize("kind", [ImportanceML, NCE])
def test_a_base_that_cannot_cover_the_data_is_refused(kind) -> None:
    with pytest.raises(ConfigError, match=r"^model\.objective: .* has 64: choose model=dsm_ebm"):
        made(kind, shape=(1, 8, 8))


def test_score_matching_is_least_at_the_density_of_noisy_data() -> None:
    """At N(0, 1 + σ²) the loss is 1 / (1 + σ²), and higher at any other variance."""
    torch.manual_seed(0)
    u, sigma = torch.randn(100_000, 2), 0.8
    objective = made(DenoisingScoreMatching, noise=sigma, energy_l2=0.0)
    found = [objective.losses(normal(v), u, None)["loss"].item() for v in (1.0, 1 + sigma**2, 3.0)]
    assert found[1] == pytest.approx(1 / (1 + sigma**2), rel=0.02)
    assert found[1] < min(found[0], found[2])


def test_the_buffer_holds_ten_chains_for_each_example_and_moves_those_that_walk() -> None:
    torch.manual_seed(0)
    objective, u = made(), torch.randn(16, 2)
    objective.losses(normal(), u, None)
    before = objective.training_state()["chains"].clone()
    assert before.shape == (16 * CHAINS, 2)
    objective.losses(normal(), u, None)
    moved = (objective.training_state()["chains"] != before).any(1).sum()
    assert 0 < int(moved) <= 16
    objective.eval()
    before = objective.training_state()["chains"].clone()
    objective.losses(normal(), u, None)
    assert torch.equal(objective.training_state()["chains"], before)


def test_chains_of_persistent_training_end_in_the_density() -> None:
    """A fixed density: after many steps the whole buffer follows it, variance and all."""
    torch.manual_seed(0)
    objective = made(steps=10, step=0.3, restarts=0.0, data_noise=0.0, gradient_limit=10.0)
    for _ in range(150):
        objective.losses(normal(0.25), 0.5 * torch.randn(64, 2), None)
    chains = objective.training_state()["chains"]
    assert float(chains.var()) == pytest.approx(0.25 / (1 - 0.3**2 / (4 * 0.25)), rel=5 * math.sqrt(1 / len(chains)))


def test_restarts_come_from_the_base_and_not_from_data() -> None:
    torch.manual_seed(0)
    objective = made(steps=1, step=1e-6, restarts=1.0)
    far = 1e4 + torch.randn(64, 2)
    objective.largest_gap = 1e12
    objective.losses(lambda u: 0 * u[:, :1], far, None)
    assert float(objective.training_state()["chains"].abs().max()) < 100


def test_chains_with_labels_stay_with_their_label() -> None:
    torch.manual_seed(0)
    objective, u, y = made(num_classes=3), torch.randn(8, 2), torch.full((8,), 2)
    flat = lambda u: torch.zeros(len(u), 3) + 0 * u[:, :1]  # noqa: E731
    objective.losses(flat, u, y)
    before = objective.training_state()["chains"].clone()
    assert len(before) == 3 * 8 * CHAINS
    objective.losses(flat, u, y)
    moved = (objective.training_state()["chains"] != before).any(1).nonzero()[:, 0]
    assert len(moved) > 0
    assert int(moved.min()) >= 2 * 8 * CHAINS


def test_of_several_chains_in_one_slot_the_last_is_kept() -> None:
    chains = torch.zeros(3, 1)
    PersistentCD._keep(chains, torch.tensor([2, 0, 2]), torch.tensor([[1.0], [2.0], [3.0]]))
    assert chains.tolist() == [[2.0], [0.0], [3.0]]


def test_two_processes_walk_the_chains_that_one_would() -> None:
    """Their slots and noise go by the place in the whole batch; each here keeps its own half."""
    u = torch.randn(8, 2)
    torch.manual_seed(5)
    whole = made(restarts=0.3)
    whole.losses(normal(), u, None)
    kept = whole.training_state()["chains"]
    start = made(restarts=0.3)
    start._buffer(u)
    moved = torch.zeros(len(kept), dtype=torch.bool)
    for rank in range(2):
        half = made(restarts=0.3)
        half.load_training_state(start.training_state())
        with share_of_batch(5, rank, 2):
            half.losses(normal(), u[4 * rank : 4 * rank + 4], None)
        found = half.training_state()["chains"]
        own = (found != start.training_state()["chains"]).any(1)
        torch.testing.assert_close(found[own], kept[own])
        moved |= own
    assert torch.equal(moved, (kept != start.training_state()["chains"]).any(1))


def test_energies_that_part_or_are_not_finite_are_named() -> None:
    cases = {
        "are 300 nats apart": lambda u: -300 * (u.abs().amax(1, keepdim=True) > 50).float() + 0 * u[:, :1],
        "are not finite": lambda u: u[:, :1] * torch.nan,
    }
    for words, log_densities in cases.items():
        torch.manual_seed(0)
        objective = made()
        cause = objective.lost(objective.losses(log_densities, torch.full((8, 2), 100.0), None))
        assert cause.startswith(f"the energies of data and chains {words}")
        assert "lower optimizer.lr" in cause
    assert made().lost({"energy_gap": torch.tensor(-49.0)}) is None


def test_chains_that_are_not_finite_are_not_kept() -> None:
    objective, u = made(), torch.randn(4, 2)
    objective.losses(lambda u: u[:, :1] * torch.nan, u, None)
    assert bool(torch.isfinite(objective.training_state()["chains"]).all())


def test_energies_are_held_near_zero() -> None:
    far = normal(log_z=40.0)
    torch.manual_seed(0)
    held, free = (made(energy_l2=weight).losses(far, torch.randn(8, 2), None)["loss"] for weight in (0.1, 0.0))
    assert float(held - free) > 0.1 * 2 * 30**2


@pytest.mark.parametrize(
    "state",
    [{"chains": torch.zeros(4, 3)}, {"chains": torch.zeros(0, 2)}, {"chains": torch.full((4, 2), torch.nan)},
     {"chains": torch.zeros(4, 2, dtype=torch.int64)}, {"other": torch.zeros(4, 2)}, {"chains": 3}],
)  # fmt: skip
def test_chains_of_another_model_are_refused(state) -> None:
    with pytest.raises(ValueError, match=r"chains are not those"):
        made().load_training_state(state)


def test_chains_move_with_the_module_and_are_no_weights() -> None:
    objective = made()
    objective.losses(normal(), torch.randn(4, 2), None)
    assert nn.Module.state_dict(objective) == {}
    assert objective.double().training_state()["chains"].dtype == torch.float64


def test_a_joint_energy_learns_labels_beside_the_density() -> None:
    torch.manual_seed(0)
    objective, y = made(JEM, num_classes=2), torch.arange(64) % 2
    u = torch.stack([4.0 * y - 2, torch.zeros(64)], 1) + 0.1 * torch.randn(64, 2)
    logits = lambda u: torch.stack([-u[:, 0], u[:, 0]], 1)  # noqa: E731
    terms = objective.losses(logits, u, y)
    assert float(terms["accuracy"]) == 1.0
    assert float(terms["cross_entropy"]) < 0.1
    assert float(terms["loss"]) > float(terms["cross_entropy"]) + float(-terms["energy_gap"]) - 1e-6
    assert under(logits(u), y).shape == (64,)
