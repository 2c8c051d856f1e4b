"""Samplers of posteriors against a truth in closed form: a mixture of Gaussians, measured linearly with noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.diffusion.denoiser import Denoiser, MixtureDenoiser, RowLabelled
from genkit.diffusion.sampler import HeunSampler
from genkit.diffusion.schedule import KarrasSchedule
from genkit.diffusion.variance_preserving import CosineSchedule
from genkit.errors import ConfigError
from genkit.inverse.coarsened_posterior import coarsened_noise, powers
from genkit.inverse.guided_denoiser import DPS, MMPS, PiGDM
from genkit.inverse.latent_langevin import LatentLangevin, metropolis_langevin
from genkit.inverse.latent_pool import LatentPool
from genkit.inverse.linear_task import AveragePool, LinearTask, Mask
from genkit.inverse.posterior_sampler import Observation, PosteriorSampler, systematic
from genkit.inverse.repaint import RePaint, schedule_of
from genkit.inverse.split_gibbs import SplitGibbs
from genkit.noise import SampleNoise

DIM, MODES, MEASURED, STD, SIGMA = 8, 6, 3, 0.25, 0.05


class Matrix(LinearTask):
    """A given A."""

    def __init__(self, a: Tensor, sigma: float) -> None:
        self.a, self.sigma = a, sigma
        self.in_shape, self.out_shape = (a.shape[1],), (a.shape[0],)

    def measure(self, x: Tensor) -> Tensor:
        return x @ self.a.T

    def adjoint(self, v: Tensor) -> Tensor:
        return v @ self.a


@dataclass
class Problem:
    """An instance: the prior's means, a measurement and the posterior."""

    seed: int
    measured: int = MEASURED

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(100 + self.seed)
        self.means = self.randn(MODES, DIM)
        weights = torch.rand(MODES, generator=self.generator) + 0.3
        self.weights = weights / weights.sum()
        self.task = Matrix(self.randn(self.measured, DIM) / DIM**0.5, SIGMA)
        x = self.means[0] + STD * self.randn(DIM)
        self.v = (self.task.measure(x) + SIGMA * self.randn(self.measured))[None]

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)

    def denoiser(self, schedule=None) -> MixtureDenoiser:
        return MixtureDenoiser(self.means, torch.full((MODES,), STD), self.weights, schedule or KarrasSchedule())

    def exact(self, n: int) -> Tensor:
        """n draws from the posterior, a mixture again."""
        a, var = self.task.a.double(), STD**2
        total = var * a @ a.T + SIGMA**2 * torch.eye(len(a)).double()
        gain = var * a.T @ torch.linalg.inv(total)
        r = self.v.double() - self.means.double() @ a.T  # (K, m)
        log_w = self.weights.double().log() - 0.5 * (r * torch.linalg.solve(total, r.T).T).sum(1)
        centres = self.means.double() + r @ gain.T
        factor = torch.linalg.cholesky(var * (torch.eye(DIM).double() - gain @ a))
        k = torch.multinomial(log_w.softmax(0), n, True, generator=self.generator)
        return (centres[k] + self.randn(n, DIM).double() @ factor.T).float()


def far(x: Tensor, y: Tensor) -> float:
    """Energy distance with the means over all pairs."""
    return float(2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean())


def drawn(sampler: PosteriorSampler, problem: Problem, n: int) -> Tensor:
    return sampler(Observation(problem.task, problem.v), n, SampleNoise(problem.seed, range(1)))[0]


def test_split_gibbs_is_as_near_as_an_equal_number_of_exact_draws():
    problem, n = Problem(1), 300
    reference = problem.exact(4000)
    floor = sum(far(problem.exact(n), reference) for _ in range(5)) / 5
    sampler = SplitGibbs(denoiser=problem.denoiser(), levels=30, steps=32, particles=4)
    assert far(drawn(sampler, problem, n), reference) <= 2 * floor


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_split_gibbs_finds_the_shares_of_all_modes(seed):
    """Energy distance at most twice that of as many exact draws, on one instance after the other."""
    problem, n = Problem(seed), 1000
    reference = problem.exact(8000)
    floor = sum(far(problem.exact(n), reference) for _ in range(8)) / 8
    sampler = SplitGibbs(denoiser=problem.denoiser(), levels=60, steps=60, particles=4)
    assert far(drawn(sampler, problem, n), reference) <= 2 * floor


