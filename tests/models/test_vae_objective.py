"""Objectives as functions of given draws: their formulas by hand, where they coincide, and how they change in time."""

import math

import pytest
import torch
from torch import Tensor

from genkit.errors import ConfigError
from genkit.models.density import importance_bound
from genkit.models.vae.aggregate_posterior import (
    RBF,
    InfoVAE,
    InverseMultiquadric,
    TotalCorrelation,
    mmd,
    total_correlation,
)
from genkit.models.vae.objective import (
    ELBO,
    Capacity,
    Draw,
    Draws,
    ImportanceWeighted,
    VariationalObjective,
)
from genkit.models.vae.prior import NormalMixture
from genkit.noise import generator_of

B, D = 40, 3


def drawn(k: int = 1, components: int = 1, batch: int = B) -> Draws:
    g = generator_of(0, "draws", k, components)
    mean, log_var = torch.randn(2, batch, D, generator=g, dtype=torch.float64).unbind()
    z = mean + torch.exp(log_var / 2) * torch.randn(k, batch, D, generator=g, dtype=torch.float64)
    means, log_vars = torch.randn(2, components, D, generator=g, dtype=torch.float64).unbind()
    prior = NormalMixture(means, log_vars) if components > 1 else NormalMixture(0 * means, 0 * means)
    return Draws(mean, log_var, z, -3 + torch.randn(k, batch, generator=g, dtype=torch.float64), prior)


OBJECTIVES: list[VariationalObjective] = [
    ELBO(),
    ELBO(beta=4.0, free_bits=0.5),
    Capacity(),
    ImportanceWeighted(5),
    ImportanceWeighted(5, kept=1),
    TotalCorrelation(),
    InfoVAE(),
    InfoVAE(alpha=0.0, weight=10.0, kernel=RBF(0.5)),
]


@pytest.mark.parametrize("components", [1, 4])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_every_objective_says_the_same_reconstruction_and_kl(objective, components):
    d = drawn(objective.draws(1.0), components)
    terms = objective.losses(d, 0.5)
    torch.testing.assert_close(terms["reconstruction"], -d.log_likelihood.mean())
    torch.testing.assert_close(terms["kl"], d.kl.sum(1).mean())
    assert all(term.shape == () for term in terms.values())


@pytest.mark.parametrize(
    "objective",
    [
        ELBO(),
        ImportanceWeighted(1),
        TotalCorrelation(beta=1.0),
        InfoVAE(alpha=0.0, weight=1.0),
        Capacity(gamma=1.0, capacity=0.0),
    ],
    ids=lambda o: type(o).__name__,
)
def test_at_their_neutral_values_all_are_the_elbo(objective):
    """With four components the KL is that of the draws, so that log-weights and terms agree draw by draw."""
    d = drawn(1, components=4)
    torch.testing.assert_close(objective.losses(d, 1.0)["loss"], -d.log_weights.mean())


def ratio(d: Draws) -> Tensor:
    log_q = torch.distributions.Normal(d.mean, (d.log_var / 2).exp()).log_prob(d.z).sum(2)
    return torch.distributions.Normal(0.0, 1.0).log_prob(d.z).sum(2) - log_q


def test_log_weights_and_the_importance_bound_by_hand():
    d = drawn(5)
    log_w = d.log_likelihood + ratio(d)
    torch.testing.assert_close(d.log_weights, log_w)
    torch.testing.assert_close(importance_bound(log_w), log_w.exp().mean(0).log())
    torch.testing.assert_close(ImportanceWeighted(5).losses(d, 0.0)["loss"], -log_w.exp().mean(0).log().mean())


def log_weights(mean: float, var: float, k: int, rows: int) -> Tensor:
    """(k, rows) of z ~ N(0, 1), x | z ~ N(z, 1/2) at x = 1.3, whose proposals are N(mean, var)."""
    pairs = torch.tensor([[0.0, 1.0], [mean, var]], dtype=torch.float64)
    prior, proposal = (torch.distributions.Normal(m, v.sqrt()) for m, v in pairs)
    z = mean + var**0.5 * torch.randn(k, rows, generator=generator_of(0, "k", k), dtype=torch.float64)
    log_likelihood = torch.distributions.Normal(1.3 * torch.ones_like(z), torch.full_like(z, 0.5).sqrt()).log_prob(z)
    return log_likelihood + prior.log_prob(z) - proposal.log_prob(z)


def test_the_importance_bound_of_a_linear_model_is_exact_or_rises_to_the_evidence():
    """x ~ N(0, 3/2), so log p(1.3) = −1.68500442; the posterior is N(2.6/3, 1/3)."""
    evidence = -0.5 * math.log(2 * math.pi * 1.5) - 1.3**2 / 3
    assert evidence == pytest.approx(-1.68500442, abs=1e-8)
    for k in (1, 10, 100):
        exact = importance_bound(log_weights(2.6 / 3, 1 / 3, k, 50))
        torch.testing.assert_close(exact, torch.full((50,), evidence, dtype=torch.float64), rtol=0, atol=1e-12)
    one, ten, hundred = (importance_bound(log_weights(0.5, 0.5, k, 4000)).mean().item() for k in (1, 10, 100))
    assert one + 0.05 < ten < hundred < evidence + 0.005
    assert hundred == pytest.approx(evidence, abs=0.01)


