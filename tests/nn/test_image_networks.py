"""What causal networks of images see: all of the past and nothing else, by the gradient."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from genkit.errors import ConfigError
from genkit.nn.made import MADE
from genkit.nn.pixel_cnn import PixelCNN
from genkit.nn.pixel_cnn_pp import PixelCNNPP
from genkit.nn.pixel_rnn import PixelRNN
from genkit.nn.sequence_network import SequenceNetwork, SequenceNetworkFactory

NETWORKS: dict[str, SequenceNetworkFactory] = {
    "made": partial(MADE, features=96, depth=2),
    "pixel_cnn": partial(PixelCNN, features=8, depth=6),
    "pixel_cnn with a wide kernel": partial(PixelCNN, features=8, depth=3, kernel=5, first_kernel=3),
    "pixel_rnn with a window as wide as the image": partial(PixelRNN, features=8, depth=2, first_kernel=13),
}
SHAPES = [(1, 5, 6), (1, 6, 4), (3, 3, 3), (7,)]
PAIRS = [
    *itertools.product(NETWORKS, SHAPES),
    ("pixel_cnn_pp", (1, 5, 6)),  # what a channel says to the next one is no function of its embedding
]
NETWORKS["pixel_cnn_pp"] = partial(PixelCNNPP, features=8, depth=6, mixtures=3)


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


@pytest.mark.parametrize(("network", "shape"), PAIRS, ids=str)
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


def test_a_row_lstm_sees_a_triangle_and_nothing_of_the_future() -> None:
    """From the first window in its own row up, one column more to the right in each row."""
    torch.manual_seed(0)
    built = PixelRNN(shape=(1, 4, 9), inputs=3, outputs=3, num_classes=None, features=8, depth=1, first_kernel=3)
    built.double().eval()
    with torch.no_grad():
        built.heads[0].out.weight.normal_()
    moved = (seen(built, torch.randint(3, (4, 36))) != 0).unflatten(1, (4, 9))[3 * 9 + 2]  # of the last row, column 2
    reach = [int(row.nonzero().max()) if row.any() else -1 for row in moved]
    assert reach == [5, 4, 3, 1]


@pytest.mark.parametrize(("name", "size"), [("kernel", 2), ("first_kernel", 4)])
def test_windows_have_odd_sizes(name: str, size: int) -> None:
    with pytest.raises(ConfigError, match=rf"network\.{name}={size}: windows have an odd size, such as {size + 1}"):
        PixelCNN(shape=(1, 4, 4), inputs=2, outputs=2, num_classes=None, **{name: size})  # type: ignore[arg-type]
