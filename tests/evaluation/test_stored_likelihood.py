"""One likelihood of stored values, asked of the model or of the evaluator, for every kind of model that has one."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.diffusion.likelihood import FlowLikelihood, VariationalBound
from genkit.errors import ConfigError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.record import Record
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.flows.dequantisation import VariationalDequantisation
from genkit.flows.spline import RationalQuadratic
from genkit.flows.vector_flow import Continuous, Couplings
from genkit.metrics.base import ProbeMetric
from genkit.metrics.likelihood import IWAE, BitsPerDim, LowerBound, NegativeLogLikelihood
from genkit.models.base import Density, GenerativeModel, LatentBound, MonteCarlo
from genkit.models.diffusion import Diffusion
from genkit.models.flow import Flow
from genkit.models.likelihood import Gaussian
from genkit.models.quantized.quantized_vae import QuantizedVAE
from genkit.models.quantized.quantizer import VectorQuantizer
from genkit.models.vae.objective import ImportanceWeighted
from genkit.models.vae.vae import VAE
from genkit.nn.mlp import MLP
from genkit.noise import dequantisation_noise, generator_of

PLANE = DataSpec((2,), "vector")
LEVELS = DataSpec((1, 3, 4), "image", (-1.0, 1.0), 5, num_classes=3)
TALL = DataSpec((12,), "vector", (-1.0, 1.0), 5)
SMALL = partial(MLP, width=8, depth=1)
COUPLINGS = Couplings(RationalQuadratic(4, 3.0), layers=2, hidden_features=8, depth=1)
EQUATION = Continuous(steps=2, exact_up_to=4, hidden_features=8, depth=1)
VQ = partial(QuantizedVAE, tokens=2, backbone=SMALL)

# name: (model, whether another seed of the evaluation shows in its values)
MODELS: dict[str, tuple[Callable[[], GenerativeModel], bool]] = {
    "flow of points": (lambda: Flow(spec=PLANE, transform=COUPLINGS), False),
    "flow": (lambda: Flow(spec=LEVELS, transform=COUPLINGS), True),
    "flow by label": (lambda: Flow(spec=LEVELS, transform=COUPLINGS, conditional=True), True),
    "flow, learned places": (
        lambda: Flow(spec=LEVELS, transform=COUPLINGS, dequantisation=VariationalDequantisation),
        True,
    ),
    "cnf of points": (lambda: Flow(spec=PLANE, transform=EQUATION), False),
    "cnf": (lambda: Flow(spec=TALL, transform=EQUATION), True),
    "vae of points": (lambda: VAE(spec=PLANE, latent_dim=2, backbone=SMALL), True),
    "vae": (lambda: VAE(spec=LEVELS, latent_dim=2, backbone=SMALL), True),
    "vae by label": (lambda: VAE(spec=LEVELS, latent_dim=2, backbone=SMALL, conditional=True), True),
    "vae, normal pixels": (lambda: VAE(spec=LEVELS, latent_dim=2, backbone=SMALL, likelihood=Gaussian), True),
    "iwae": (lambda: VAE(spec=LEVELS, latent_dim=2, backbone=SMALL, objective=ImportanceWeighted(5)), True),
    "vq": (lambda: VQ(spec=LEVELS, quantizer=VectorQuantizer(num_codes=4, channels=3)), False),
    "vq, normal pixels": (lambda: VQ(spec=LEVELS, likelihood=Gaussian), True),
    "diffusion of points": (
        lambda: Diffusion(spec=PLANE, backbone=SMALL, likelihood=FlowLikelihood(steps=4)),
        False,
    ),
    "diffusion": (
        lambda: Diffusion(spec=LEVELS, backbone=SMALL, likelihood=FlowLikelihood(steps=4, exact_dim=4)),
        True,
    ),
    "diffusion, bound": (lambda: Diffusion(spec=LEVELS, backbone=SMALL, likelihood=VariationalBound(steps=4)), True),
}
every_model = pytest.mark.parametrize(("make", "seeded"), MODELS.values(), ids=MODELS)


def made(make: Callable[[], GenerativeModel]) -> GenerativeModel:
    """The model away from its start, where many of them are the identity."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return model


def held_out(spec: DataSpec, n: int = 40) -> Split:
    """All levels, the first and last among them; labels in turn where there are some."""
    g = generator_of(0, "held out")
    y = None if spec.num_classes is None else torch.arange(n) % spec.num_classes
    if spec.levels is None:
        return InMemory(torch.randn(n, *spec.shape, generator=g), y)
    return InMemory(torch.randint(spec.levels, (n, *spec.shape), dtype=torch.uint8, generator=g), y)


def reference(spec: DataSpec) -> Reference:
    return Reference(spec, held_out(spec), "held out")


def labels(model: GenerativeModel, split: Split) -> Tensor | None:
    return split.y if getattr(model, "num_classes", None) is not None else None


def scored(model: GenerativeModel, seed: int, batch_size: int = 40) -> dict[str, Record]:
    metrics: dict[str, ProbeMetric] = {"nll": NegativeLogLikelihood()}
    if model.spec.modality == "image":
        metrics["bits_per_dim"] = BitsPerDim()
    if isinstance(model, LatentBound):
        metrics |= {"elbo": LowerBound(), "iwae": IWAE(k=3)}
    scorer = Evaluator(metrics, RawFeatures(), reference(model.spec), named=True, batch_size=batch_size, seed=seed)
    return {record.metric: record for record in scorer.score_model(model, 8)}