def test_the_importance_bound_keeps_weights_that_would_underflow():
    log_w = torch.tensor([[-5000.0], [-5001.0]])
    assert importance_bound(log_w).item() == pytest.approx(-5000 + math.log((1 + math.exp(-1)) / 2))


class LinearGaussian:
    """x = 1.3 under z ~ N(0, 1), x | z ~ N(θ z, 1) and q = N(μ, σ²), in which gradients can be written down."""

    def __init__(self, batch: int) -> None:
        self.theta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        self.mean = torch.full((batch, 1), 0.4, dtype=torch.float64, requires_grad=True)
        self.log_var = torch.full((batch, 1), -1.0, dtype=torch.float64, requires_grad=True)
        self.prior = NormalMixture(torch.zeros(1, 1).double(), torch.zeros(1, 1).double())
        self.eps = torch.randn(4, batch, 1, generator=generator_of(0, "linear"), dtype=torch.float64)

    @property
    def draw(self) -> Draw:
        def draw(eps: Tensor) -> Draws:
            z = self.mean + torch.exp(self.log_var / 2) * eps
            of_x = torch.distributions.Normal(self.theta * z[..., 0], 1.0).log_prob(torch.tensor(1.3).double())
            return Draws(self.mean, self.log_var, z, of_x, self.prior)

        return draw

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Of θ, and of μ and log σ² as means over the examples, from a loss that is a mean over them."""
        return [g.sum() for g in torch.autograd.grad(loss, [self.theta, self.mean, self.log_var])]


def test_a_resampled_loss_is_the_bound_and_its_gradient_that_of_all_draws_on_average():
    """θ: autograd through all draws. μ, log σ²: Σ w̃² ∂log w/∂z ∂z/∂φ, by hand."""
    model = LinearGaussian(batch=3)
    every = model.draw(model.eps)
    bound = ImportanceWeighted(4).losses(every, 1.0)["loss"]
    theta = torch.autograd.grad(bound, model.theta)[0]
    torch.manual_seed(0)
    terms = ImportanceWeighted(4, kept=200_000).drawn(model.draw, model.eps, 1.0)
    assert float(terms["loss"].detach()) == pytest.approx(float(bound))
    z = every.z.detach()[..., 0]
    slope = model.theta.detach() * (1.3 - model.theta.detach() * z) - z + model.eps[..., 0] / math.exp(-0.5)
    squared = every.log_weights.detach().softmax(0).square()
    mean = -(squared * slope).sum(0).mean()
    log_var = -(squared * slope * model.eps[..., 0] * math.exp(-0.5) / 2).sum(0).mean()
    for found, expected in zip(model.gradients(terms["loss"]), (theta, mean, log_var), strict=True):
        assert float(found) == pytest.approx(float(expected), abs=0.006)  # 5 standard errors of the resampling


def test_both_gradients_of_the_importance_bound_agree_over_many_examples():
    model = LinearGaussian(batch=100_000)
    torch.manual_seed(0)
    plain, resampled = (
        model.gradients(objective.drawn(model.draw, model.eps, 1.0)["loss"])
        for objective in (ImportanceWeighted(4), ImportanceWeighted(4, kept=1))
    )
    for expected, found in zip(plain, resampled, strict=True):
        assert float(found) == pytest.approx(float(expected), abs=0.015)  # 4 standard errors of the draws


def test_without_gradients_all_draws_are_weighed_and_none_drawn_anew():
    model = LinearGaussian(batch=3)
    with torch.no_grad():
        expected, found = (
            objective.drawn(model.draw, model.eps, 1.0)
            for objective in (ImportanceWeighted(4), ImportanceWeighted(4, kept=1))
        )
    assert expected == found


@pytest.mark.parametrize(
    ("start", "end", "draws"),
    [(0.0, 0.0, [81] * 5), (0.0, 1.0, [1, 3, 9, 27, 81]), (0.5, 1.0, [1, 1, 1, 9, 81]), (0.5, 0.5, [1, 1, 81, 81, 81])],
)
def test_weighted_draws_grow_geometrically_where_they_are_told_to(start, end, draws):
    objective = ImportanceWeighted(81, start=start, end=end)
    assert [objective.draws(progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)] == draws
    assert objective.needs_horizon == (end > 0)


def test_a_growth_that_ends_before_it_starts_is_refused():
    with pytest.raises(ConfigError, match=r"end=0\.2 is below model\.objective\.start=0\.5"):
        ImportanceWeighted(5, start=0.5, end=0.2)


@pytest.mark.parametrize("progress", [0.0, 0.05, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("kl_warmup", [0.0, 0.1, 1.0])
def test_the_kl_rises_to_beta(progress, kl_warmup):
    share = 1.0 if kl_warmup == 0 else min(1.0, progress / kl_warmup)
    terms = ELBO(beta=4.0, kl_warmup=kl_warmup).losses(drawn(), progress)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + share * 4 * terms["kl"])
    tc = TotalCorrelation(beta=4.0, kl_warmup=kl_warmup).losses(drawn(), progress)
    expected = tc["reconstruction"] + share * (tc["kl"] + 3 * tc["total_correlation"])
    torch.testing.assert_close(tc["loss"], expected)


def test_free_bits_charge_a_dimension_for_its_own_mean_over_the_batch():
    d = drawn()
    per_dimension = d.kl.mean(0)
    free = float(per_dimension.median())
    charged = torch.maximum(per_dimension, torch.tensor(free).double()).sum()
    terms = ELBO(free_bits=free, kl_warmup=0.0).losses(d, 1.0)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + charged)
    assert charged > per_dimension.sum()


def test_free_bits_of_a_prior_that_does_not_split_are_those_of_all_dimensions():
    d = drawn(components=4)
    terms = ELBO(free_bits=100.0).losses(d, 1.0)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 100.0 * D)


def test_a_free_dimension_has_no_gradient():
    mean = torch.zeros(B, D, requires_grad=True)
    with torch.no_grad():
        mean[:, 0] = 3.0
    prior = NormalMixture(torch.zeros(1, D), torch.zeros(1, D))
    d = Draws(mean, torch.zeros(B, D) - 0.1, mean[None], torch.zeros(1, B), prior)
    ELBO(free_bits=0.5, kl_warmup=0.0).losses(d, 1.0)["loss"].backward()
    assert mean.grad is not None
    assert (mean.grad[:, 0] > 0).all()
    assert (mean.grad[:, 1:] == 0).all()


@pytest.mark.parametrize(("progress", "reached"), [(0.0, 0.0), (0.1, 0.2), (0.5, 1.0), (0.9, 1.0)])
def test_the_capacity_grows(progress, reached):
    terms = Capacity(gamma=10.0, capacity=25.0, share=0.5).losses(drawn(), progress)
    gap = (terms["kl"] - 25 * reached).abs()
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 10 * gap)


def test_total_correlation_of_a_gaussian_is_its_closed_form():
    """Means N(0, C), variance s²: q(z) = N(0, C + s²), whose total correlation is −½ log det of its correlations."""
    n, r, s2 = 1500, 0.8, 0.5
    g = generator_of(0, "tc")
    mean = torch.randn(n, 2, generator=g, dtype=torch.float64)
    mean = torch.stack((mean[:, 0], r * mean[:, 0] + math.sqrt(1 - r * r) * mean[:, 1]), 1)
    z = mean + math.sqrt(s2) * torch.randn(n, 2, generator=g, dtype=torch.float64)
    rho = r / (1 + s2)
    tc = total_correlation(z, mean, torch.full_like(mean, math.log(s2)))
    assert tc.item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)
    shuffled = torch.stack((z[:, 0], z[:, 1].roll(1)), 1), torch.stack((mean[:, 0], mean[:, 1].roll(1)), 1)
    assert abs(total_correlation(*shuffled, torch.full_like(mean, math.log(s2))).item()) < 0.06


@pytest.mark.parametrize("kernel", [RBF(), RBF(0.3), InverseMultiquadric(), InverseMultiquadric(2.0)])
def test_mmd_is_the_double_sums_and_tells_distributions_apart(kernel):
    g = generator_of(0, "mmd")
    a, b, far = torch.randn(3, 200, 2, generator=g, dtype=torch.float64)
    far = far + 1.0
    pairs = torch.stack([kernel.of((u - v).square().sum(), 2) for u in a[:4] for v in b[:3]])
    within = [torch.stack([kernel.of((u - v).square().sum(), 2) for u in x for v in x]).mean() for x in (a[:4], b[:3])]
    torch.testing.assert_close(mmd(a[:4], b[:3], kernel), within[0] + within[1] - 2 * pairs.mean())
    assert mmd(a, a, kernel).item() == pytest.approx(0, abs=1e-12)
    assert 0 < mmd(a, b, kernel) < 0.2 * mmd(a, far, kernel)
    assert float(kernel.of(torch.zeros(()), 2)) == 1


def test_info_vae_by_hand():
    d = drawn(batch=300)
    torch.manual_seed(0)
    terms = InfoVAE(alpha=0.3, weight=7.0).losses(d, 1.0)
    expected = terms["reconstruction"] + 0.7 * terms["kl"] + 6.3 * terms["mmd"]
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["mmd"] > 0
