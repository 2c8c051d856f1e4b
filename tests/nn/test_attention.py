"""Self-attention over positions: the identity at the start, then a function that knows no order of positions."""

import pytest
import torch

from genkit.nn.attention import SelfAttention2d
from genkit.noise import generator_of


@pytest.fixture
def x():
    return torch.randn(2, 8, 3, 5, generator=generator_of(0, "x"))


def trained(heads: int = 4) -> SelfAttention2d:
    torch.manual_seed(0)
    net = SelfAttention2d(8, heads=heads)
    torch.nn.init.normal_(net.out.weight)
    return net


def test_it_starts_as_the_identity(x):
    assert torch.equal(SelfAttention2d(8)(x), x)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_permuted_positions_give_permuted_outputs(x, heads):
    net, order = trained(heads), torch.randperm(15, generator=generator_of(0, "order"))
    permuted = x.flatten(2)[:, :, order].reshape(x.shape)
    expected = net(x).flatten(2)[:, :, order].reshape(x.shape)
    torch.testing.assert_close(net(permuted), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_it_is_the_softmax_average_of_values_per_head(x, heads):
    net = trained(heads)
    q, k, v = net.qkv(net.norm(x)).flatten(2).chunk(3, dim=1)  # each (B, C, HW)
    parts = []
    for qh, kh, vh in zip(q.chunk(heads, 1), k.chunk(heads, 1), v.chunk(heads, 1), strict=True):
        weights = (qh.transpose(1, 2) @ kh / qh.shape[1] ** 0.5).softmax(2)
        parts.append(vh @ weights.transpose(1, 2))
    expected = x + net.out(torch.cat(parts, 1).reshape(x.shape))
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4)


def test_one_position_reaches_all_others(x):
    net = trained()
    changed = x.clone()
    changed[:, ::2, 0, 0] += 3
    moved = (net(changed) - net(x)).abs().amax((0, 1))
    assert (moved > 1e-4).all()