@pytest.mark.parametrize("cls", [MMPS, PiGDM])
def test_weighed_guidance_is_as_near_as_an_equal_number_of_exact_draws(cls):
    problem, n = Problem(1), 200
    reference = problem.exact(4000)
    floor = sum(far(problem.exact(n), reference) for _ in range(5)) / 5
    assert far(drawn(cls(denoiser=problem.denoiser()), problem, n), reference) <= 2.5 * floor


@pytest.mark.slow
def test_weighed_guidance_finds_the_shares_of_all_modes():
    """MMPS as it is: the median of six instances at most twice as far as that of as many exact draws."""
    found = []
    for seed in range(6):
        problem, n = Problem(seed), 1000
        reference = problem.exact(8000)
        floor = sum(far(problem.exact(n), reference) for _ in range(8)) / 8
        found.append(far(drawn(MMPS(denoiser=problem.denoiser()), problem, n), reference) / floor)
    assert sorted(found)[3] <= 2, found


def test_refinement_tells_draws_apart_and_stays_near():
    problem = Problem(1)
    reference = problem.exact(2000)
    few = partial(PiGDM, denoiser=problem.denoiser(), steps=24, particles=2)
    plain, refined = (drawn(few(refine=turns), problem, 60) for turns in (0, 4))
    assert len(refined.unique(dim=0)) == 60 > len(plain.unique(dim=0))
    assert far(refined, reference) <= far(plain, reference) + 0.05


def test_particles_have_steps_of_their_own():
    problem = Problem(0)
    sampler = MMPS(denoiser=problem.denoiser(), sampler=HeunSampler, particles=2)
    with pytest.raises(ConfigError, match=r"posterior.particles=1"):
        drawn(sampler, problem, 2)


def test_split_gibbs_serves_any_schedule():
    problem, n = Problem(1), 150
    sampler = SplitGibbs(denoiser=problem.denoiser(CosineSchedule()), levels=20, steps=30)
    reference = problem.exact(2000)
    assert far(drawn(sampler, problem, n), reference) <= 4 * far(problem.exact(n), reference)


def test_guidance_is_exact_where_one_gaussian_is_the_prior():
    """With one component the denoiser's covariance is that of p(x | x_t), and MMPS is right at every level."""
    problem, n = Problem(2), 500
    problem.means, problem.weights = problem.means[:1], torch.ones(1)
    denoiser = MixtureDenoiser(problem.means, torch.full((1,), STD), torch.ones(1), KarrasSchedule())
    reference = problem.exact(4000)
    found = drawn(MMPS(denoiser=denoiser, iterations=MEASURED, particles=1), problem, n)
    assert far(found, reference) <= 4 * far(problem.exact(n), reference)


def test_guided_samplers_are_nearer_than_the_prior():
    problem, n = Problem(1), 200
    reference = problem.exact(2000)
    k = torch.multinomial(problem.weights, 2000, True, generator=problem.generator)
    of_prior = far(problem.means[k] + STD * problem.randn(2000, DIM), reference)
    for sampler in (MMPS(denoiser=problem.denoiser(), particles=1), PiGDM(denoiser=problem.denoiser(), particles=1)):
        assert far(drawn(sampler, problem, n), reference) < of_prior / 3
    assert torch.isfinite(drawn(DPS(denoiser=problem.denoiser(), scale=0.3), problem, n)).all()


def test_draws_of_an_example_do_not_depend_on_those_beside_it():
    problem = Problem(0)
    both = Observation(problem.task, torch.cat([problem.v, problem.v + 1]))
    samplers = (
        SplitGibbs(denoiser=problem.denoiser(), levels=4, steps=8),
        MMPS(denoiser=problem.denoiser(), steps=10),
        MMPS(denoiser=problem.denoiser(), particles=1),
    )
    for sampler in samplers:
        alone = sampler(Observation(problem.task, problem.v), 3, SampleNoise(5, [7]))
        together = sampler(both, 3, SampleNoise(5, [7, 8]))
        assert together.shape == (2, 3, DIM)
        torch.testing.assert_close(alone[0], together[0], atol=1e-3, rtol=1e-3)


