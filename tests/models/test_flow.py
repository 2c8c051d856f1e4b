"""The flow: a true density on both modalities, honest units, samples in range, errors with one line."""

from math import log, log2

import pytest
import torch
from torch import Tensor

from genkit.data.dataset import SplitName
from genkit.data.sources.digits import Digits
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.distributions import bits_per_dim
from genkit.errors import ConfigError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.flows.continuous import ContinuousFlow
from genkit.flows.dequantisation import VariationalDequantisation
from genkit.flows.recipe import ByModality
from genkit.flows.spline import RationalQuadratic
from genkit.flows.spline_flow import SplinePyramid
from genkit.flows.vector_flow import Continuous, Couplings
from genkit.metrics.likelihood import BitsPerDim
from genkit.models.flow import Flow, VectorFlow
from genkit.noise import SampleNoise, generator_of
from genkit.training.diagnosis import origin_of_loss

PLANE = DataSpec(shape=(2,), modality="vector", num_classes=3)
DIGITS = DataSpec(shape=(1, 8, 8), modality="image", value_range=(-1.0, 1.0), levels=17, num_classes=10)
COLOUR = DataSpec(shape=(3, 12, 4), modality="image", value_range=(0.0, 4.0), levels=256)
LINE = DataSpec(shape=(1,), modality="vector")
SPECS = {"plane": PLANE, "digits": DIGITS, "colour": COLOUR, "line": LINE}


def recipe(layers: int = 2) -> ByModality:
    vector = Couplings(RationalQuadratic(8, 4.0), layers=layers, hidden_features=16, depth=1)
    return ByModality(vector, SplinePyramid(hidden_channels=8, top_features=16, depth=1))


def flow(spec: DataSpec, conditional: bool = False, layers: int = 2) -> Flow:
    torch.manual_seed(0)
    return Flow(spec=spec, transform=recipe(layers), conditional=conditional)