@torch.no_grad()
@every_model
def test_the_model_says_of_stored_values_what_the_evaluator_reports(make, seeded) -> None:
    model = made(make)
    assert isinstance(model, Density)
    split = reference(model.spec).data  # in the order that the evaluator gives a file
    asked, y = split.x, labels(model, split)
    values = {}
    for seed in (0, 1):
        records = scored(model, seed)
        own = {"nll": model.nll(asked, y, seed=seed)}
        if model.spec.levels is not None:
            own["bits_per_dim"] = model.bits_per_dim(asked, y, seed=seed)
        if isinstance(model, LatentBound):
            own |= {"elbo": -model.elbo(asked, y, seed=seed), "iwae": -model.iwae(asked, y, k=3, seed=seed)}
        for name, record in records.items():
            assert record.value == pytest.approx(float(own[name].double().mean()), abs=1e-9), name
            values[name, seed] = record.value
        parts = [slice(0, 1), slice(1, 25), slice(25, 40)]
        apart = [model.nll(asked[p], None if y is None else y[p], seed=seed, first=p.start) for p in parts]
        torch.testing.assert_close(torch.cat(apart), own["nll"], rtol=1e-5, atol=1e-5)
    for name in records:
        assert (values[name, 0] != values[name, 1]) == seeded, name


@torch.no_grad()
@every_model
def test_the_record_tells_where_in_its_level_a_value_was_put(make, seeded) -> None:
    """Uniform noise is what the value moves with, none is where it does not."""
    model = made(make)
    assert isinstance(model, Density)
    named = scored(model, 0)["nll"].dequantisation
    split, spec = held_out(model.spec), model.spec
    x, y = spec.scale(split.x), labels(model, split)
    if spec.levels is None:
        assert named == "none"
        return
    at = spec.dequantise(x, dequantisation_noise(0, range(len(x)), spec.shape))
    moved = not torch.equal(model.log_prob(at, y), model.log_prob(x, y))
    assert named == (f"{model.dequantisation}, one draw per example" if moved else "none")
    torch.testing.assert_close(-model.nll(split.x, y), model.log_prob(at, y), rtol=1e-6, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["cnf", "vae", "vae, normal pixels", "iwae", "diffusion", "diffusion, bound"])
def test_another_seed_draws_an_estimate_anew_at_the_same_points(name) -> None:
    model = made(MODELS[name][0])
    assert isinstance(model, MonteCarlo)
    x = model.spec.scale(held_out(model.spec, 16).x)
    assert torch.equal(model.log_prob(x, seed=0), model.log_prob(x))
    assert (model.log_prob(x, seed=1) != model.log_prob(x)).any()


def test_a_density_at_the_centres_is_not_what_stored_values_are_given() -> None:
    """A density that peaks at the centres of the bins reads better there than any distribution of the levels is."""

    class Comb(GenerativeModel, Density):
        bound = "exact"

        def losses(self, batch, phase):
            return {}

        def draw(self, n, *, y=None, noise):
            return self.spec.clip(noise(*self.spec.shape))

        def log_prob(self, x, y=None):
            away = (x - self.spec.centre(x)) / self.spec.bin_width  # in (−½, ½), narrow around 0
            normal = torch.distributions.Normal(0.0, 0.2)
            share = normal.cdf(torch.tensor(0.5)) - normal.cdf(torch.tensor(-0.5))
            each = normal.log_prob(away) - share.log() - math.log(self.spec.bin_width * self.spec.levels)
            return each.flatten(1).sum(1)

    model, v = Comb(LEVELS), held_out(LEVELS, 2000).x
    entropy = math.log2(5)  # of uniform levels, which are what it models
    at_centres = -model.log_prob(LEVELS.scale(v)).mean() / (12 * math.log(2)) + math.log2(5 / 2)
    assert at_centres < entropy - 0.5
    assert model.bits_per_dim(v).mean() > entropy


@every_model
def test_a_density_is_differentiable_and_a_mass_is_constant(make, seeded) -> None:
    model = made(make).double()
    assert isinstance(model, Density)
    split, spec = held_out(model.spec, 3), model.spec
    y = labels(model, split)
    x = spec.dequantise(spec.scale(split.x), dequantisation_noise(0, range(3), spec.shape)).double().requires_grad_()
    value = model.log_prob(x, y).sum()
    if spec.levels is not None and model.dequantisation == "none":
        slope = torch.autograd.grad(value, x, allow_unused=True)[0] if value.requires_grad else None
        assert slope is None or not slope.any()
        return
    (slope,) = torch.autograd.grad(value, x)
    assert torch.isfinite(slope).all()
    if not isinstance(model, LatentBound | Diffusion | QuantizedVAE):  # whose draws and codes are functions of x too
        step = 1e-6 * torch.randn(x.shape, generator=generator_of(0, "step"), dtype=torch.float64)
        with torch.no_grad():
            change = model.log_prob(x + step, y).sum() - model.log_prob(x - step, y).sum()
        torch.testing.assert_close((slope * step).sum() * 2, change, rtol=1e-3, atol=1e-9)


def test_bits_are_of_data_with_levels() -> None:
    with pytest.raises(ConfigError, match="discrete levels"):
        made(MODELS["flow of points"][0]).bits_per_dim(held_out(PLANE).x)
