"""Coding by models: everything comes back, at the price that the model's own likelihood names, whatever the batch."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from test_sequence_models import NETWORKS, SPECS, documents, everything, model_of
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, DataError
from genkit.models.base import Density, GenerativeModel
from genkit.models.entropy_coding import VALUES, Coded, decode, encode
from genkit.models.likelihood import DiscretizedLogistic
from genkit.models.quantized.code_prior import UniformPrior
from genkit.models.quantized.quantized_vae import QuantizedVAE
from genkit.models.quantized.quantizer import FiniteScalarQuantizer, VectorQuantizer
from genkit.models.vae.prior import VampPrior
from genkit.models.vae.vae import VAE
from genkit.nn.conv import Conv
from genkit.nn.mlp import MLP

SPEC = DataSpec((1, 4, 4), "image", value_range=(-1.0, 1.0), levels=5, num_classes=3)
BINARY = DataSpec((1, 4, 4), "image", value_range=(-1.0, 1.0), levels=2)
NET = partial(MLP, width=16, depth=1)


def drawn(spec: DataSpec, n: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(n)
    v = torch.randint(spec.levels or 2, (n, *spec.shape), generator=draw).to(spec.kind.stored_dtype)
    return v, torch.randint(spec.num_classes or 1, (n,), generator=draw)


def bits(model: Density, v: Tensor, y: Tensor | None = None) -> float:
    """−log2 P of all stored values."""
    nats = model.nll(v, y).double().sum() - len(v) * model.spec.dim * model.spec.kind.log_volume
    return float(nats) / math.log(2)


def moved(model: GenerativeModel) -> GenerativeModel:
    """With weights that are none of the first ones."""
    torch.manual_seed(3)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("data", ["tokens", "documents", "colour image", "vector"])
def test_an_autoregressive_model_codes_at_its_own_likelihood(network: str, data: str) -> None:
    model = model_of(network, data).float()
    x = torch.cat((documents(4), everything(data))) if data == "documents" else everything(data)
    v = SPECS[data].unscale(x)
    coded = encode(model, v, block=50)
    found, labels = decode(model, coded)
    assert torch.equal(found, v)
    assert labels is None
    own = bits(model, v)
    assert coded.ideal_bits == pytest.approx(own, rel=1e-5)
    assert 8 * len(coded.sections[VALUES]) == pytest.approx(own, rel=0.001, abs=17)


MODELS = {
    "vq": partial(QuantizedVAE, tokens=3, backbone=NET, quantizer=VectorQuantizer(num_codes=6, channels=2)),
    "fsq": partial(QuantizedVAE, tokens=3, backbone=NET, quantizer=FiniteScalarQuantizer((3, 2)), prior=UniformPrior),
    "vae": partial(VAE, latent_dim=3, backbone=NET),
    "vae by convolutions": partial(VAE, latent_dim=2, backbone=Conv),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("spec", [SPEC, BINARY], ids=["five levels", "binary"])
def test_models_with_latents_return_what_they_were_given(name: str, spec: DataSpec) -> None:
    model = moved(MODELS[name](spec=spec))
    v, _ = drawn(spec, 60)
    coded = encode(model, v, block=16)
    assert torch.equal(decode(model, coded)[0], v)
    assert isinstance(model, Density)
    own = bits(model, v)
    if coded.ideal_bits is not None:  # the bound of a posterior on one code is exact
        assert coded.ideal_bits == pytest.approx(own, rel=1e-5)
        assert 8 * len(coded.sections[VALUES]) == pytest.approx(own, rel=0.001, abs=17)
    else:  # of one draw for each example, where the bound is the mean of sixteen
        net = 8 * len(coded.sections[VALUES]) - coded.facts["initial_bits"]
        assert net == pytest.approx(own, rel=0.05)


@pytest.mark.parametrize("name", ["made", "vae", "vq"])
def test_labels_are_kept_and_make_examples_cheaper_to_tell(name: str) -> None:
    model = (
        moved(model_of(name, "tokens", conditional=True).float())
        if name == "made"
        else moved(MODELS[name](spec=SPEC, conditional=True))
    )
    v, y = drawn(SPEC, 40)
    if name == "made":
        v, y = everything("tokens")[:40], torch.arange(40) % 2
    coded = encode(model, v, y, num_labels=3)
    found, labels = decode(model, coded)
    assert torch.equal(found, v)
    assert labels is not None
    assert torch.equal(labels, y)
    assert len(coded.sections["labels"]) <= 40 * math.log2(3) / 8 + 3
    with pytest.raises(ConfigError, match="needs labels"):
        encode(model, v)


def test_blocks_and_threads_change_no_value() -> None:
    """A decoder that evaluates in other batches than the encoder reads the same message."""
    model = model_of("pixel_cnn", "wide image").float()
    v = SPECS["wide image"].unscale(everything("wide image"))[:8]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        messages = {block: encode(model, v, block=block) for block in (1, 3, 8)}
        torch.set_num_threads(1)
        for coded in messages.values():
            assert torch.equal(decode(model, coded)[0], v)
    finally:
        torch.set_num_threads(before)
    sizes = [len(coded.sections[VALUES]) for coded in messages.values()]
    assert max(sizes) - min(sizes) <= 1


def test_another_model_reads_something_else_or_says_so() -> None:
    v = SPECS["image"].unscale(everything("image"))
    coded = encode(model_of("made", "image").float(), v)
    try:
        found, _ = decode(model_of("gpt", "image").float(), coded)
    except DataError:
        return
    assert not torch.equal(found, v)


def test_bits_that_are_left_over_are_noticed() -> None:
    v, _ = drawn(SPEC, 20)
    one, other = (moved(VAE(spec=SPEC, latent_dim=dim, backbone=NET)) for dim in (3, 2))
    with pytest.raises(DataError):
        decode(other, encode(one, v))


def test_weights_are_as_before() -> None:
    model = moved(MODELS["vae"](spec=BINARY))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    encode(model, drawn(BINARY, 3)[0])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(tensor.dtype == before[name].dtype for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: VAE(spec=DataSpec((2,), "vector"), backbone=NET), "takes data with levels"),
        (lambda: QuantizedVAE(spec=DataSpec((2,), "vector"), backbone=NET), "takes data with levels"),
        (lambda: VAE(spec=SPEC, prior=VampPrior, backbone=NET), "no standard normal"),
    ],
)
def test_a_model_of_values_that_cannot_be_counted_is_refused(model, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        encode(model(), torch.zeros(1, 2))


@pytest.mark.parametrize("facts", [{}, {"n": 0}, {"n": 3, "coder": "zip"}, {"n": 3, "coder": "range", "block": -1}])
def test_facts_that_no_encoder_writes_are_refused(facts: dict[str, object]) -> None:
    model = model_of("made", "image").float()
    with pytest.raises(DataError):
        decode(model, Coded({VALUES: b"abc"}, facts))


def test_documents_that_symbols_do_not_tell_are_refused() -> None:
    model = model_of("made", "documents").float()
    with pytest.raises(DataError, match="padded without an end"):
        encode(model, torch.tensor([[0, 1, 3, 3]]))
    with pytest.raises(DataError, match="goes on after its end"):
        encode(model, torch.tensor([[0, 2, 1, 3]]))


def test_levels_of_a_likelihood_have_all_the_mass() -> None:
    from genkit.models.codes import level_scores

    likelihood = DiscretizedLogistic(spec=SPEC)
    scores = level_scores(likelihood, torch.randn(3, *SPEC.shape))
    assert scores.shape == (3, 16, 5)
    assert torch.allclose(scores.logsumexp(2), torch.zeros(3, 16), atol=1e-5)
