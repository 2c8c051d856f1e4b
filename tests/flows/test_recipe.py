"""Laws of every recipe: a bijection with the density that autograd finds, whose total is one; refusals in one line."""

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.flows.coupling import Additive, Affine
from genkit.flows.image_flow import Glow, RealNVP
from genkit.flows.linear import ActNorm
from genkit.flows.mixture import LogisticMixture
from genkit.flows.multiscale import halvings
from genkit.flows.recipe import Bijection, ByModality, Recipe
from genkit.flows.spline import RationalQuadratic
from genkit.flows.spline_flow import SplinePyramid
from genkit.flows.transform import is_exact
from genkit.flows.vector_flow import Autoregression, Continuous, Couplings
from genkit.models.flow import Flow
from genkit.noise import generator_of

SPLINE = RationalQuadratic(bins=5, bound=3.0)
SMALL: dict[str, Any] = {"hidden_features": 8, "depth": 1}
TINY: dict[str, Any] = {"levels": 2, "steps": 1, "hidden_channels": 4}
VECTORS: dict[str, Recipe] = {
    "nice": Couplings(Additive(), layers=3, rotate=False, scaling=True, **SMALL),
    "realnvp": Couplings(Affine(1.0), layers=3, rotate=False, octaves=1, **SMALL),
    "glow": Couplings(Affine(1.0), layers=2, **SMALL),
    "nsf": Couplings(SPLINE, layers=2, **SMALL),
    "maf": Autoregression(Affine(1.0), layers=3, **SMALL),
    "maf-mixture": Autoregression(Affine(1.0), layers=2, last=LogisticMixture(3), **SMALL),
    "nsf_autoregressive": Autoregression(SPLINE, layers=2, normalise=False, octaves=2, **SMALL),
    "cnf": Continuous(steps=10, **SMALL),
}
IMAGES: dict[str, Recipe] = {
    "nice": Couplings(Additive(), layers=2, rotate=False, scaling=True, **SMALL),
    "realnvp": RealNVP(Affine(1.0), **TINY),
    "realnvp-marginals": RealNVP(Affine(1.0), bins=4, **TINY),
    "glow": Glow(Affine(1.0), **TINY),
    "glow-splines": Glow(SPLINE, bins=4, **TINY),
    "pyramid": SplinePyramid(levels=2, bins=4, hidden_channels=4, top_features=8, depth=1),
}
PLANE = DataSpec(shape=(2,), modality="vector", num_classes=3)
LINE = DataSpec(shape=(1,), modality="vector")
PATCH = DataSpec(shape=(1, 4, 4), modality="image", value_range=(0.0, 3.0), levels=4, num_classes=3)
CASES = [(recipe, spec) for spec in (PLANE, LINE) for recipe in VECTORS] + [(recipe, PATCH) for recipe in IMAGES]


def bent(recipe: Recipe, spec: DataSpec, num_classes: int | None = None, amount: float = 0.1) -> Bijection:
    """The flow away from its start, where it is nearly the identity."""
    torch.manual_seed(0)
    made = recipe.make(spec, num_classes)
    with torch.no_grad():
        for parameter in made.transform.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator_of(1, "parameters"))
    made.transform.eval()
    return made


def of(name: str, spec: DataSpec) -> Recipe:
    return (VECTORS if spec.modality == "vector" else IMAGES)[name]


def data(spec: DataSpec, n: int) -> Tensor:
    generator = generator_of(2, "data")
    if spec.value_range is None:
        return 1.5 * torch.randn(n, *spec.shape, generator=generator)
    lo, hi = spec.value_range
    return lo + (hi - lo) * (0.02 + 0.96 * torch.rand(n, *spec.shape, generator=generator))


def labels(n: int, num_classes: int | None) -> Tensor | None:
    return None if num_classes is None else torch.arange(n) % num_classes


