"""What causal networks of images see: all of the past and nothing else, by the gradient."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from genkit.errors import ConfigError
from genkit.nn.made import MADE
from genkit.nn.pixel_cnn import PixelCNN
from genkit.nn.sequence_network import SequenceNetwork, SequenceNetworkFactory

NETWORKS: dict[str, SequenceNetworkFactory] = {
    "made": partial(MADE, features=96, depth=2),
    "pixel_cnn": partial(PixelCNN, features=8, depth=6),
    "pixel_cnn with a wide kernel": partial(PixelCNN, features=8, depth=3, kernel=5, first_kernel=3),
}
SHAPES = [(1, 5, 6), (1, 6, 4), (3, 3, 3), (7,)]


def seen(network: SequenceNetwork, tokens: Tensor) -> Tensor:
    """(T, T): how much the scores of each place move with the embedded token of each other one."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, arguments: object, embedded: Tensor) -> Tensor:
        kept.append(embedded.detach().requires_grad_())
        return kept[-1]

    with network.levels.register_forward_hook(keep):
        scores = network(tokens).abs().sum((0, 2))
    rows = [torch.autograd.grad(score, kept[0], retain_graph=True)[0] for score in scores]
    return torch.stack(rows).flatten(2, -2).abs().sum((1, 3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("network", NETWORKS)
def test_all_of_the_past_is_seen_and_nothing_else(network: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    built = NETWORKS[network](shape=shape, inputs=4, outputs=4, num_classes=None).double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    tokens = torch.randint(4, (4, torch.Size(shape).numel()))
    moved = seen(built, tokens) != 0
    assert torch.equal(moved, torch.ones_like(moved).tril(-1))


def test_few_layers_see_a_window() -> None:
    """One row of 9 pixels, by windows of two pixels in the first layer and one more in each of two others."""
    torch.manual_seed(0)
    built = PixelCNN(shape=(9,), inputs=3, outputs=3, num_classes=None, features=8, depth=2).double().eval()
    with torch.no_grad():
        built.heads[0].out.weight.normal_()
    moved = seen(built, torch.randint(3, (4, 9))) != 0
    assert torch.equal(moved, torch.ones(9, 9).tril(-1).triu(-4).bool())


@pytest.mark.parametrize(("name", "size"), [("kernel", 2), ("first_kernel", 4)])
def test_windows_have_odd_sizes(name: str, size: int) -> None:
    with pytest.raises(ConfigError, match=rf"network\.{name}={size}: windows have an odd size, such as {size + 1}"):
        PixelCNN(shape=(1, 4, 4), inputs=2, outputs=2, num_classes=None, **{name: size})  # type: ignore[arg-type]
