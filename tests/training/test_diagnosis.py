"""Which module is named when a number stops being finite."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_cases import SPEC, Mean, averaged, module_of, new, train

from genkit.errors import NumericalError
from genkit.models.base import GenerativeModel, Noise


class Log(nn.Module):
    """log x: not finite below 0."""

    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class Root(nn.Module):
    """The square root of |x|: finite at 0, where its derivative is not."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs().sqrt()


class Chain(GenerativeModel):
    """Layers one after the other; `fault` stands in the middle from step 3 on."""

    def __init__(self, fault: nn.Module, zero: bool = False) -> None:
        super().__init__(SPEC)
        self.first, self.fault, self.last, self.zero = nn.Linear(2, 4), fault, nn.Linear(4, 1), zero

    def losses(self, batch: Any, phase: str) -> dict[str, Tensor]:
        h = self.first(batch["x"])
        if self.step >= 3 and self.training:
            h = self.fault(h * 0.0 if self.zero else -h.abs())
        return {"loss": self.last(h).square().mean()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return noise(2)


def complaint(model: GenerativeModel, accumulate: int = 1) -> str:
    with pytest.raises(NumericalError) as stop:
        train(module_of(model, accumulate=accumulate, ema=averaged()))
    return str(stop.value)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_first_module_whose_output_is_not_finite(accumulate: int) -> None:
    said = complaint(new(Chain, Log()), accumulate)
    assert said.startswith("step 3: train/loss is not finite, first in fault (Log): ")


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_module_before_the_gradient_that_is_not_finite(accumulate: int) -> None:
    said = complaint(new(Chain, Root(), True), accumulate)
    assert said.startswith("step 3: the gradient of first.weight is not finite, first at the output of first (Linear)")


def test_a_batch_a_weight_or_the_loss_itself() -> None:
    assert "the output of every module is finite: it arose in the loss itself" in complaint(new(Mean, 2))
    poisoned = new(Chain, Log())
    with torch.no_grad():
        poisoned.first.weight[0, 0] = torch.inf
    assert "step 0: train/loss is not finite, the weight first.weight is not finite since" in complaint(poisoned)


class Poisoned(Mean):
    """Sees a batch that is not finite."""

    def losses(self, batch: Any, phase: str) -> dict[str, Tensor]:
        batch["x"][0, 0] = torch.nan
        return super().losses(batch, phase)


def test_a_batch_that_is_not_finite() -> None:
    assert "step 0: train/square is not finite, the batch itself is not finite" in complaint(new(Poisoned))
