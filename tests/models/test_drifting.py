"""Drifting models: the laws of the field, and that a generator which follows it comes to the data."""

from math import cosh, exp, sqrt

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine

from genkit.errors import ConfigError
from genkit.models.drifting.drift_field import Drift, DriftField
from genkit.models.drifting.drifting import Drifting
from genkit.noise import generator_of

PLAIN = DriftField((0.3,), normalised=False)
FIELDS = {"one": PLAIN, "several": DriftField((0.05, 0.2)), "normalised": DriftField((0.05, 0.2), normalised=True)}


def points(n: int, *shape: int, key: str = "") -> torch.Tensor:
    return torch.randn(n, *(shape or (2,)), generator=generator_of(0, "points", key, n))


def drift(field: DriftField, x: torch.Tensor, data: torch.Tensor, samples: torch.Tensor) -> Drift:
    """Where every point sees all."""
    of_data, of_samples = (torch.ones(len(x), len(seen), dtype=torch.bool) for seen in (data, samples))
    return field(x, data, samples, of_data, of_samples)


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_it_is_anti_symmetric(field):
    """V_{p,q} = −V_{q,p}, for sets of different sizes too."""
    x, data, samples = points(5), points(7, key="p"), 1 + points(9, key="q")
    there, back = drift(field, x, data, samples), drift(field, x, samples, data)
    assert there.displacement.abs().max() > 1e-3
    torch.testing.assert_close(there.displacement, -back.displacement, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there.size, back.size)


@pytest.mark.parametrize("name", ["one", "several"])
def test_it_vanishes_everywhere_where_both_sets_are_the_same(name):
    x, data = 3 * points(20), points(8, key="p")
    found = drift(FIELDS[name], x, data, data.flip(0))
    assert found.displacement.abs().max() < 1e-5
    assert found.size < 1e-5


def test_it_is_known_for_one_example_and_one_sample():
    """Of one point the weights are √(k / Σ k), and √(k⁺ k⁻) / (k⁺ + k⁻) = 1 / 2 cosh((d⁺ − d⁻) / 2τm)."""
    x, plus, minus = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, -1.0]])
    unit = 0.3 * (5 + 1) / 2
    expected = (plus - minus) / (2 * cosh((5 - 1) / (2 * unit)))
    found = drift(PLAIN, x, plus, minus)
    torch.testing.assert_close(found.displacement, expected)
    assert found.size.item() == pytest.approx(expected.norm().item() / 3)


def test_the_weights_are_those_of_the_definition():
    """Term by term, in a loop over all pairs."""
    x, data, samples = points(3), points(4, key="p"), points(2, key="q")
    every = torch.cat([data, samples])
    unit = 0.3 * torch.cdist(x, every).mean().item()
    k = [[exp(-(a - b).norm().item() / unit) for b in every] for a in x]
    columns = [sum(row[j] for row in k) for j in range(6)]
    a = [[value / sqrt(sum(row) * columns[j]) for j, value in enumerate(row)] for row in k]
    expected = torch.zeros(3, 2)
    for n in range(3):
        for i in range(4):
            for j in range(2):
                expected[n] += a[n][i] * a[n][4 + j] * (data[i] - samples[j])
    torch.testing.assert_close(drift(PLAIN, x, data, samples).displacement, expected)


def test_units_do_not_matter():
    """Scaled data has a scaled field, and the same size of it."""
    x, data, samples = points(5), points(7, key="p"), points(6, key="q")
    for field in FIELDS.values():
        one, scaled = drift(field, x, data, samples), drift(field, 100 * x, 100 * data, 100 * samples)
        torch.testing.assert_close(scaled.displacement, 100 * one.displacement, rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(scaled.size, one.size, rtol=1e-3, atol=1e-5)


def test_normalised_fields_move_samples_as_far_for_each_temperature():
    """By the mean distance, as a root mean square, whether samples are near or far."""
    x, data, samples = points(50), points(40, key="p"), 5 + points(30, key="q")
    mean = torch.cdist(x, torch.cat([data, samples])).mean()
    for tau in (0.05, 0.2):
        found = drift(DriftField((tau,), normalised=True), x, data, samples).displacement
        torch.testing.assert_close(found.square().sum(1).mean().sqrt(), mean)


def test_each_label_is_a_field_of_its_own():
    """A label whose points are mirrored has the mirrored field; the others, as far apart as before, have theirs."""
    x, data, labels = points(6), points(8, key="p"), torch.tensor([0, 0, 0, 1, 1, 2])
    theirs = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    seen = labels[:, None] == theirs, (labels[:, None] == labels) & ~torch.eye(6, dtype=torch.bool)
    signs, others = (torch.where(y == 1, -1.0, 1.0)[:, None] for y in (labels, theirs))
    one, other = PLAIN(x, data, x, *seen), PLAIN(signs * x, others * data, signs * x, *seen)
    torch.testing.assert_close(other.displacement, signs * one.displacement)
    assert one.displacement[:5].norm(dim=1).min() > 0
    assert (one.displacement[5] == 0).all()  # nothing repels it


def test_a_lone_sample_stays_where_it_is():
    model = drifting(DIGITS)
    terms = model.losses({"x": torch.zeros(1, 1, 8, 8), "y": torch.tensor([3])}, "model")
    assert terms["loss"].item() == terms["drift"].item() == 0


def drifting(spec=PLANE, **options) -> Drifting:
    torch.manual_seed(0)
    return Drifting(spec=spec, **({"latent_dim": 3, "backbone": Affine} | options))


def test_the_gradient_is_the_field():
    """The target is held: ∂loss/∂f(z) = −2 V / B, and the loss is E ‖V‖²."""
    model, x = drifting(field=PLAIN), points(16, key="data")
    seen: list[torch.Tensor] = []
    model.generator.register_forward_hook(lambda module, given, out: (out.retain_grad(), seen.append(out))[0])
    loss = model.losses({"x": x}, "model")["loss"]
    loss.backward()
    made = seen[0]
    other = ~torch.eye(16, dtype=torch.bool)
    found = PLAIN(made.detach(), x, made.detach(), torch.ones_like(other), other)
    torch.testing.assert_close(made.grad, -2 * found.displacement / 16)
    torch.testing.assert_close(loss, found.displacement.square().sum(1).mean())


def test_a_field_without_temperatures_is_refused():
    with pytest.raises(ConfigError, match=r"^model\.field\.temperatures=\[\]: name one"):
        DriftField(())


def test_a_linear_generator_comes_to_the_mean_and_spread_of_a_gaussian():
    """z ↦ W z + b follows the field to N(μ, W Wᵀ) = N(μ, Σ)."""
    torch.manual_seed(0)
    model = drifting(latent_dim=2, field=DriftField((0.2, 0.5)))
    mean, root = torch.tensor([3.0, -1.0]), torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(80):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - step / 80)
        optimizer.zero_grad()
        model.losses({"x": mean + torch.randn(64, 2) @ root.T}, "model")["loss"].backward()
        optimizer.step()
    weight, bias = model.generator.linear.weight.detach(), model.generator.linear.bias.detach()
    torch.testing.assert_close(bias, mean, rtol=0, atol=0.3)
    torch.testing.assert_close(weight @ weight.T, root @ root.T, rtol=0.25, atol=0.4)
