"""What a transformer drops in training."""

import pytest
import torch
from torch import nn

from genkit.nn.gpt import GPT, LONGEST


def test_ngrams_are_dropped_each_as_a_whole_and_their_mean_stays() -> None:
    """Tables that say their own order, and nothing else at the input: each says all or nothing, at random."""
    p = 0.25
    network = GPT(shape=(9,), inputs=5, outputs=5, num_classes=None, features=8, heads=2, ngram_dropout=p)
    nn.init.zeros_(network.tokens.weight)
    for order, table in enumerate(network.ngrams):
        assert isinstance(table, nn.Embedding)
        nn.init.zeros_(table.weight)
        table.weight.data[:, 2 * order : 2 * order + 2] = 1 / network.scale
    tokens = torch.randint(5, (500, 8), generator=torch.Generator().manual_seed(0))
    orders = LONGEST - 1
    whole = network.eval()._embedded(tokens)[..., : 2 * orders]
    torch.testing.assert_close(whole, torch.ones_like(whole))
    torch.manual_seed(0)
    said = network.train()._embedded(tokens)[..., : 2 * orders].unflatten(2, (orders, 2))
    assert torch.equal(said[..., 0], said[..., 1])
    kept = said[..., 0] > 0
    torch.testing.assert_close(said[..., 0][kept], torch.full_like(said[..., 0][kept], 1 / (1 - p)))
    assert [float(share) for share in kept.float().mean((0, 1))] == pytest.approx([1 - p] * orders, abs=0.03)
    assert float(torch.corrcoef(kept.flatten(0, 1).T.float()).tril(-1).abs().max()) < 0.06
