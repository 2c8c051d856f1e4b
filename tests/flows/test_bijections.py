"""Laws that every bijection obeys: the inverse undoes it, and its log-determinant is the one autograd finds."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.flows.autoregressive import MaskedAutoregressive
from genkit.flows.border import Border
from genkit.flows.causal import CausalNetwork, CausalTransform, Patches
from genkit.flows.coupling import GAIN, Additive, Affine, CouplingLayer, Elementwise, Marginal
from genkit.flows.linear import ActNorm, LULinear, Permutation, Scaling
from genkit.flows.mixture import LogisticMixture
from genkit.flows.multiscale import Multiscale, Squeeze
from genkit.flows.spline import RationalQuadratic
from genkit.flows.transform import Chain, Logit, Rescale, Reshape, Transform
from genkit.nn.mlp import MLP
from genkit.nn.residual_conv import ResidualConv
from genkit.noise import generator_of

SPLINE = RationalQuadratic(bins=5, bound=2.0)
SMALL_MLP, SMALL_CONV = partial(MLP, width=16, depth=1), partial(ResidualConv, width=8, depth=1)


def coupling(elementwise: Elementwise, num_classes: int | None = None) -> CouplingLayer:
    return CouplingLayer(
        elementwise, shape=(4,), keep=[0, 3], change=[2, 1], network=SMALL_MLP, num_classes=num_classes
    )


def conv_coupling(channels: int, size: int) -> CouplingLayer:
    half = channels // 2
    keep, change = range(half), range(half, channels)
    return CouplingLayer(SPLINE, shape=(channels, size, size), keep=keep, change=change, network=SMALL_CONV)


def multiscale(size: int, num_levels: int) -> Multiscale:
    levels = [conv_coupling(4, size // 2 ** (level + 1)) for level in range(num_levels)]
    top = Marginal(SPLINE, shape=((size // 2**num_levels) ** 2,))
    return Multiscale((1, size, size), levels, [1] * num_levels, top)


def border(shape: tuple[int, ...], num_classes: int | None = None) -> Border:
    return Border(SPLINE, shape=shape, network=SMALL_CONV, num_classes=num_classes, gain=GAIN)


def odd_multiscale() -> Multiscale:
    """5x7 without its border is halved to 2x3, and that without its border to 1x1."""
    levels = [CouplingLayer(SPLINE, shape=(4, *size), keep=[0, 1], change=[2, 3], network=SMALL_CONV)
              for size in ((2, 3), (1, 1))]  # fmt: skip
    return Multiscale((1, 5, 7), levels, [1, 1], Marginal(SPLINE, shape=(1,)), border)


def causal(backwards: bool = False, num_classes: int | None = None) -> CausalTransform:
    """On three patches of two values."""
    network = CausalNetwork(3, 2, 4, num_classes, features=8, depth=2, heads=2)
    return CausalTransform(Affine(), network, backwards)


def rng() -> torch.Generator:
    return generator_of(0, "test")


TABLE: dict[str, tuple[Callable[[], Transform], tuple[int, ...], int | None]] = {
    "rescale": (lambda: Rescale(-3.0, 5.0), (4,), None),
    "logit": (lambda: Logit(-9.0, 9.0, 0.01), (4,), None),
    "reshape": (lambda: Reshape((2, 2, 3), (12,)), (2, 2, 3), None),
    "scaling": (lambda: Scaling(4), (4,), None),
    "additive": (lambda: coupling(Additive()), (4,), None),
    "actnorm": (lambda: ActNorm(3), (3,), None),
    "actnorm-image": (lambda: ActNorm(2), (2, 2, 3), None),
    "lu": (lambda: LULinear(4, rng()), (4,), None),
    "lu-order": (lambda: LULinear(3, [2, 0, 1]), (3, 2, 2), None),
    "lu-image": (lambda: LULinear(3, rng()), (3, 2, 2), None),
    "permutation": (lambda: Permutation(torch.tensor([2, 0, 1])), (3, 2, 2), None),
    "squeeze": (lambda: Squeeze(), (2, 4, 2), None),
    "affine": (lambda: coupling(Affine()), (4,), None),
    "affine-labels": (lambda: coupling(Affine(), num_classes=3), (4,), 3),
    "spline": (lambda: coupling(SPLINE), (4,), None),
    "spline-labels": (lambda: coupling(SPLINE, num_classes=3), (4,), 3),
    "spline-image": (lambda: conv_coupling(2, 3), (2, 3, 3), None),
    "marginal-affine": (lambda: Marginal(Affine(), shape=(2, 2)), (2, 2), None),
    "marginal-additive": (lambda: Marginal(Additive(), shape=(4,)), (4,), None),
    "marginal-mixture": (lambda: Marginal(LogisticMixture(3), shape=(4,)), (4,), None),
    "marginal": (lambda: Marginal(SPLINE, shape=(2, 2)), (2, 2), None),
    "marginal-labels": (lambda: Marginal(SPLINE, shape=(4,), num_classes=3), (4,), 3),
    "autoregressive": (lambda: MaskedAutoregressive(SPLINE, 4, width=16, depth=1), (4,), None),
    "autoregressive-waves": (lambda: MaskedAutoregressive(SPLINE, 3, width=16, depth=1, octaves=2), (3,), None),
    "mixture": (lambda: coupling(LogisticMixture(3)), (4,), None),
    "autoregressive-mixture": (lambda: MaskedAutoregressive(LogisticMixture(3), 3, width=16, depth=1), (3,), None),
    "autoregressive-affine": (lambda: MaskedAutoregressive(Affine(), 3, width=16, depth=1), (3,), None),
    "autoregressive-labels": (lambda: MaskedAutoregressive(SPLINE, 4, width=16, depth=1, num_classes=3), (4,), 3),
    "causal": (causal, (3, 2), None),
    "causal-backwards-labels": (lambda: causal(backwards=True, num_classes=3), (3, 2), 3),
    "patches": (lambda: Patches((2, 4, 6), 2), (2, 4, 6), None),
    "chain": (lambda: Chain([ActNorm(4), coupling(SPLINE), LULinear(4, rng()), coupling(Affine())]), (4,), None),
    "multiscale-4x4": (lambda: multiscale(4, 2), (1, 4, 4), None),
    "border-row": (lambda: border((2, 3, 2)), (2, 3, 2), None),
    "border-column-labels": (lambda: border((1, 2, 3), num_classes=3), (1, 2, 3), 3),
    "border-both": (lambda: border((2, 3, 3)), (2, 3, 3), None),
    "multiscale-odd": (odd_multiscale, (1, 5, 7), None),
    "multiscale-6x6-odd-top": (lambda: multiscale(6, 1), (1, 6, 6), None),
}


def bent(make: Callable[[], Transform]) -> Transform:
    """The transform away from its start, where many of them are the identity."""
    transform, generator = make(), generator_of(1, "parameters")
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter += 0.15 * torch.randn(parameter.shape, generator=generator)
    return transform.eval()


def inputs(shape: tuple[int, ...], num_classes: int | None, batch: int) -> tuple[Tensor, Tensor | None]:
    x = 1.5 * torch.randn(batch, *shape, generator=generator_of(2, "x"))  # some of it in the tails of the splines
    return x, None if num_classes is None else torch.arange(batch) % num_classes


@pytest.mark.parametrize("name", TABLE)
def test_inverse_undoes_forward(name: str) -> None:
    make, shape, num_classes = TABLE[name]
    x, y = inputs(shape, num_classes, 64)
    transform = bent(make).double()
    with torch.no_grad():
        torch.testing.assert_close(transform.inverse(transform(x.double(), y)[0], y), x.double(), rtol=0, atol=1e-9)
        transform = transform.float()
        scale = x.abs().max()  # float32 is relative
        assert (transform.inverse(transform(x, y)[0], y) - x).abs().max() < 1e-5 * scale


@pytest.mark.parametrize("name", TABLE)
def test_log_abs_det_is_the_one_of_autograd(name: str) -> None:
    make, shape, num_classes = TABLE[name]
    x, y = inputs(shape, num_classes, 3)
    x, transform = x.double(), bent(make).double()
    found = transform(x, y)[1]
    assert found.shape == (3,)
    for i in range(3):
        label = None if y is None else y[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(lambda v, label=label: transform(v, label)[0], x[i : i + 1])
        expected = torch.linalg.slogdet(jacobian.reshape(x[0].numel(), x[0].numel()))[1]
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in TABLE if "labels" in name])
def test_labels_change_the_map(name: str) -> None:
    make, shape, _ = TABLE[name]
    x, _ = inputs(shape, None, 1)
    transform = bent(make)
    assert (transform(x, torch.tensor([0]))[0] - transform(x, torch.tensor([1]))[0]).abs().max() > 1e-3
