"""The causal transformer: what a position sees, learning an entropy; its laws as a causal network stand with models."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.nn.attention import SelfAttention
from genkit.nn.transformer import CausalTransformer, TransformerBlock
from genkit.noise import generator_of

K, T = 5, 7


def transformer(num_classes: int | None = None, **options) -> CausalTransformer:
    """Away from its start, where the logits hardly differ."""
    torch.manual_seed(0)
    sizes = {"shape": (T,), "inputs": K, "outputs": K}
    net = CausalTransformer(**sizes, num_classes=num_classes, features=16, depth=2, heads=2, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    return net.eval()


def tokens(n: int = 3) -> Tensor:
    return torch.randint(K, (n, T), generator=generator_of(0, "tokens"))


@torch.no_grad()
def test_attention_is_the_softmax_average_over_the_past():
    torch.manual_seed(0)
    net, h = SelfAttention(8, heads=2, causal=True), torch.randn(3, 5, 8)
    q, k, v = net.qkv(h).chunk(3, dim=2)
    parts = []
    for qh, kh, vh in zip(q.chunk(2, 2), k.chunk(2, 2), v.chunk(2, 2), strict=True):
        scores = qh @ kh.transpose(1, 2) / 4**0.5
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
        parts.append(scores.softmax(2) @ vh)
    torch.testing.assert_close(net(h), net.out(torch.cat(parts, 2)))


@torch.no_grad()
def test_attention_without_a_mask_knows_no_order():
    torch.manual_seed(0)
    net, h, order = SelfAttention(8, heads=2), torch.randn(2, 6, 8), torch.randperm(6)
    torch.testing.assert_close(net(h[:, order]), net(h)[:, order])


@torch.no_grad()
@pytest.mark.parametrize("t", range(T))
def test_a_token_changes_the_logits_after_it_and_no_others(t):
    net, a = transformer(), tokens()
    b = a.clone()
    b[:, t] = (b[:, t] + 1) % K
    moved = (net(a) - net(b)).abs().amax((0, 2))
    assert moved[: t + 1].max() == 0
    assert t == T - 1 or moved[t + 1 :].min() > 1e-4


@torch.no_grad()
def test_the_label_reaches_every_position_and_is_asked_for():
    net, a = transformer(4), tokens(2)
    moved = (net(a, torch.tensor([0, 1])) - net(a, torch.tensor([2, 3]))).abs().amax(2)
    assert moved.min() > 1e-4
    with pytest.raises(ValueError, match="needs y"):
        net(a)


@torch.no_grad()
def test_positions_differ_and_examples_do_not_mix():
    net, a = transformer(), torch.zeros(2, T, dtype=torch.int64)
    assert (net(a)[0, 1:] - net(a)[0, :-1]).abs().amax(1).min() > 1e-4
    torch.testing.assert_close(net(tokens())[1:2], net(tokens()[1:2]), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_alone():
    net, a = transformer(dropout=0.5), tokens()
    assert torch.equal(net(a), net(a))
    net.train()
    assert (net(a) - net(a)).abs().max() > 1e-3


def test_a_block_that_sees_everything_serves_other_networks():
    torch.manual_seed(0)
    block, h = TransformerBlock(8, heads=2), torch.randn(2, 6, 8)
    changed = h.clone()
    changed[:, -1] = torch.randn(2, 8)
    assert (block(changed) - block(h)).abs().amax((0, 2)).min() > 1e-5


def test_it_learns_a_known_distribution_to_its_entropy():
    """Two labels; each token repeats the one before with probability 0.8, else steps on by the label plus one."""
    torch.manual_seed(0)
    net = CausalTransformer(shape=(4,), inputs=3, outputs=3, num_classes=2, features=16, depth=1, heads=2)
    g = generator_of(0, "chain")

    def draw(n: int) -> tuple[Tensor, Tensor]:
        y = torch.randint(2, (n,), generator=g)
        chain = [torch.randint(3, (n,), generator=g)]
        for _ in range(3):
            stays = torch.rand(n, generator=g) < 0.8
            chain.append(torch.where(stays, chain[-1], (chain[-1] + y + 1) % 3))
        return torch.stack(chain, 1), y

    def nll(n: int) -> Tensor:
        c, y = draw(n)
        return F.cross_entropy(net(c, y).flatten(0, 1), c.flatten()) * 4

    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        nll(128).backward()
        optimizer.step()
    entropy = float(torch.tensor(3.0).log() + 3 * torch.special.entr(torch.tensor([0.8, 0.2])).sum())
    with torch.no_grad():
        assert float(nll(10_000)) == pytest.approx(entropy, abs=0.08)


def test_states_of_earlier_versions_are_read():
    net = transformer(4)
    state = net.state_dict()
    before = {("start.weight" if name == "begin.weight" else name): value for name, value in state.items()}
    other = transformer(4)
    torch.nn.init.zeros_(other.begin.weight)
    other.load_state_dict(before)
    assert torch.equal(other.begin.weight, net.begin.weight)
