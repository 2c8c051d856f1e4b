"""Short trainings of energies against the truth: densities of the plane, NCE's constant, the energy of a Gaussian."""

import copy

import pytest
import torch
from torch import Tensor

from genkit.data.sources.toy import Toy
from genkit.data.spec import DataSpec
from genkit.models.base import GenerativeModel
from genkit.models.energy.ebm import EBM
from genkit.models.energy.energy_diffusion import EnergyDiffusion
from genkit.models.energy.objective import NCE, ImportanceML
from genkit.nn.mlp import MLP

pytestmark = pytest.mark.slow


def fitted(model: GenerativeModel, x: Tensor, steps: int, lr: float = 5e-3) -> GenerativeModel:
    """An averaged copy after steps of 512, the rate falling to 0."""
    torch.manual_seed(0)
    model.train().initialise({"x": x[:512]})
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    average = copy.deepcopy(model).eval()
    for step in range(steps):
        optimizer.zero_grad()
        model.losses({"x": x[torch.randint(len(x), (512,))]}, "model")["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        falling.step()
        share = 1 - min(0.99, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), share)
    return average


@pytest.mark.parametrize(("name", "largest"), [("eight_gaussians", 0.03), ("checkerboard", 0.15)])
@pytest.mark.parametrize("objective", [ImportanceML, NCE])
def test_densities_of_the_plane_are_learned_without_chains(objective, name: str, largest: float) -> None:
    toy = Toy(name, n_train=100_000)
    torch.manual_seed(0)
    model = EBM(spec=toy.spec, objective=objective)
    model = fitted(model, toy.split("train").take(torch.arange(100_000)).x, steps=600)
    test = toy.split("test").take(torch.arange(5000)).x
    with torch.no_grad():
        gap = float((toy.density.log_prob(test) - model.log_prob(test)).mean())
    assert -0.01 < gap < largest
    if objective is NCE and name == "eight_gaussians":
        assert float(model.objective.log_z.detach()) == pytest.approx(float(model.log_z().value), abs=0.05)


def test_the_energy_of_a_gaussian_is_its_closed_form_but_for_a_constant() -> None:
    mixing = torch.tensor([[1.0, 0.0], [0.8, 0.5]])
    torch.manual_seed(0)
    x = torch.randn(50_000, 2) @ mixing.T
    model = EnergyDiffusion(spec=DataSpec((2,), "vector"), backbone=lambda **shapes: MLP(**shapes, width=64, depth=2))
    model = fitted(model, x, steps=800, lr=2e-3)
    level, points = 0.5, x[:2000]
    covariance = mixing @ mixing.T + level**2 * torch.eye(2)
    truth = (points @ torch.linalg.inv(covariance) * points).sum(1) / 2
    energy = model.energy(points, level=level).detach()
    assert float(torch.corrcoef(torch.stack([energy, truth]))[0, 1]) > 0.999