@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize(("name", "spec"), CASES)
def test_the_inverse_undoes_the_flow_in_single_precision(name: str, spec: DataSpec, num_classes: int | None) -> None:
    transform, _ = bent(of(name, spec), spec, num_classes)
    x, y = data(spec, 64), labels(64, num_classes)
    with torch.no_grad():
        z = transform(x, y)[0]
        assert z.shape == (64, spec.dim)
        assert (transform.inverse(z, y) - x).abs().max() < 1e-5 * max(1.0, float(x.abs().max()))


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_the_log_determinant_is_the_one_of_autograd(name: str, spec: DataSpec) -> None:
    transform, x = bent(of(name, spec), spec).transform.double(), data(spec, 2).double()
    found = transform(x)[1]
    for i in range(2):
        jacobian = torch.autograd.functional.jacobian(lambda v: transform(v)[0], x[i : i + 1])
        expected = torch.linalg.slogdet(jacobian.reshape(spec.dim, spec.dim))[1]
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize("name", VECTORS)
def test_the_density_of_the_plane_integrates_to_one(name: str, num_classes: int | None) -> None:
    transform, prior = bent(VECTORS[name], PLANE, num_classes)
    axis = torch.linspace(-7, 7, 81, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        z, log_abs_det = transform.double()(x, labels(1, num_classes).expand(len(x)) if num_classes else None)
        total = (prior.log_prob(z) + log_abs_det).exp().sum() * (axis[1] - axis[0]) ** 2
    assert total == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", IMAGES)
def test_the_density_of_images_averages_to_one_over_their_range(name: str) -> None:
    """By importance sampling: x = σ(logistic noise) over the box, whose tails are those of a logit-normal flow."""
    transform, prior = bent(IMAGES[name], PATCH, amount=0.02)
    n = 4000
    v = 1.2 * torch.randn(n, PATCH.dim, generator=generator_of(3, "v"), dtype=torch.float64)
    x = 3 * torch.sigmoid(v).reshape(n, *PATCH.shape)
    slope = log(3) + torch.nn.functional.logsigmoid(v) + torch.nn.functional.logsigmoid(-v)
    proposal = (-0.5 * (v / 1.2) ** 2 - log(1.2) - 0.5 * log(2 * torch.pi) - slope).sum(1)
    with torch.no_grad():
        z, log_abs_det = transform.double()(x)
        weight = (prior.log_prob(z) + log_abs_det - proposal).exp()
    assert weight.mean().item() == pytest.approx(1, abs=5 * weight.std().item() / n**0.5)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_every_actnorm_standardises_the_first_batch(name: str, spec: DataSpec) -> None:
    torch.manual_seed(0)
    model = Flow(spec=spec, transform=of(name, spec))
    seen: list[Tensor] = []
    norms = [module for module in model.modules() if isinstance(module, ActNorm)]
    for norm in norms:
        norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0].detach()))
    model.initialise({"x": 3 + 0.1 * data(spec, 256) if spec.value_range is None else spec.centre(data(spec, 256))})
    assert len(seen) == len(norms)
    for z in seen:
        values = z.transpose(0, 1).flatten(1)
        torch.testing.assert_close(values.mean(1), torch.zeros(len(values)), rtol=0, atol=1e-4)
        torch.testing.assert_close(values.var(1, correction=0), torch.ones(len(values)), rtol=0, atol=1e-3)


@pytest.mark.parametrize("recipe", [*VECTORS.values(), *IMAGES.values()])
def test_the_log_determinant_is_computed_in_few_dimensions(recipe: Recipe) -> None:
    spec = PLANE if "vector" in recipe.modalities else PATCH
    assert is_exact(recipe.make(spec, None).transform)


def test_a_recipe_refuses_what_it_cannot_serve() -> None:
    with pytest.raises(ConfigError, match="Autoregression serves vector data, not image"):
        VECTORS["maf"].make(PATCH, None)
    with pytest.raises(ConfigError, match="Glow serves image data, not vector"):
        IMAGES["glow"].make(PLANE, None)
    with pytest.raises(ConfigError, match="not sequence"):
        VECTORS["nsf"].make(DataSpec(shape=(7,), modality="sequence", levels=5), None)
    with pytest.raises(ConfigError, match="value_range"):
        IMAGES["glow"].make(DataSpec(shape=(1, 8, 8), modality="image"), None)


def test_by_modality_takes_the_recipe_of_the_data() -> None:
    both = ByModality(VECTORS["nice"], IMAGES["glow"])
    assert "glow" not in str(both.make(PLANE, None).transform).lower()
    assert len(list(both.make(PATCH, None).transform.parameters())) == len(
        list(IMAGES["glow"].make(PATCH, None).transform.parameters())
    )


SIDES = [(8, 3, 1), (28, None, 2), (28, 1, 1), (32, 3, 3), (6, 2, 1), (16, 9, 2), (50, None, 3), (128, None, 5)]


@pytest.mark.parametrize(("side", "levels", "halved"), SIDES)
def test_images_are_halved_while_four_pixels_are_left(side: int, levels: int | None, halved: int) -> None:
    assert halvings((3, side, side), levels) == halved
