"""Objectives and their parts: what is drawn, what counts, who is paired with whom, and where the minimum is."""

from itertools import permutations

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser
from torch import Tensor

from genkit.diffusion.coupling import IndependentCoupling, MinibatchOT
from genkit.diffusion.objective import Denoising
from genkit.diffusion.parametrisation import DataDenoiser, EDMDenoiser, VDenoiser, VelocityDenoiser
from genkit.diffusion.time_distribution import LogitNormalTimes, LogNormalLevels, UniformTimes
from genkit.diffusion.weighting import DataWeighting, EDMWeighting, MinSNRWeighting, OutputWeighting, VelocityWeighting
from genkit.nn.backbone import Backbone
from genkit.noise import generator_of

STD = torch.tensor(0.7)
TIMES = {
    "levels": LogNormalLevels(),
    "uniform": UniformTimes(),
    "stratified": UniformTimes(stratified=True),
    "logit": LogitNormalTimes(),
}
WEIGHTINGS = {"output": OutputWeighting(), "edm": EDMWeighting(), "min-snr": MinSNRWeighting(), "data": DataWeighting()}
WEIGHTINGS["velocity"] = VelocityWeighting()


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_times_lie_in_the_unit_interval_and_vary(times, schedule):
    torch.manual_seed(0)
    t = times(500, schedule, STD)
    assert t.shape == (500,)
    assert t.min() >= 0
    assert t.max() <= 1
    assert t.std() > 0.03
    assert not torch.equal(times(500, schedule, STD), t)


def test_their_laws():
    torch.manual_seed(0)
    n, schedule = 40_000, SCHEDULES["karras"]
    log_level = (schedule.level(LogNormalLevels(mean=-0.4, std=0.5)(n, schedule, STD)) / STD).log()
    logit = torch.logit(LogitNormalTimes(mean=0.3, std=0.8)(n, schedule, STD))
    for value, mean, std in ((log_level, -0.4, 0.5), (logit, 0.3, 0.8)):
        assert value.mean().item() == pytest.approx(mean, abs=0.02)
        assert value.std().item() == pytest.approx(std, abs=0.02)
    strata = UniformTimes(stratified=True)(64, schedule, STD)
    assert sorted((strata * 64).floor().long().tolist()) == list(range(64))


def test_weights_are_their_papers():
    schedule, t = SCHEDULES["cosine"], torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    alpha, sigma = schedule(t)
    snr, std = (alpha / sigma) ** 2, torch.tensor(0.5, dtype=torch.float64)
    v, edm = (cls(backbone=Backbone, schedule=schedule, data_std=std) for cls in (Voiceless, Silent))
    torch.testing.assert_close(MinSNRWeighting(5.0)(v, t), torch.minimum(snr, torch.full_like(snr, 5.0)))
    torch.testing.assert_close(OutputWeighting()(v, t), snr + 1)  # of v: min(snr, γ) / (snr + 1) in the paper
    torch.testing.assert_close(EDMWeighting()(v, t), OutputWeighting()(edm, t))
    torch.testing.assert_close(EDMWeighting()(edm, t), (1 / snr + 0.25) / (0.25 / snr))
    straight = VelocityDenoiser(backbone=Linear(t), schedule=SCHEDULES["rectified"], data_std=std)
    torch.testing.assert_close(VelocityWeighting(1e-6)(straight, t), OutputWeighting()(straight, t))
    assert float(VelocityWeighting(0.2)(straight, t).max()) == pytest.approx(25)


class Voiceless(VDenoiser):
    """Without a network, for its weight alone."""

    def __init__(self, *, backbone: object, schedule: object, data_std: Tensor) -> None:
        super().__init__(backbone=None, schedule=schedule, data_std=data_std)


class Silent(EDMDenoiser):
    """Without a network, for its weight alone."""

    def __init__(self, *, backbone: object, schedule: object, data_std: Tensor) -> None:
        super().__init__(backbone=None, schedule=schedule, data_std=data_std)


def test_the_plan_is_optimal_and_an_order():
    x, eps = torch.randn(2, 6, 2, generator=generator_of(0, "pairs"))
    paired = MinibatchOT()(x, eps, None)
    assert sorted(paired.flatten().tolist()) == sorted(eps.flatten().tolist())

    def cost(e: Tensor) -> float:
        return (x - e).square().sum().item()

    best = min(cost(eps[torch.tensor(order)]) for order in permutations(range(6)))
    assert cost(paired) == pytest.approx(best, rel=1e-5)
    assert cost(paired) < cost(IndependentCoupling()(x, eps, None))


def test_labels_exchange_noise_among_themselves_alone():
    x, eps = torch.randn(2, 12, 2, generator=generator_of(0, "pairs"))
    y = torch.arange(12) % 3
    paired = MinibatchOT()(x, eps, y)
    for label in range(3):
        kept = {tuple(row) for row in eps[y == label].tolist()}
        assert {tuple(row) for row in paired[y == label].tolist()} == kept
    assert (paired != eps).any()


class Linear(Backbone):
    """F = a_k x, one coefficient for each of K noise levels (the nearest ln σ / 4): the exact family of a normal."""

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        self.edges, self.a = edges, torch.nn.Parameter(torch.zeros(len(edges), dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return x * self.a[(t[:, None] - self.edges).abs().argmin(1)][:, None]


class Fixed(UniformTimes):
    """Times on a few points."""

    def __call__(self, n, schedule, data_std):
        return torch.linspace(0.1, 0.9, 5, dtype=torch.float64)[torch.arange(n) % 5]


@pytest.mark.parametrize("weighting", WEIGHTINGS.values(), ids=WEIGHTINGS)
def test_whatever_the_weights_the_minimum_is_the_exact_denoiser(weighting):
    schedule, std = SCHEDULES["linear"], 0.6
    t = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    net = Linear(schedule.level(t).log() / 4)
    denoiser = DataDenoiser(backbone=net, schedule=schedule, data_std=torch.tensor(std, dtype=torch.float64))
    objective, optimizer = Denoising(Fixed(), weighting), torch.optim.LBFGS([net.a], lr=1.0, max_iter=100)
    x = std * torch.randn(50_000, 1, generator=generator_of(0, "x"), dtype=torch.float64)

    def closure() -> Tensor:
        torch.manual_seed(0)
        optimizer.zero_grad()
        loss = objective(denoiser, x, None)["loss"]
        loss.backward()
        return loss

    optimizer.step(closure)
    exact = GaussianDenoiser(torch.zeros(1).double(), torch.eye(1).double() * std**2, schedule)
    x_t = torch.ones(5, 1, dtype=torch.float64)
    torch.testing.assert_close(denoiser(x_t, t), exact(x_t, t), rtol=0.03, atol=0.03)
