"""Batch normalisations of averaged weights: their running statistics are those of the averages."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from training_cases import Mean, Points, module_of, new, run_in

from genkit.training.batch_statistics import measure_statistics
from genkit.training.ema import EMA
from genkit.training.preparation import _batches


class Normed(Mean):
    """A scale that grows, and the batch normalisation of what it makes, before the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)

    def losses(self, batch: Any, phase: str) -> Any:
        return super().losses({"x": self.norm(self.scale(batch["x"]))}, phase)


def measured(model: Normed, *batches: Tensor) -> None:
    measure_statistics(model.eval(), [{"x": x} for x in batches], 0)


def test_statistics_are_those_of_what_the_weights_make_of_the_batches() -> None:
    model, x = new(Normed), torch.randn(40, 2)
    measured(model, x)
    with torch.no_grad():
        h = model.scale(x)
    torch.testing.assert_close(model.norm.running_mean, h.mean(0))
    torch.testing.assert_close(model.norm.running_var, h.var(0))
    assert not model.norm.training
    assert model.norm.momentum == nn.BatchNorm1d(2).momentum


def test_batches_of_one_size_count_alike_and_what_was_there_before_not_at_all() -> None:
    model, x = new(Normed), torch.randn(40, 2)
    model.norm.running_mean = torch.tensor([7.0, -7.0])
    measured(model, x[:20], x[20:], 9 * x[:5])
    with torch.no_grad():
        h = model.scale(x).unflatten(0, (2, 20))
    torch.testing.assert_close(model.norm.running_mean, h.mean((0, 1)))
    torch.testing.assert_close(model.norm.running_var, h.var(1).mean(0))


def test_layers_that_are_not_trained_are_left_as_they_are() -> None:
    class Frozen(Normed):
        def trainable(self) -> dict[str, nn.Module]:
            return {"model": self.scale}

    model = new(Frozen)
    measured(model, torch.randn(40, 2) + 5)
    assert torch.equal(model.norm.running_mean, torch.zeros(2))  # type: ignore[arg-type]


def test_a_run_stores_the_statistics_of_the_averaged_weights(tmp_path: Path) -> None:
    """Those of the last ones are another network's."""
    module = module_of(new(Normed), ema=EMA(0.99), max_steps=7)
    run_in(tmp_path, module)
    model = module.prepared(Points())
    assert isinstance(model, Normed)
    batch = next(iter(_batches(Points(), module.seed, torch.device("cpu"))))
    with torch.no_grad():
        h = model.scale(batch["x"])
    torch.testing.assert_close(model.norm.running_mean, h.mean(0))
    torch.testing.assert_close(model.norm.running_var, h.var(0))
    assert isinstance(module.model, Normed)
    assert not torch.equal(model.norm.running_mean, module.model.norm.running_mean)  # type: ignore[arg-type]