class PerLabel(Denoiser):
    """The exact denoiser of one Gaussian for each label."""

    def __init__(self, means: Tensor, y: Tensor) -> None:
        super().__init__()
        self.means, self.y, self.schedule = means, y, KarrasSchedule()

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        _, sigma = self.schedule(t)
        keep = (STD**2 / (STD**2 + sigma**2))[:, None]
        return self.means[self.y] + keep * (x_t - self.means[self.y])


SAMPLERS = {"split Gibbs": partial(SplitGibbs, levels=12, steps=12, particles=4),
            "weighed guidance": partial(PiGDM, steps=20, particles=4)}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLERS)
def test_labels_are_inferred(name):
    means = torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    denoiser = RowLabelled(lambda y: PerLabel(means, y), torch.full((1, 3), 1 / 3))
    task = Mask(torch.tensor([False, True]), (2,), 0.1)
    x = SAMPLERS[name](denoiser=denoiser)(
        Observation(task, torch.tensor([[0.0, 0.0], [0.0, 3.0]])), 100, SampleNoise(0, range(2))
    )
    assert abs((x[0, :, 0] > 0).float().mean() - 0.5) < 0.2  # the first two labels explain it equally well
    assert x[0, :, 0].abs().mean() > 1.5
    assert x[1, :, 0].abs().mean() < 0.5


def test_every_label_has_its_turn_however_few_the_rows():
    denoiser = RowLabelled(lambda y: PerLabel(torch.zeros(10, 2), y), torch.full((1, 10), 0.1))
    denoiser.begin(torch.linspace(0.001, 0.999, 40)[:, None], 4, torch.device("cpu"))
    assert denoiser.y.bincount(minlength=10).min() > 8  # of 160
    denoiser.begin(torch.full((1, 1), 0.5), 20, torch.device("cpu"))
    assert denoiser.y.bincount(minlength=10).tolist() == [2] * 10
    shares = torch.tensor([[0.5, 0.0, 0.5, 0.0], [0.0, 0.25, 0.75, 0.0]])
    denoiser = RowLabelled(lambda y: PerLabel(torch.zeros(4, 2), y), shares)
    denoiser.begin(torch.tensor([[0.3], [0.999999]]), 8, torch.device("cpu"))
    found = [rows.bincount(minlength=4).tolist() for rows in denoiser.y.view(2, 8)]
    assert found == [[4, 0, 4, 0], [0, 2, 6, 0]]


def test_repaint_keeps_what_is_known_and_fills_in_the_rest():
    means = torch.tensor([[-2.0, -2.0], [2.0, 2.0]])
    denoiser = MixtureDenoiser(means, torch.full((2,), STD), torch.full((2,), 0.5), KarrasSchedule())
    task = Mask(torch.tensor([True, False]), (2,), 0.01)
    x = RePaint(denoiser=denoiser, jumps=3)(Observation(task, torch.tensor([[2.0, 0.0]])), 60, SampleNoise(0, [0]))[0]
    assert (x[:, 1] > 0).float().mean() > 0.95
    assert (x[:, 1].mean() - 2).abs() < 0.15
    moves = list(schedule_of(21, 10, 2))
    assert moves[-1] == (19, 20)
    assert (10, 0) in moves


class Linear:
    """g(z) = z W with z ~ N(0, I), chosen from a pool of draws if it has one."""

    told = None

    def __init__(self, w: Tensor, pooled: int = 0) -> None:
        self.w = w
        z = SampleNoise(7, range(pooled))(len(w)) if pooled else None
        self.pool = None if z is None else LatentPool(z, self.from_latent(z), None)

    def begin(self, n: int, each: int) -> None: ...

    def begin_with(self, rows: Tensor, each: int) -> None: ...

    def take(self, rows: Tensor) -> None: ...

    def draw_latent(self, noise, rows: int) -> Tensor:
        return noise(len(self.w))

    def latent_log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * z.square().sum(1)

    def from_latent(self, z: Tensor) -> Tensor:
        return z @ self.w


class Folded(Linear):
    """g(z) = |z| W: two latents explain each example."""

    def from_latent(self, z: Tensor) -> Tensor:
        return z.abs() @ self.w


