"""Autoencoders through codes: the loss is the bound, parts have disjoint gradients, priors, temperature."""

import math
from functools import partial

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.quantized.code_prior import CodePrior, NetworkPrior, TransformerPrior, UniformPrior
from genkit.models.quantized.quantized_vae import QuantizedVAE
from genkit.models.quantized.quantizer import FiniteScalarQuantizer, VectorQuantizer
from genkit.nn.gpt import GPT
from genkit.nn.lstm import LSTM
from genkit.nn.made import MADE
from genkit.nn.pixel_cnn import PixelCNN
from genkit.noise import SampleNoise, generator_of

SMALL = partial(TransformerPrior, features=8, depth=1, heads=2, dropout=0.0)
QUANTIZERS = {
    "vq": lambda: VectorQuantizer(num_codes=6, channels=3),
    "fsq": lambda: FiniteScalarQuantizer((3, 2)),
}
every_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS.values(), ids=QUANTIZERS)
NETWORKS = {
    "gpt": partial(GPT, features=8, depth=1, heads=2, ngram_rows=0),
    "lstm": partial(LSTM, features=6),
    "made": partial(MADE, features=12),
    "pixel_cnn": partial(PixelCNN, features=4, depth=2),
}
PRIORS = {"transformer": SMALL, **{name: partial(NetworkPrior, network=each) for name, each in NETWORKS.items()}}
every_prior = pytest.mark.parametrize("prior", [*PRIORS.values(), UniformPrior], ids=[*PRIORS, "uniform"])


def model(spec: DataSpec = PLANE, quantizer=QUANTIZERS["vq"], prior=SMALL, tokens: int = 4, **options) -> QuantizedVAE:
    torch.manual_seed(0)
    return QuantizedVAE(spec=spec, tokens=tokens, quantizer=quantizer(), prior=prior, backbone=Affine, **options).eval()


def data(spec: DataSpec, n: int = 9) -> Tensor:
    return torch.rand(n, *spec.shape, generator=generator_of(0, "x")) - 0.5


def noise(n: int, start: int = 0) -> SampleNoise:
    return SampleNoise(0, range(start, start + n))


@every_quantizer
@every_prior
@pytest.mark.parametrize("spec", [PLANE, DIGITS], ids=["plane", "digits"])
def test_the_loss_is_minus_the_bound_plus_what_the_quantiser_adds(quantizer, prior, spec):
    net, x = model(spec, quantizer, prior), data(spec)
    terms = net.losses({"x": x}, "model")
    added = terms.get("commitment", torch.zeros(()))
    torch.testing.assert_close(terms["loss"], -net.log_prob(x).mean() + added)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + terms["prior"] + added)
    assert 1 <= terms["perplexity"] <= net.quantizer.num_codes
    assert 0 < terms["codes_used"] <= 1


@torch.no_grad()
@every_quantizer
def test_the_bound_is_below_the_likelihood_summed_over_all_codes(quantizer):
    """log Σ_c p(c) p(x | c), by enumeration of 6² codes."""
    net, x = model(PLANE, quantizer, tokens=2), data(PLANE)
    every = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    prior = net.prior.log_prob(every)
    torch.testing.assert_close(prior.logsumexp(0), torch.zeros(()), rtol=0, atol=1e-5)
    out = net.decoder(net.quantizer.decode_codes(every).flatten(1))
    exact = torch.stack([torch.logsumexp(prior + net.likelihood.log_prob(row.expand(36, -1), out), 0) for row in x])
    assert (net.log_prob(x) < exact).all()


def test_the_prior_learns_from_codes_and_the_autoencoder_not_from_the_prior():
    net, x = model(), data(PLANE)
    terms = net.losses({"x": x}, "model")
    parts = {"prior": list(net.prior.parameters()), "encoder": list(net.encoder.parameters())}
    grads = torch.autograd.grad(terms["prior"], parts["prior"], retain_graph=True)
    assert any(grad.abs().max() > 0 for grad in grads)
    reached = torch.autograd.grad(terms["prior"], parts["encoder"], allow_unused=True, retain_graph=True)
    assert all(grad is None for grad in reached)
    reached = torch.autograd.grad(terms["reconstruction"], parts["prior"], allow_unused=True, retain_graph=True)
    assert all(grad is None for grad in reached)
    (weight, *_) = torch.autograd.grad(terms["reconstruction"], parts["encoder"])
    assert weight.abs().max() > 0


@torch.no_grad()
@every_quantizer
@pytest.mark.parametrize("spec", [PLANE, DIGITS], ids=["plane", "digits"])
def test_encoding_is_decoding_the_codes(quantizer, spec):
    net, x = model(spec, quantizer), data(spec)
    codes = net.quantize(x).codes
    assert codes.shape == (9, 4)
    z = net.encode(x)
    torch.testing.assert_close(z, net.quantizer.decode_codes(codes).flatten(1))
    torch.testing.assert_close(net.reconstruct(x), net.decode(z))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)
