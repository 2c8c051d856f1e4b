"""The autoencoder: its loss and the parts of it, its range, and the density that `prepare` puts on its latents."""

from functools import partial

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor
from torch.nn import Linear

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.autoencoder.autoencoder import Autoencoder
from genkit.models.autoencoder.corruption import GaussianNoise, Masking
from genkit.models.autoencoder.penalty import (
    Contraction,
    DecoderGradient,
    KLSparsity,
    LatentNorm,
    Sparsity,
    WeightNorm,
)
from genkit.models.kernel_density import KernelDensity
from genkit.models.latent_density import GaussianDensity, GaussianMixture
from genkit.nn.mlp import MLP
from genkit.noise import SampleNoise, generator_of


def autoencoder(spec: DataSpec = PLANE, **options) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(spec=spec, backbone=Affine, **options)


def identity(components: int = 1) -> Autoencoder:
    """Latents are the data."""
    model = autoencoder(latent_density=partial(GaussianMixture, components=components, regularization=1e-6))
    for network in (model.encoder, model.decoder):
        network.set(torch.eye(2), torch.zeros(2))
    return model


def points(n: int = 600) -> Tensor:
    g = generator_of(0, "points")
    return torch.randn(n, 2, generator=g) @ torch.tensor([[1.0, 0.5], [0.0, 0.3]]) + torch.tensor([2.0, -1.0])


@pytest.mark.parametrize("spec", [PLANE, DIGITS], ids=["plane", "digits"])
def test_the_loss_is_the_squared_error_summed_over_dimensions(spec):
    model, x = autoencoder(spec), torch.rand(5, *spec.shape, generator=generator_of(0, "x"))
    restored = spec.squash(model.decoder(model.encoder(x)))
    expected = (restored - x).square().reshape(5, -1).sum(1).mean()
    terms = model.losses({"x": x}, "model")
    torch.testing.assert_close(terms["loss"], expected)
    torch.testing.assert_close(terms["reconstruction"], expected)


def test_prepare_puts_the_latents_density_behind_samples():
    model, x = identity(), points()
    model.prepare({"x": part} for part in x.split(100))
    drawn = model.sample(20_000, noise=SampleNoise(0, range(20_000)))
    torch.testing.assert_close(drawn.mean(0), x.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(x.T, correction=0), rtol=0.05, atol=0.02)


def test_prepare_does_not_see_the_batches_borders_nor_trains():
    model, x = identity(3), points()
    before = {name: p.clone() for name, p in model.named_parameters()}
    fits = []
    for size in (600, 128, 7):
        model.prepare([{"x": part} for part in x.split(size)])
        fits.append(model.latent_density.means.clone())
    torch.testing.assert_close(fits[0], fits[1])
    torch.testing.assert_close(fits[0], fits[2])
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in model.named_parameters())


def test_a_conditional_one_prepares_with_its_labels():
    model = autoencoder(conditional=True, latent_density=partial(GaussianMixture, components=1))
    x, y = points(90), torch.arange(90) % 3
    model.prepare([{"x": x, "y": y}])
    for label in range(3):
        mean = model.encode(x, y)[y == label].mean(0)
        torch.testing.assert_close(model.latent_density.of(label).means[0], mean, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("spec", "expected"), [(PLANE, 2), (DIGITS, 16)], ids=["plane", "digits"])
def test_the_latent_is_at_most_as_large_as_the_data_unless_told(spec, expected):
    x = torch.zeros(3, *spec.shape)
    assert autoencoder(spec).encode(x).shape == (3, expected)
    assert autoencoder(spec, latent_dim=5).encode(x).shape == (3, 5)


@pytest.mark.parametrize(("squash", "end"), [(True, 16 / 17), (False, 1.0)])
def test_everything_it_makes_is_inside_the_datas_range_and_reaches_its_end(squash, end):
    model = autoencoder(DIGITS, squash_output=squash)
    with torch.no_grad():
        model.decoder.linear.bias.copy_(50 * torch.randn(64))
    x = torch.zeros(2, 1, 8, 8)
    for made in (
        model.sample(2, noise=SampleNoise(0, range(2))),
        model.reconstruct(x),
        model.decode(torch.zeros(2, 16)),
    ):
        assert made.abs().max().item() == pytest.approx(end)


def test_an_output_without_bounds_and_data_without_a_range_are_left_alone():
    z = torch.linspace(-0.5, 0.5, 32).reshape(2, 16)
    model = autoencoder(DIGITS, squash_output=False)
    torch.testing.assert_close(model.decode(z), model.decoder(z).clamp(-1, 1))
    model, z = autoencoder(), 9 * points(5)
    torch.testing.assert_close(model.decode(z), model.decoder(z))


X = torch.zeros(2, 2)
CALLS = {
    "encode": lambda model, y: model.encode(X, y),
    "decode": lambda model, y: model.decode(X, y),
    "reconstruct": lambda model, y: model.reconstruct(X, y),
    "sample": lambda model, y: model.sample(2, y=y, noise=SampleNoise(0, range(2))),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("conditional", "y"), [(True, None), (False, torch.tensor([0, 1]))])
