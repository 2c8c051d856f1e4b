"""The playground's numbers: closed forms, agreement with the metric of the same name, and failures that are named."""

import math

import pytest
import torch
from torch import Tensor, nn

from genkit.config.build import build
from genkit.config.hydra.app import composed
from genkit.data.sources import toy
from genkit.data.sources.digits import Digits
from genkit.data.sources.toy import TOYS, Toy
from genkit.data.spec import Batch
from genkit.errors import ConfigError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.planar_view import PlanarTruth, caption, planar_view, verdict
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.metrics.likelihood import LogLikelihoodGap
from genkit.models.base import Bound, Density, GenerativeModel, Noise


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(toy, "TEST_N", 400)
    monkeypatch.setattr(toy, "VAL_N", 400)


class Given(GenerativeModel):
    """Samples that somebody chose."""

    modalities = ("vector",)

    def __init__(self, spec, samples: Tensor) -> None:
        super().__init__(spec)
        self.nothing, self.samples = nn.Parameter(torch.zeros(1)), samples

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return {"loss": self.nothing.sum()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.samples[torch.arange(n) % len(self.samples)]


class Knowing(Given, Density):
    """The truth itself, or a normal distribution of a given width."""

    bound: Bound = "exact"

    def __init__(self, spec, samples, log_q) -> None:
        super().__init__(spec, samples)
        self.log_q = log_q

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.log_q(x).float()


def seen(model, data, **more):
    truth = PlanarTruth(data, 40, 10_000)
    return truth, planar_view(truth, model, 7, more.get("n", 500), 0, whole=True)


@pytest.mark.parametrize("name", TOYS)
def test_of_the_truth_itself_every_distance_is_zero(name):
    data = Toy(name)
    model = Knowing(data.spec, data.draw(500, "samples").x, data.density.log_prob)
    truth, view = seen(model, data)
    assert view.numbers["kl"] == pytest.approx(0, abs=1e-5)
    assert view.numbers["reverse_kl"] == pytest.approx(0, abs=1e-5)
    assert view.numbers["leak"] < 0.03
    assert torch.allclose(view.density, truth.density, atol=1e-4)
    assert view.numbers.get("modes") == truth.modes
    assert verdict(view.numbers, truth.modes).startswith("neither")


def test_the_kl_of_a_wide_normal_distribution_against_its_integral():
    """KL(p ‖ N(0, 3² I)) by a sum over a fine grid."""
    data = Toy("eight_gaussians")

    def log_q(x):
        return -x.double().square().sum(1) / 18 - math.log(18 * math.pi)

    model = Knowing(data.spec, 3 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0)), log_q)
    _, view = seen(model, data)
    side = torch.linspace(-8, 8, 401)
    points = torch.cartesian_prod(side, side)
    log_p = data.density.log_prob(points)
    exact = float((log_p.exp() * (log_p - log_q(points))).nan_to_num().sum()) * (16 / 400) ** 2
    assert view.numbers["kl"] == pytest.approx(exact, abs=3 * view.numbers["kl_se"])
    assert view.numbers["leak"] > 0.5
    assert caption(view.numbers, view.bound, 8).startswith("KL ")


# one of each family that has a likelihood of points in the plane
WITH_DENSITY = ("flow", "vae", "vq_vae", "diffusion", "ebm")
QUICK = {("flow", "checkerboard"), ("vae", "eight_gaussians"), ("diffusion", "eight_gaussians")}
FEW_STEPS = ["model.likelihood={_target_: genkit.diffusion.likelihood.FlowLikelihood, steps: 4}", "sampler.steps=4"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param(model, name, marks=() if (model, name) in QUICK else pytest.mark.slow)
        for model in WITH_DENSITY
        for name in TOYS
    ],
)
def test_the_kl_is_the_log_likelihood_gap(model, name):
    """Of untrained models: the same points, the same draws, so the same number up to rounding."""
    data = Toy(name)
    torch.manual_seed(0)
    words = FEW_STEPS if model == "diffusion" else []
    node = composed("train", [f"model={model}", *words, "--resolve"])["model"]
    built = build(node, at="model", expect=GenerativeModel, spec=data.spec).eval()
    _, view = seen(built, data, n=50)
    metrics = {"log_likelihood_gap": LogLikelihoodGap()}
    evaluator = Evaluator(metrics, RawFeatures(), Reference.of(data, "toy"), named=True, floor_repeats=0)
    gap = evaluator.score_model(built, 50)[0]
    assert view.numbers["kl"] == pytest.approx(gap.value, abs=max(1e-3, 0.1 * view.numbers["kl_se"]))


def test_a_density_of_samples_is_one():
    data = Toy("two_moons")
    truth, view = seen(Given(data.spec, data.draw(4000, "samples").x), data)
    left, right, *_ = truth.window
    assert float(view.density.sum()) * ((right - left) / truth.cells) ** 2 == pytest.approx(1, abs=0.02)
    assert "kernel estimate" in view.origin
    assert view.bound is None
    assert view.numbers["energy"] == pytest.approx(truth.energy_floor, abs=0.02)
    assert "kl" not in view.numbers


def test_lost_modes_and_bridges_are_named():
    data = Toy("eight_gaussians")
    points = data.draw(4000, "samples")
    few = points.x[points.labels < 3]
    truth, view = seen(Given(data.spec, few), data)
    assert view.numbers["modes"] == 3
    assert verdict(view.numbers, truth.modes) == "mode collapse: 3 of 8 modes are reached"
    bridged = torch.cat([(points.x[:500] + points.x[500:1000]) / 2, points.x[:1500]])
    truth, view = seen(Given(data.spec, bridged), data, n=2000)
    assert verdict(view.numbers, truth.modes).startswith("bridges between modes: ")


@pytest.mark.parametrize(
    ("data", "message"), [(Digits(), "points in the plane"), (Toy(), "not known")], ids=["images", "unknown"]
)
def test_other_data_is_refused(data, message):
    data.density = None
    with pytest.raises(ConfigError, match=rf"^playground: [^\n]*{message}[^\n]*data=toy"):
        PlanarTruth(data, 10, 10)
