"""Strided convolutions: any image to a vector and back; examples stay apart; attention begins as nothing."""

import pytest
import torch

from genkit.errors import ConfigError
from genkit.nn.strided_conv import GatedAttention2d, StridedConv
from genkit.noise import generator_of

SIZES = [(1, 8, 8), (1, 28, 28), (3, 7, 10), (1, 3, 5), (3, 64, 32)]


def net(in_shape, out_shape, **options) -> StridedConv:
    torch.manual_seed(0)
    return StridedConv(in_shape=in_shape, out_shape=out_shape, **({"channels": (8, 16, 24)} | options))


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("image", SIZES, ids=str)
def test_images_to_vectors_and_back(image, attention):
    x, z = torch.randn(3, *image), torch.randn(3, 6)
    assert net(image, (5,), attention=attention)(x).shape == (3, 5)
    assert net((6,), image, attention=attention)(z).shape == (3, *image)


@pytest.mark.parametrize("direction", ["encoder", "decoder"])
def test_an_example_depends_on_itself_alone_and_on_its_label(direction):
    shapes = [(1, 8, 8), (5,)] if direction == "encoder" else [(5,), (1, 8, 8)]
    network = net(*shapes, num_classes=3, attention=True).train()
    x, y = torch.randn(4, *shapes[0], generator=generator_of(0, "x")), torch.tensor([0, 1, 2, 0])
    whole = network(x, y=y)
    torch.testing.assert_close(network(x[2:3], y=y[2:3]), whole[2:3], rtol=1e-4, atol=1e-5)
    assert (network(x, y=(y + 1) % 3) - whole).flatten(1).abs().amax(1).min() > 1e-5


@pytest.mark.parametrize(
    ("shapes", "option", "normalised"),
    [
        (((5,), (1, 8, 8)), "batch_norm", lambda net: net.first.conv[0]),
        (((1, 8, 8), (5,)), "encoder_batch_norm", lambda net: net.layers[1].conv),
    ],
    ids=["decoder", "encoder"],
)
def test_a_normalisation_over_the_batch_forgets_what_its_examples_share_until_samples_are_drawn(
    shapes, option, normalised
):
    network = net(*shapes, **{option: True}).train()
    z = torch.randn(8, *shapes[0], generator=generator_of(0, "z"))
    with torch.no_grad():
        for _ in range(200):  # running means settle
            whole = network(z)
        drawn = network.eval()(z)
        torch.testing.assert_close(network(z[2:3]), drawn[2:3], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(drawn, whole, rtol=0.2, atol=0.1)
        normalised(network.net).bias += 3.0
        torch.testing.assert_close(network.train()(z), whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shapes", [((5,), (1, 32, 32)), ((1, 32, 32), (5,))], ids=["decoder", "encoder"])
def test_weights_begin_with_the_spread_that_is_asked_for(shapes):
    network = net(*shapes, init_std=0.02).net
    layers = [part for part in network.modules() if hasattr(part, "weight") and part.weight.ndim > 1]
    if isinstance(network.last, torch.nn.Linear):
        layers.remove(network.last)
    assert len(layers) == (4 if shapes[0] == (5,) else 3)
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.2)
        assert layer.weight.mean().abs() < 0.005


def test_the_first_layer_of_an_encoder_is_not_normalised():
    network = net((1, 8, 8), (5,), encoder_batch_norm=True).train()
    x = torch.randn(8, 1, 8, 8, generator=generator_of(0, "x"))
    with torch.no_grad():
        before = network(x)
        network.net.layers[0].conv.bias += 3.0
    assert (network(x) - before).abs().max() > 1e-2


def test_attention_begins_as_the_identity_and_looks_everywhere_when_its_gate_opens():
    torch.manual_seed(0)
    attention, x = GatedAttention2d(8), torch.randn(1, 8, 4, 4, requires_grad=True)
    assert torch.equal(attention(x), x)
    with torch.no_grad():
        attention.gate.fill_(1.0)
    (gradient,) = torch.autograd.grad(attention(x)[0, 0, 0, 0], x, create_graph=True)
    assert gradient.abs().amax(1).min() > 0  # every position
    (second,) = torch.autograd.grad(gradient.square().sum(), x)  # what gradient penalties need
    assert second.isfinite().all()
    assert second.abs().max() > 0


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "options"),
    [
        ((2,), (1,), {}),
        ((1, 8, 8), (1, 8, 8), {}),
        ((1, 2, 8), (4,), {}),
        ((1, 8, 8), (4,), {"time": True}),
        ((1, 8, 8), (4,), {"channels": ()}),
        ((1, 8, 8), (4,), {"channels": (12, 8), "attention": True}),
    ],
)
def test_what_it_cannot_map_is_refused_in_one_line(in_shape, out_shape, options):
    with pytest.raises(ConfigError, match=r"backbone[=.]") as error:
        net(in_shape, out_shape, **options)
    assert "\n" not in str(error.value)
