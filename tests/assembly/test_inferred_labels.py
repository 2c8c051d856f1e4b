"""Labels that a completion is not told, by what is known."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.assembly.inference import labels_by_known
from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.models.autoregressive.autoregressive import Autoregressive
from genkit.noise import SampleNoise

SPEC = DataSpec((2,), "sequence", kind=Categorical(2), num_classes=3)
FIRST = torch.tensor([[0.1, 0.9], [0.3, 0.7], [0.6, 0.4]]).double()  # P(x_0 | y)


class ByTable(Autoregressive):
    """A model whose first token has given probabilities under each label."""

    def token_log_prob(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None
        first = FIRST[y, tokens[:, 0]].log()
        return torch.stack([first, torch.zeros_like(first)], 1)


def test_draws_have_each_label_in_its_share() -> None:
    """Bayes' rule with labels that are equally likely beforehand."""
    model = ByTable(spec=SPEC, conditional=True)
    x, known = torch.tensor([[0, 0], [1, 0]]), torch.tensor([[True, False], [True, False]])
    y = labels_by_known(model, x, known, 1000, SampleNoise(0, range(2)))
    assert y is not None
    for row, token in enumerate((0, 1)):
        shares = y.reshape(2, 1000)[row].bincount(minlength=3) / 1000
        torch.testing.assert_close(shares.double(), FIRST[:, token] / FIRST[:, token].sum(), atol=2e-3, rtol=0)


def test_a_model_without_labels_is_given_none() -> None:
    x, known = torch.zeros(1, 2, dtype=torch.int64), torch.tensor([[True, False]])
    assert labels_by_known(Autoregressive(spec=SPEC), x, known, 2, SampleNoise(0, range(1))) is None
