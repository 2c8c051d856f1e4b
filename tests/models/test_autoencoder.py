"""The autoencoder: its loss, its range, and the density that `prepare` puts on its latents."""

from functools import partial

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.autoencoder import Autoencoder
from genkit.models.latent import GaussianMixture
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
    restored = model.decoder(model.encoder(x))
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
    torch.testing.assert_close(model.latent_density.means[0], model.encode(x, y).mean(0), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("spec", "expected"), [(PLANE, 2), (DIGITS, 16)], ids=["plane", "digits"])
def test_the_latent_is_at_most_as_large_as_the_data_unless_told(spec, expected):
    x = torch.zeros(3, *spec.shape)
    assert autoencoder(spec).encode(x).shape == (3, expected)
    assert autoencoder(spec, latent_dim=5).encode(x).shape == (3, 5)


def test_everything_it_makes_is_inside_the_datas_range():
    model = autoencoder(DIGITS)
    with torch.no_grad():
        model.decoder.linear.bias.copy_(5 * torch.randn(64))
    x = torch.zeros(2, 1, 8, 8)
    for made in (
        model.sample(2, noise=SampleNoise(0, range(2))),
        model.reconstruct(x),
        model.decode(torch.zeros(2, 16)),
    ):
        assert made.abs().max() == 1


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
