"""Spectral normalisation: the bound against an SVD, and that the state survives copying and storing."""

import copy

import pytest
import torch
from torch import nn

from genkit.nn.mlp import MLP
from genkit.nn.spectral import NORMALISED, spectrally_normalised
from genkit.nn.strided_conv import StridedConv

NETWORKS = {
    "mlp": lambda: MLP(in_shape=(2,), out_shape=(3,), num_classes=4, width=16, depth=2),
    "encoder": lambda: StridedConv(in_shape=(1, 8, 8), out_shape=(3,), num_classes=4, channels=(8, 8), attention=True),
    "decoder": lambda: StridedConv(in_shape=(5,), out_shape=(1, 8, 8), num_classes=4, channels=(8, 8), attention=True),
}
INPUTS = {"mlp": (6, 2), "encoder": (6, 1, 8, 8), "decoder": (6, 5)}
over_networks = pytest.mark.parametrize("name", NETWORKS)
Y = torch.arange(6) % 4


def used(name: str, passes: int) -> nn.Module:
    torch.manual_seed(0)
    network = spectrally_normalised(NETWORKS[name]()).train()
    with torch.no_grad():
        for _ in range(passes):
            network(torch.randn(INPUTS[name]), y=Y)
    return network


def matrix(layer: nn.Module) -> torch.Tensor:
    """As power iteration sees it: outputs first."""
    weight = layer.weight
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


@over_networks
def test_every_weight_has_norm_one_after_a_few_passes(name):
    layers = [layer for layer in used(name, 60).eval().modules() if isinstance(layer, NORMALISED)]
    assert len(layers) > 4
    for layer in layers:
        assert torch.linalg.svdvals(matrix(layer))[0].item() == pytest.approx(1, abs=0.02)


def test_a_normalised_linear_layer_stretches_nothing():
    torch.manual_seed(0)
    layer = spectrally_normalised(nn.Linear(6, 9))
    for _ in range(50):
        layer(torch.randn(3, 6))
    a, b = torch.randn(2, 100, 6)
    assert ((layer(a) - layer(b)).norm(dim=1) <= 1.001 * (a - b).norm(dim=1)).all()


@over_networks
def test_evaluation_changes_nothing(name):
    network = used(name, 3).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x = torch.randn(INPUTS[name])
    assert torch.equal(network(x, y=Y), network(x, y=Y))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@over_networks
def test_copies_and_models_built_without_memory_take_over_the_state(name):
    network = used(name, 3).eval()
    copied = copy.deepcopy(network)
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in spectrally_normalised(NETWORKS[name]()).state_dict().items()}
    assert shapes == {key: value.shape for key, value in network.state_dict().items()}
    fresh = spectrally_normalised(NETWORKS[name]()).eval()
    fresh.load_state_dict(network.state_dict())
    x = torch.randn(INPUTS[name])
    for other in (copied, fresh):
        assert torch.equal(other(x, y=Y), network(x, y=Y))
    assert not {id(p) for p in copied.parameters()} & {id(p) for p in network.parameters()}
