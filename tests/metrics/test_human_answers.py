"""Mathematics of people's answers: textbook values, closed forms, and intervals over simulated raters."""

import math

import pytest
import torch
from scipy import optimize, stats

from genkit.errors import DataError
from genkit.metrics.bradley_terry import LEFT, RIGHT, TIE, components, fit, order_effect
from genkit.metrics.cluster_bootstrap import cluster_weights, expanded_interval
from genkit.metrics.krippendorff import nominal_alpha
from genkit.metrics.signal_detection import error_rate, fooling_rate, sensitivity
from genkit.noise import generator_of

# Krippendorff (2011), table C: four observers, twelve units, five values, missing answers
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def tallied(observers):
    units = [[row[i] for row in observers] for i in range(len(observers[0]))]
    return torch.tensor([[unit.count(value) for value in "12345"] for unit in units])


def test_the_alpha_of_the_textbook():
    assert nominal_alpha(tallied(OBSERVERS)) == pytest.approx(0.743, abs=5e-4)


def test_alpha_at_its_ends():
    same = torch.eye(2)[torch.randint(2, (40,), generator=generator_of(0))] * 3
    assert nominal_alpha(same) == 1.0
    votes = torch.randint(2, (4000, 5), generator=generator_of(1))
    random = torch.stack([(votes == value).sum(1) for value in (0, 1)], 1)
    assert nominal_alpha(random) == pytest.approx(0.0, abs=0.02)
    assert nominal_alpha(torch.tensor([[1, 1], [1, 1]])) < 0
    assert math.isnan(nominal_alpha(torch.tensor([[3, 0]])))
    with pytest.raises(DataError, match="two raters"):
        nominal_alpha(torch.tensor([[1, 0], [0, 1]]))


def test_detection_in_closed_form():
    h, real, f, fakes = (torch.tensor(float(x)) for x in (40, 50, 20, 50))
    assert fooling_rate(f, fakes) == pytest.approx(0.4)
    assert error_rate(h, real, f, fakes) == pytest.approx((20 + 10) / 100)
    expected = stats.norm.ppf(40.5 / 51) - stats.norm.ppf(20.5 / 51)
    assert sensitivity(h, real, f, fakes) == pytest.approx(expected, abs=1e-6)
    assert math.isfinite(sensitivity(real, real, 0 * f, fakes))
    assert math.isnan(sensitivity(0 * h, 0 * real, f, fakes))


def test_a_bias_moves_the_fooling_rate_and_not_the_sensitivity():
    """Two normals 1.5 apart, three criteria."""
    real = fakes = torch.tensor(1e6)
    for criterion in (-0.5, 0.3, 1.0):
        h, f = (1e6 * torch.tensor(stats.norm.sf(criterion - mean)) for mean in (1.5, 0.0))
        assert sensitivity(h, real, f, fakes) == pytest.approx(1.5, abs=1e-3)


def counts_of(k, outcomes):
    counts = torch.zeros(k, k, 3, dtype=torch.float64)
    for (i, j, outcome), n in outcomes.items():
        counts[i, j, outcome] += n
    return counts


def test_two_models_in_closed_form():
    """θ_0 − θ_1 is the logit of the wins with half a win added to both."""
    counts = counts_of(2, {(0, 1, LEFT): 10, (0, 1, RIGHT): 4, (1, 0, RIGHT): 20, (1, 0, LEFT): 6})
    theta = fit(counts[None]).theta[0]
    assert theta[0] - theta[1] == pytest.approx(math.log(30.5 / 10.5), abs=1e-8)
    assert theta.sum() == pytest.approx(0, abs=1e-9)


def test_against_a_general_optimiser():
    counts = torch.randint(0, 12, (4, 4, 3), generator=generator_of(3)).double()
    counts[range(4), range(4)] = 0
    found = fit(counts[None], order=True)

    def loss(phi):
        theta, gamma, nu = torch.tensor(phi[:4]), phi[4], phi[5]
        total = 0.0
        for i in range(4):
            for j in range(4):
                if i != j:
                    logits = torch.stack([theta[i] + gamma, theta[j], nu + (theta[i] + theta[j] + gamma) / 2])
                    added = torch.tensor([0.25, 0.25, 0.5 / 12])
                    total -= float(((counts[i, j] + added) * logits.log_softmax(0)).sum())
        return total + theta.sum().item() ** 2

    best = optimize.minimize(loss, [0.0] * 6, method="BFGS", options={"gtol": 1e-7}).x
    assert torch.allclose(found.theta[0], torch.tensor(best[:4]), atol=1e-4)
    assert found.gamma[0] == pytest.approx(best[4], abs=1e-4)


