"""The contract of a network on a table of networks and shapes: shape out, gradients everywhere, inputs that count."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from genkit.errors import ConfigError
from genkit.nn.backbone import Backbone
from genkit.nn.conv import Conv
from genkit.nn.default import default_backbone
from genkit.nn.dit import DiT
from genkit.nn.mlp import MLP
from genkit.nn.residual_conv import ResidualConv
from genkit.nn.unet import UNet
from genkit.noise import generator_of

Shape = tuple[int, ...]
SMALL_MLP, SMALL_CONV = partial(MLP, width=16, depth=2), partial(Conv, channels=(8, 16, 16))
SMALL_UNET = partial(UNet, channels=(8, 16))
IMAGES: list[Shape] = [(1, 8, 8), (1, 28, 28), (3, 27, 31)]
CASES: list[tuple[str, Callable[..., Backbone], Shape, Shape]] = [
    ("mlp", SMALL_MLP, (2,), (2,)),
    ("mlp", SMALL_MLP, (1,), (5,)),
    ("mlp-odd", partial(MLP, width=15, depth=1), (2,), (2,)),
    ("mlp-deep", partial(MLP, width=9, depth=4), (2,), (1,)),
    ("mlp", SMALL_MLP, (1, 8, 8), (1, 8, 8)),
    ("mlp", SMALL_MLP, (3, 27, 31), (4,)),
    *[("conv", SMALL_CONV, image, (7,)) for image in IMAGES],
    *[("conv", SMALL_CONV, (7,), image) for image in IMAGES],
    ("conv-small", SMALL_CONV, (1, 3, 2), (7,)),
    *[("unet", SMALL_UNET, image, image) for image in IMAGES],
    *[("dit", partial(DiT, width=16, depth=2), image, image) for image in IMAGES],
    ("dit-channels", partial(DiT, width=8, depth=1, heads=2, patch=3), (1, 8, 8), (3, 8, 8)),
    ("unet-channels", SMALL_UNET, (1, 8, 8), (3, 8, 8)),
    ("unet-deep", partial(UNet, channels=(8, 8, 16), blocks=2, patch=1, attention=False), (1, 9, 6), (1, 9, 6)),
    *[("residual_conv", partial(ResidualConv, width=8, depth=2), image, (5, *image[1:])) for image in IMAGES],
    *[("default", default_backbone, a, b) for a, b in [((2,), (2,)), ((1, 8, 8), (1, 8, 8)), ((1, 8, 8), (2,))]],
]
INPUTS = {"plain": (None, False), "labels": (4, False), "time": (None, True), "both": (4, True)}
TABLE = [
    pytest.param(make, a, b, *INPUTS[given], id=f"{name}-{'x'.join(map(str, a))}-{'x'.join(map(str, b))}-{given}")
    for name, make, a, b in CASES
    for given in INPUTS
    if not (name == "residual_conv" and INPUTS[given][1])
]
over_the_table = pytest.mark.parametrize(("make", "in_shape", "out_shape", "num_classes", "time"), TABLE)


def network(make: Callable[..., Backbone], in_shape: Shape, out_shape: Shape, num_classes: int | None, time: bool):
    """A network moved away from its start, where some layers are zero."""
    torch.manual_seed(0)
    net = make(in_shape=in_shape, out_shape=out_shape, num_classes=num_classes, time=time)
    g = generator_of(0, "parameters")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=g)
    return net


def inputs(in_shape: Shape, num_classes: int | None, time: bool, n: int = 3) -> dict[str, Tensor | None]:
    g = generator_of(0, "inputs")
    return {
        "x": torch.randn(n, *in_shape, generator=g),
        "t": torch.linspace(-1, 1, n) if time else None,
        "y": torch.arange(n) % num_classes if num_classes is not None else None,
    }


@over_the_table
def test_output_shape_and_gradients_in_every_row_of_every_parameter(make, in_shape, out_shape, num_classes, time):
    net = network(make, in_shape, out_shape, num_classes, time)
    out = net(**inputs(in_shape, num_classes, time))
    assert out.shape == (3, *out_shape)
    out.square().sum().backward()
    table = {id(m.weight) for m in net.modules() if isinstance(m, nn.Embedding)}  # its rows wait for their label
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        rows = p.grad.reshape(1, -1) if id(p) in table else p.grad.flatten(1) if p.ndim > 1 else p.grad[None]
        assert (rows.abs().amax(1) > 0).all(), name


@over_the_table
def test_every_input_counts_and_examples_do_not_mix(make, in_shape, out_shape, num_classes, time):
    net = network(make, in_shape, out_shape, num_classes, time).eval()
    given = inputs(in_shape, num_classes, time)
    out = net(**given)
    for name, value in given.items():
        if value is not None:
            changed = {**given, name: (value + 1) % num_classes if name == "y" else value + 0.3}
            assert (net(**changed) - out).flatten(1).abs().amax(1).min() > 1e-5, name
    alone = net(**{name: None if value is None else value[1:2] for name, value in given.items()})
    torch.testing.assert_close(alone, out[1:2], rtol=1e-4, atol=1e-5)


@over_the_table
def test_a_state_dict_carries_the_whole_network(make, in_shape, out_shape, num_classes, time):
    net = network(make, in_shape, out_shape, num_classes, time)
    other = make(in_shape=in_shape, out_shape=out_shape, num_classes=num_classes, time=time)
    other.load_state_dict(net.state_dict())
    given = inputs(in_shape, num_classes, time)
    assert torch.equal(net(**given), other(**given))


@pytest.mark.parametrize(
    ("make", "missing"),
    [(make, missing) for make in (SMALL_MLP, SMALL_CONV, SMALL_UNET) for missing in ("t", "y")]
    + [(partial(ResidualConv, width=8), "y")],
)
def test_a_missing_time_or_label_is_refused(make, missing):
    time = make.func is not ResidualConv
    net = make(in_shape=(1, 8, 8), out_shape=(2,) if make is SMALL_CONV else (1, 8, 8), num_classes=4, time=time)
    with pytest.raises(ValueError, match=f"needs {missing}"):
        net(**inputs((1, 8, 8), 4, time) | {missing: None})


@pytest.mark.parametrize(
    ("make", "in_shape", "out_shape", "alternatives"),
    [
        (Conv, (2,), (2,), ["backbone=mlp", "backbone=unet"]),
        (Conv, (1, 8, 8), (1, 8, 8), ["backbone=mlp", "backbone=unet"]),
        (UNet, (2,), (2,), ["backbone=mlp", "backbone=conv"]),
        (UNet, (1, 8, 8), (1, 8, 4), ["backbone=mlp", "backbone=conv"]),
        (UNet, (1, 8, 8), (16,), ["backbone=mlp", "backbone=conv"]),
        (ResidualConv, (1, 8, 8), (1, 4, 8), ["backbone=mlp", "backbone=unet"]),
        (ResidualConv, (4,), (4,), ["backbone=mlp", "backbone=unet"]),
        (partial(ResidualConv, time=True), (1, 8, 8), (1, 8, 8), ["backbone=mlp", "backbone=unet"]),
    ],
)
def test_shapes_that_a_network_cannot_serve_are_refused_with_one_that_can(make, in_shape, out_shape, alternatives):
    with pytest.raises(ConfigError) as error:
        make(in_shape=in_shape, out_shape=out_shape)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in (*alternatives, str(in_shape), str(out_shape)))


@pytest.mark.parametrize(
    ("make", "out_shape", "channels"),
    [(Conv, (2,), ()), (UNet, (1, 8, 8), ()), (UNet, (1, 8, 8), (8, 12)), (UNet, (1, 8, 8), (4,))],
)
def test_widths_that_make_no_network_are_refused_by_their_key(make, out_shape, channels):
    with pytest.raises(ConfigError, match=r"^backbone\.channels"):
        make(in_shape=(1, 8, 8), out_shape=out_shape, channels=channels)


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "kind"),
    [
        ((1, 8, 8), (1, 8, 8), UNet),
        ((1, 8, 8), (3,), Conv),
        ((3,), (1, 8, 8), Conv),
        ((3,), (3,), MLP),
        ((16,), (1,), MLP),
    ],
)
def test_the_shapes_choose_the_network(in_shape, out_shape, kind):
    net: nn.Module = default_backbone(in_shape=in_shape, out_shape=out_shape)
    assert type(net) is kind