def test_labels_are_refused_or_asked_for(call, conditional, y):
    model = autoencoder(PLANE, conditional=conditional)
    with pytest.raises(ConfigError, match="conditional"):
        call(model, y)


def test_labels_are_refused_where_the_data_has_none():
    with pytest.raises(ConfigError, match="no labels"):
        autoencoder(DataSpec(shape=(2,), modality="vector"), conditional=True)


@pytest.mark.parametrize("kind", [GaussianNoise, Masking])
def test_what_is_restored_is_the_clean_example_and_only_training_corrupts(kind):
    model, x = autoencoder(DIGITS, corruption=kind), DIGITS.scale(torch.randint(17, (5, 1, 8, 8)))
    torch.manual_seed(3)
    found = model.train().losses({"x": x}, "model")["loss"]
    torch.manual_seed(3)
    restored = DIGITS.squash(model.decoder(model.encoder(kind(spec=DIGITS)(x))))
    torch.testing.assert_close(found, (restored - x).square().flatten(1).sum(1).mean())
    clean = autoencoder(DIGITS).losses({"x": x}, "model")["loss"]
    torch.testing.assert_close(model.eval().losses({"x": x}, "model")["loss"], clean)
    assert not torch.isclose(found, clean)


PENALTIES = {
    "latent_penalty": [
        Sparsity(weight=0.3), KLSparsity(weight=0.3), LatentNorm(weight=0.3), Contraction(weight=0.3, draws=2)
    ],
    "decoder_penalty": [WeightNorm(weight=0.3), DecoderGradient(weight=0.3)],
}  # fmt: skip
ONES = [(key, penalty) for key, group in PENALTIES.items() for penalty in group]


def shown(item: object) -> str:
    return item if isinstance(item, str) else type(item).__name__


@pytest.mark.parametrize(("key", "penalty"), ONES, ids=shown)
def test_a_penalty_is_a_term_of_its_own_and_weighs_in_the_loss(key, penalty):
    model, x = autoencoder(**{key: penalty}).train(), points(12)
    terms = model.losses({"x": x}, "model")
    assert terms.keys() == {"loss", "reconstruction", penalty.name}
    assert terms[penalty.name] > 0
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 0.3 * terms[penalty.name])
    torch.testing.assert_close(terms["reconstruction"], autoencoder().losses({"x": x}, "model")["loss"])


@pytest.mark.parametrize(("key", "penalty"), ONES, ids=shown)
def test_a_penalty_trains_what_it_is_about_and_validation_differentiates_nothing(key, penalty):
    model, x = autoencoder(**{key: penalty}), points(12)
    model.train().losses({"x": x}, "model")[penalty.name].backward()
    part = model.encoder if key == "latent_penalty" else model.decoder
    assert part.linear.weight.grad.abs().max() > 0
    assert not x.requires_grad
    with torch.no_grad():
        terms = model.eval().losses({"x": x}, "model")
    assert (penalty.name in terms) != penalty.differentiates


def test_both_penalties_are_summed():
    model = autoencoder(latent_penalty=LatentNorm(weight=2.0), decoder_penalty=WeightNorm(weight=0.5))
    terms = model.losses({"x": points(12)}, "model")
    expected = terms["reconstruction"] + 2 * terms["latent_norm"] + 0.5 * terms["weight_norm"]
    torch.testing.assert_close(terms["loss"], expected)


def test_a_linear_encoders_contraction_is_its_weights():
    model = identity()
    model.latent_penalty = Contraction(weight=1.0)
    model.encoder.set(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.zeros(2))
    assert model.train().losses({"x": points(5)}, "model")["contraction"].item() == pytest.approx(6)


@pytest.mark.parametrize("density", [GaussianDensity, GaussianMixture, KernelDensity])
def test_any_density_can_stand_behind_the_samples(density):
    model = autoencoder(latent_density=density)
    model.prepare([{"x": points()}])
    with torch.no_grad():
        z = model.latent_density.sample(SampleNoise(0, range(9)))
        torch.testing.assert_close(model.sample(9, noise=SampleNoise(0, range(9))), model.decode(z))


def test_a_spectral_decoder_stretches_nothing_whatever_its_weights_and_the_encoder_is_free():
    torch.manual_seed(0)
    model = Autoencoder(spec=DIGITS, backbone=partial(MLP, width=32, depth=1), spectral_decoder=True).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0)
    for _ in range(200):  # a step of power iteration each
        model.losses({"x": torch.randn(2, *DIGITS.shape)}, "model")
    largest = {
        half: [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in net.modules() if isinstance(layer, Linear)]
        for half, net in (("encoder", model.encoder), ("decoder", model.decoder))
    }
    assert largest["decoder"] == pytest.approx([1.0] * 4, abs=1e-3)
    assert min(largest["encoder"]) > 1.5