def test_samples_of_codes_follow_the_prior(make, conditional):
    classes = 2 if conditional else None
    torch.manual_seed(0)
    prior = make(num_codes=3, length=2, num_classes=classes).eval()
    for parameter in prior.parameters():
        parameter += 0.5 * torch.randn(parameter.shape)
    every, n = torch.cartesian_prod(torch.arange(3), torch.arange(3)), 20_000
    y = torch.ones(n, dtype=torch.int64) if conditional else None
    codes = prior.sample(n, y=y, noise=noise(n))
    share = torch.bincount(codes[:, 0] * 3 + codes[:, 1], minlength=9) / n
    torch.testing.assert_close(share, prior.log_prob(every, None if y is None else y[:9]).exp(), rtol=0, atol=0.015)


@torch.no_grad()
@pytest.mark.parametrize(("temperature", "expected"), [(1e9, [1 / 3, 1 / 3, 1 / 3]), (0.01, [0, 0, 1])])
def test_temperature_goes_from_the_likeliest_code_to_the_uniform_prior(temperature, expected):
    torch.manual_seed(0)
    prior = SMALL(num_codes=3, length=1, num_classes=None)
    prior.net.last.bias.copy_(torch.tensor([0.0, -1.0, 2.0]))
    codes = prior.sample(5000, noise=noise(5000), temperature=temperature)
    share = torch.bincount(codes.flatten(), minlength=3) / 5000
    torch.testing.assert_close(share, torch.tensor(expected, dtype=share.dtype), rtol=0, atol=0.03)


def test_the_uniform_prior_is_uniform():
    prior = UniformPrior(num_codes=5, length=3, num_classes=None)
    torch.testing.assert_close(prior.log_prob(torch.zeros(2, 3).long()), torch.full((2,), -3 * math.log(5)))
    share = torch.bincount(prior.sample(4000, noise=noise(4000)).flatten(), minlength=5) / 12_000
    torch.testing.assert_close(share, torch.full((5,), 0.2), rtol=0, atol=0.02)
    assert not list(prior.parameters())


@every_prior
def test_a_code_depends_on_its_own_noise_alone(prior):
    net: CodePrior = prior(num_codes=6, length=4, num_classes=None)
    whole = net.sample(6, noise=noise(6))
    assert torch.equal(net.sample(2, noise=noise(2, 3)), whole[3:5])
    assert len(whole.unique(dim=0)) > 1


@torch.no_grad()
def test_the_models_temperature_reaches_the_prior():
    hot, cold = (model(DIGITS, temperature=temperature) for temperature in (1.0, 0.01))
    for net in (hot, cold):
        net.prior.net.last.weight.zero_()
        net.prior.net.last.bias.copy_(torch.arange(6.0) / 3)
    assert len(cold.sample(20, noise=noise(20)).unique(dim=0)) == 1
    assert len(hot.sample(20, noise=noise(20)).unique(dim=0)) > 10


@pytest.mark.parametrize("draw_pixels", [False, True])
def test_everything_it_makes_is_inside_the_datas_range(draw_pixels):
    net = model(DIGITS, draw_pixels=draw_pixels)
    with torch.no_grad():
        net.decoder.linear.bias.copy_(5 * torch.randn(64))
    for made in (net.sample(4, noise=noise(4)), net.reconstruct(data(DIGITS))):
        assert made.abs().max() <= 1


@torch.no_grad()
def test_the_label_enters_encoder_decoder_and_prior():
    net, x = model(DIGITS, prior=SMALL, conditional=True), torch.zeros(2, 1, 8, 8)
    a, b = torch.tensor([0, 1]), torch.tensor([1, 2])
    for table in (net.encoder.table, net.decoder.table):
        torch.nn.init.normal_(table.weight)
    torch.nn.init.normal_(net.prior.net.begin.weight)
    assert not torch.equal(net.quantize(x, a).codes, net.quantize(x, b).codes)
    codes = net.quantize(x, a).codes
    assert ((net.prior.log_prob(codes, a) - net.prior.log_prob(codes, b)).abs() > 1e-4).all()
    z = net.encode(x, a)
    assert ((net.decode(z, a) - net.decode(z, b)).abs().flatten(1).amax(1) > 1e-4).all()
    for call in (net.encode, net.reconstruct, net.log_prob):
        with pytest.raises(ConfigError, match="conditional"):
            call(x)


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match="heads"):
        TransformerPrior(num_codes=4, length=2, num_classes=None, features=10, heads=4)


def test_labels_are_refused_where_the_data_has_none():
    with pytest.raises(ConfigError, match="no labels"):
        model(DataSpec(shape=(2,), modality="vector"), conditional=True)