def bent(model: Flow, amount: float = 0.1) -> Flow:
    """The model away from its start, where it is nearly the identity."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator_of(1, "parameters"))
    return model.eval()


def data(spec: DataSpec, n: int) -> Tensor:
    generator = generator_of(2, "data")
    if spec.levels is None:
        return 3.0 + 2.0 * torch.randn(n, *spec.shape, generator=generator)
    return spec.scale(torch.randint(spec.levels, (n, *spec.shape), generator=generator))


@pytest.mark.parametrize("name", SPECS)
def test_samples_are_inverted_latents_with_the_right_shape_and_range(name: str) -> None:
    model = bent(flow(SPECS[name]))
    x = model.sample(5, noise=SampleNoise(0, range(5)))
    assert x.shape == (5, *model.spec.shape)
    if model.spec.value_range is not None:
        assert x.min() >= model.spec.value_range[0]
        assert x.max() <= model.spec.value_range[1]
    z = model.prior.draw(SampleNoise(0, range(5))(model.spec.dim))
    torch.testing.assert_close(model.transform(x)[0], z, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SPECS)
def test_sample_i_depends_on_seed_and_i_alone(name: str) -> None:
    model = bent(flow(SPECS[name]))
    whole, tail = model.sample(6, noise=SampleNoise(3, range(6))), model.sample(2, noise=SampleNoise(3, range(4, 6)))
    torch.testing.assert_close(whole[4:], tail, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_the_temperature_scales_the_noise(name: str) -> None:
    model, noise = bent(flow(SPECS[name])), SampleNoise(0, range(5))
    eps = noise(model.spec.dim)
    expected = model.sample(5, noise=lambda *shape: 0.3 * eps)
    model.temperature = 0.3
    assert torch.equal(model.sample(5, noise=lambda *shape: eps), expected)


@pytest.mark.parametrize("name", SPECS)
def test_the_loss_reaches_every_parameter(name: str) -> None:
    model = bent(flow(SPECS[name])).train()
    model.losses({"x": data(model.spec, 8)}, "model")["loss"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("y", [None, 2])
def test_density_of_the_plane_integrates_to_one(y: int | None) -> None:
    model = bent(flow(PLANE, conditional=y is not None)).double()
    axis = torch.linspace(-8, 8, 400, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_prob = model.log_prob(x, None if y is None else torch.full((len(x),), y))
    assert log_prob.exp().sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=0.01)


def test_density_of_an_image_averages_to_one_over_its_range() -> None:
    spec = DataSpec(shape=(1, 4, 4), modality="image", value_range=(0.0, 3.0), levels=4)
    model = bent(flow(spec), 0.03).double()
    x = 3 * torch.rand(20000, *spec.shape, generator=generator_of(4, "x"), dtype=torch.float64)
    with torch.no_grad():
        ratio = (model.log_prob(x) + spec.dim * log(3)).exp()  # to the uniform density: importance sampling
    assert ratio.mean().item() == pytest.approx(1, abs=5 * ratio.std().item() / len(x) ** 0.5)
    assert ratio.std() > 0.05


def test_an_image_outside_the_range_has_no_density() -> None:
    x = data(DIGITS, 3)
    x[1, 0, 2, 2] = 1.01
    assert flow(DIGITS).log_prob(x).isfinite().tolist() == [True, False, True]


@pytest.mark.parametrize("spec", [DIGITS, COLOUR])
def test_a_flow_that_changes_nothing_scores_the_bits_of_a_uniform_model(spec: DataSpec) -> None:
    model = flow(spec)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        losses = model.losses({"x": data(spec, 4)}, "model")
    assert spec.levels is not None
    assert losses["bits_per_dim"].item() == pytest.approx(log2(spec.levels), abs=1e-5)


def test_loss_and_log_prob_agree_where_nothing_is_dequantised() -> None:
    model, x = bent(flow(PLANE)), data(PLANE, 16)
    torch.testing.assert_close(model.losses({"x": x}, "model")["loss"], -model.log_prob(x).mean())


def test_dequantised_log_prob_agrees_with_the_loss() -> None:
    model, x = bent(flow(DIGITS)), data(DIGITS, 64)
    torch.manual_seed(7)
    losses = model.losses({"x": x}, "model")
    torch.manual_seed(7)
    nll = -model.log_prob(DIGITS.dequantise(x, torch.rand_like(x)))
    torch.testing.assert_close(losses["loss"], nll.mean())
    torch.testing.assert_close(losses["bits_per_dim"], bits_per_dim(nll.mean(), 64, 17, (-1.0, 1.0)))


@pytest.mark.parametrize("spec", [PLANE, DIGITS])
def test_labels_change_density_and_samples(spec: DataSpec) -> None:
    model, x = bent(flow(spec, conditional=True)), data(spec, 1)
    first, second = torch.tensor([0]), torch.tensor([1])
    assert model.log_prob(x, first) != model.log_prob(x, second)
    noise = [model.sample(1, y=y, noise=SampleNoise(0, range(1))) for y in (first, second)]
    assert (noise[0] - noise[1]).abs().max() > 1e-4


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="unconditional"):
        flow(PLANE).log_prob(data(PLANE, 1), torch.tensor([0]))
    with pytest.raises(ConfigError, match="needs labels"):
        flow(PLANE, conditional=True).sample(1, noise=SampleNoise(0, range(1)))


def test_tiny_images_are_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="at least 4x4, not 8x3: choose"):
        flow(DataSpec(shape=(1, 8, 3), modality="image", value_range=(-1.0, 1.0), levels=17))


@pytest.mark.parametrize("recipe_of", [recipe, lambda: Continuous(steps=1, hidden_features=4)])
def test_training_finds_the_layer_in_which_a_flow_diverges(recipe_of) -> None:
    model, batch = VectorFlow(spec=PLANE, transform=recipe_of()), {"x": data(PLANE, 8)}
    with torch.no_grad():
        for parameter in dict(model.transform.named_children())["layers"][1].parameters():
            parameter.fill_(1e38)
    loss = model.losses(batch, "model")["loss"]
    assert not loss.isfinite()
    assert "transform.layers.1" in origin_of_loss(model, batch, lambda: model.losses(batch, "model"))


def test_layers_are_initialised_to_what_those_before_them_make_of_the_batch() -> None:
    model, x = flow(LINE, layers=1), data(LINE, 256)
    model.train().initialise({"x": x})
    loss = model.losses({"x": x}, "model")["loss"]
    entropy = 0.5 * log(2 * torch.pi) + 0.5 + x.std(correction=0).log()  # standardised at once: a Gaussian fit
    assert loss.item() == pytest.approx(entropy.item(), abs=1e-4)


def test_the_inverse_error_is_reported_in_evaluation_alone() -> None:
    model, x = bent(flow(DIGITS)), data(DIGITS, 40)
    assert "inverse_error" not in model.train().losses({"x": x}, "model")
    assert 0 < model.eval().losses({"x": x}, "model")["inverse_error"] < 1e-4


def test_a_bad_inverse_is_seen() -> None:
    """Two steps of a fast equation are no inverse of each other; the density does not tell."""
    torch.manual_seed(0)
    model = VectorFlow(spec=PLANE, transform=Continuous(steps=2, hidden_features=8, depth=1))
    flow_of_time = model.transform.layers[-1]  # type: ignore[index,union-attr]
    assert isinstance(flow_of_time, ContinuousFlow)
    torch.nn.init.constant_(flow_of_time.gain, 20.0)
    terms = model.eval().losses({"x": data(PLANE, 64)}, "model")
    assert terms["loss"].isfinite()
    assert terms["inverse_error"] > 1e-2


def test_labels_in_the_batch_are_ignored_by_an_unconditional_flow_and_missed_by_a_conditional_one() -> None:
    x = data(PLANE, 8)
    model = bent(flow(PLANE))
    with_labels = model.losses({"x": x, "y": torch.zeros(8, dtype=torch.int64)}, "model")["loss"]
    assert with_labels == model.losses({"x": x}, "model")["loss"]
    with pytest.raises(KeyError):
        flow(PLANE, conditional=True).losses({"x": x}, "model")


def variational() -> Flow:
    torch.manual_seed(0)
    model = Flow(spec=DIGITS, transform=recipe(), dequantisation=VariationalDequantisation)
    return bent(model, 0.05)


def test_variational_dequantisation_is_a_bound_and_says_so() -> None:
    assert (flow(DIGITS).bound, flow(DIGITS).dequantisation) == ("exact", "uniform")
    assert (variational().bound, variational().dequantisation) == ("lower", "variational")


def test_the_learned_dequantisation_gives_a_density_of_the_same_total_as_the_flow() -> None:
    """It moves mass within levels only, so the mean of p over a level is the same, whatever q is."""
    spec = DataSpec(shape=(1,), modality="vector", value_range=(0.0, 4.0), levels=4)
    torch.manual_seed(0)
    model = Flow(spec=spec, transform=recipe(), dequantisation=VariationalDequantisation)
    bent(model, 0.3).double()
    x = ((torch.arange(40000, dtype=torch.float64) + 0.5) / 10000)[:, None]
    with torch.no_grad():
        learned = model.log_prob(x).exp().view(4, -1).mean(1)
        model.moved = None
        uniform = model.log_prob(x).exp().view(4, -1).mean(1)
    torch.testing.assert_close(learned, uniform, rtol=1e-3, atol=0)


def test_a_learned_dequantisation_trains_with_the_flow_and_samples_keep_away_from_it() -> None:
    model, x = variational().train(), data(DIGITS, 8)
    model.losses({"x": x}, "model")["loss"].backward()
    assert model.moved is not None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.moved.parameters())
    with torch.no_grad():
        drawn = model.eval().sample(3, noise=SampleNoise(0, range(3)))
        model.moved = None
        assert torch.equal(model.sample(3, noise=SampleNoise(0, range(3))), drawn)


def test_an_estimated_log_determinant_makes_the_score_an_estimate() -> None:
    wide = DataSpec(shape=(12,), modality="vector")
    few, many = (VectorFlow(spec=spec, transform=Continuous(hidden_features=8)) for spec in (PLANE, wide))
    assert (few.bound, many.bound) == ("exact", "estimate")


def test_the_kinetic_penalty_is_in_the_loss_and_not_in_the_density() -> None:
    torch.manual_seed(0)
    free, taxed = (VectorFlow(spec=PLANE, transform=Continuous(kinetic=k, hidden_features=8)) for k in (0.0, 10.0))
    taxed.load_state_dict(free.state_dict())
    x = data(PLANE, 16)
    loss = free.train().losses({"x": x}, "model")["loss"]
    assert taxed.train().losses({"x": x}, "model")["loss"] > loss + 1e-3
    torch.testing.assert_close(taxed.eval().losses({"x": x}, "model")["loss"], loss)


def test_a_score_says_which_dequantisation_it_is_of() -> None:
    class Few(Digits):
        def split(self, name: SplitName) -> Split:
            return super().split(name)[torch.arange(20)]

    for model, kind, named in ((flow(DIGITS), "exact", "uniform"), (variational(), "lower", "variational")):
        reference = Reference.of(Few(), "digits")
        score = Evaluator(
            {"bits_per_dim": BitsPerDim()}, RawFeatures("none"), reference, named=True, bootstrap_repeats=0
        )
        [record] = score.score_model(model.eval(), 10)
        assert (record.kind, record.dequantisation) == (kind, f"{named}, one draw per example")
