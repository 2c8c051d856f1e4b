"""What a model is prepared with: a subset of the training data that a seed chooses, of all of it."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor
from training_cases import SPEC, Mean, Points, new

from genkit.data.spec import Batch
from genkit.data.split import Split
from genkit.training import preparation as module
from genkit.training.preparation import prepare


class Seeing(Mean):
    """Keeps the examples that it is prepared with."""

    seen: Tensor

    def prepare(self, batches: Iterable[Batch]) -> None:
        self.seen = torch.cat([batch["x"] for batch in batches])


def seen(dataset: Points, seed: int) -> list[int]:
    model = new(Seeing)
    prepare(model, dataset, seed, averaged=False)
    return model.seen[:, 0].to(torch.int64).tolist()


def test_the_subset_is_drawn_from_all_examples_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 300)
    dataset = Points()
    dataset.splits["train"] = Split(torch.arange(1000.0)[:, None].expand(-1, *SPEC.shape).contiguous())
    one, other = seen(dataset, 0), seen(dataset, 1)
    assert seen(dataset, 0) == one
    assert len(set(one)) == len(set(other)) == 300
    assert set(one) != set(other)
    for drawn in (one, other):
        assert sum(drawn) / 300 == pytest.approx(500, abs=60)  # the standard error is 14