def test_a_model_that_never_loses_has_a_finite_strength():
    counts = counts_of(3, {(0, 1, LEFT): 50, (0, 2, LEFT): 50, (1, 2, LEFT): 25, (2, 1, LEFT): 25})
    theta = fit(counts[None]).theta[0]
    assert theta.isfinite().all()
    assert theta[0] > 2
    assert float(theta[1]) == pytest.approx(float(theta[2]), abs=1e-8)


@pytest.mark.parametrize("order", [False, True])
def test_swapping_sides_changes_nothing_but_the_order_effect(order):
    counts = torch.randint(0, 9, (5, 5, 3), generator=generator_of(4)).double()
    swapped = counts.transpose(0, 1)[..., [RIGHT, LEFT, TIE]]
    one, other = fit(counts[None], order=order), fit(swapped[None], order=order)
    assert torch.allclose(one.theta, other.theta, atol=1e-8)
    assert torch.allclose(one.gamma, -other.gamma, atol=1e-8)


def test_naming_the_models_otherwise_changes_nothing():
    counts = torch.randint(0, 9, (4, 4, 3), generator=generator_of(5)).double()
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(fit(counts[None]).theta[0][order], fit(counts[order][:, order][None]).theta[0], atol=1e-8)


def test_components():
    counts = counts_of(5, {(0, 3, LEFT): 1, (4, 1, TIE): 1})
    assert components(counts) == [[0, 3], [1, 4], [2]]


def simulated(theta, raters, trials, generator, gamma=0.0):
    """(R, K, K, 3): answers of raters who all hold the models for as strong as they are."""
    k = len(theta)
    pairs = torch.tensor([(i, j) for i in range(k) for j in range(k) if i != j])
    shown = pairs[torch.randint(len(pairs), (raters, trials), generator=generator)]
    chance = torch.sigmoid(theta[shown[..., 0]] - theta[shown[..., 1]] + gamma)
    left = torch.rand(raters, trials, generator=generator, dtype=torch.float64) < chance
    counts = torch.zeros(raters, k, k, 3, dtype=torch.float64)
    rows = torch.arange(raters)[:, None].expand(raters, trials)
    place = (rows, shown[..., 0], shown[..., 1], torch.where(left, LEFT, RIGHT))
    return counts.index_put_(place, torch.ones(raters, trials, dtype=torch.float64), accumulate=True)


def test_the_order_effect_is_found_where_there_is_one():
    theta = torch.tensor([0.5, 0.0, -0.5], dtype=torch.float64)
    p = [order_effect(simulated(theta, 1, 300, generator_of(i, "order")).sum(0))[1] for i in range(60)]
    assert sum(value < 0.05 for value in p) <= 8  # 3 expected
    gamma, found = order_effect(simulated(theta, 1, 2000, generator_of(0), gamma=0.8).sum(0))
    assert gamma == pytest.approx(0.8, abs=0.15)
    assert found < 1e-6


def test_strengths_are_inside_of_their_intervals_as_often_as_said():
    """200 simulations of 12 raters and 60 comparisons each, three models of known strength: 95 ± 3 %."""
    theta = torch.tensor([0.6, 0.1, -0.7], dtype=torch.float64)
    inside = []
    for i in range(200):
        counts = simulated(theta, 12, 60, generator_of(i, "coverage"))
        total = counts.sum(0)
        compared = (total.sum(-1) + total.sum(-1).T) > 0
        weighted = torch.einsum("br,rijo->bijo", cluster_weights(12, 300, i), counts)
        replicates = fit(weighted, compared).theta
        for k in range(3):
            low, high = expanded_interval(replicates[:, k], 12)
            inside.append(low <= theta[k] <= high)
    assert sum(inside) / len(inside) == pytest.approx(0.95, abs=0.03)


def test_raters_who_differ_widen_the_interval():
    """Half of the raters call nothing real, half everything: what an interval over answers would not see."""
    called = torch.tensor([0.0, 50.0] * 5, dtype=torch.float64)
    weights = cluster_weights(10, 2000, 0)
    low, high = expanded_interval(weights @ called / (50 * weights.sum(1)), 10)
    over_answers = 1.96 * math.sqrt(0.25 / 500)
    assert (high - low) / 2 > 4 * over_answers
    assert expanded_interval(torch.rand(100), 1) is None


def test_random_raters_err_in_half_of_their_answers():
    generator = generator_of(2)
    called = (torch.rand(40, 2, 50, generator=generator) < 0.5).double().sum(-1)
    weights = cluster_weights(40, 500, 0)
    n = 50 * weights.sum(1)
    replicates = error_rate(weights @ called[:, 0], n, weights @ called[:, 1], n)
    low, high = expanded_interval(replicates, 40)
    assert low < 0.5 < high
    assert high - low < 0.08