@pytest.mark.parametrize("pooled", [0, 5000])
@pytest.mark.parametrize("saturation", [None, 1.5])
def test_langevin_draws_from_the_posterior_of_latents(saturation, pooled):
    """Of a linear generator it is normal: the moments of the measured noise that it settles on, coarsened or not."""
    w, n = torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), 400
    task = Mask(torch.tensor([True, True, True, False]), (4,), 0.5)
    v = torch.tensor([[0.5, -0.2, 0.3, 0.0]])
    generator = Linear(w, pooled)
    sampler = LatentLangevin(generator=generator, restarts=1, steps=60, langevin_steps=60, saturation=saturation)
    x = sampler(Observation(task, v), n, SampleNoise(0, [0]))[0]
    a, noise = w[:, :3].T, coarsened_noise(0.5, 3, saturation or math.inf) ** 2
    precision = torch.eye(2) + a.T @ a / noise
    mean = torch.linalg.solve(precision, a.T @ v[0, :3] / noise)
    covariance = w.T @ torch.linalg.inv(precision) @ w
    torch.testing.assert_close(x.mean(0), mean @ w, atol=0.12, rtol=0)
    torch.testing.assert_close(torch.cov(x.T), covariance, atol=0.25 * float(covariance.diagonal().max()), rtol=0)


def test_a_pool_has_starts_at_every_answer_in_its_share():
    """Its draws far from any answer are none, and both answers are taken as often."""
    generator = Folded(torch.tensor([[1.0, 0.5]]), pooled=4000)
    observation = Observation(Mask(torch.tensor([True, False]), (2,), 0.05), torch.tensor([[1.5, 0.0]]))
    sampler = LatentLangevin(generator=generator, restarts=2, steps=0, langevin_steps=0, saturation=None)
    z, _ = sampler._starts(observation, 400, SampleNoise(0, [0]))
    assert (z.abs() - 1.5).abs().max() < 0.5
    assert 0.4 < float((z > 0).float().mean()) < 0.6


def test_a_pool_knows_how_far_each_draw_is_from_what_is_measured():
    x, y = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]], [[[4.0, 4.0], [4.0, 4.0]]]]), torch.tensor([0, 1])
    pool = LatentPool(torch.zeros(2, 1), x, y)
    known = torch.tensor([[[[True, True], [False, False]]], [[[False, False], [False, True]]]])
    hidden = Observation(Mask(known, (1, 2, 2), 0.1), torch.where(known, torch.ones(2, 1, 2, 2), 0.0))
    torch.testing.assert_close(pool.errors(hidden, None), torch.tensor([[0.5, 9.0], [4.0, 9.0]]))
    inf = torch.inf
    torch.testing.assert_close(pool.errors(hidden, torch.tensor([1, 0])), torch.tensor([[inf, 9.0], [4.0, inf]]))
    torch.testing.assert_close(pool.errors(hidden, torch.tensor([5, 0]))[0], torch.tensor([0.5, 9.0]))
    shrunk = Observation(AveragePool((1, 2, 2), 2, 0.1), torch.tensor([[[[1.0]]]]))
    torch.testing.assert_close(pool.errors(shrunk, None), torch.tensor([[0.25, 9.0]]))


def test_metropolis_keeps_a_normal_normal():
    z = metropolis_langevin(
        lambda z: 0.5 * z.square().sum(1) / 4, torch.zeros(600, 1), 80, SampleNoise(0, range(600)), 1.0
    )
    assert abs(float(z.std()) - 2) < 0.2


def test_systematic_resampling_takes_each_in_its_share():
    rows = systematic(torch.tensor([[0.5, 0.25, 0.25, 0.0]]), 8, SampleNoise(0, [0]))
    assert rows[0].bincount(minlength=4).tolist() == [4, 2, 2, 0]


def test_no_number_of_values_counts_more_than_the_saturation():
    m = torch.tensor([1e-3, 4.0, 1e6])
    torch.testing.assert_close(m * powers(m, 4.0), torch.tensor([1e-3, 2.0, 4.0]), rtol=1e-3, atol=0)
    assert powers(m, None).tolist() == [1, 1, 1]
    assert coarsened_noise(0.1, 12, 4) == pytest.approx(0.2)  # the likelihood to the power of 1/4
