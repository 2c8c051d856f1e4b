"""Initialisation from data: when the module asks a model for it, with which batch, and when not."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from training_cases import SEED, Mean, Points, averaged, module_of, new, run_in, train

from genkit.data.loader import TrainLoader
from genkit.data.spec import Batch


class Centred(Mean):
    """`centre` is that of the batch that it is initialised with; `seen` are the batches and `drawn` the noise."""

    centre: Tensor
    seen: ClassVar[list[Tensor]] = []
    drawn: ClassVar[list[Tensor]] = []

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(2))
        self.seen.clear()
        self.drawn.clear()

    def initialise(self, batch: Batch) -> None:
        assert self.training
        assert not torch.is_grad_enabled()
        self.seen.append(batch["x"])
        self.drawn.append(torch.randn(3))
        self.centre.copy_(batch["x"].mean(0))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        self.drawn.append(torch.randn(3))
        return super().losses({"x": batch["x"] - self.centre}, phase)


def test_a_run_initialises_once_from_its_first_micro_batch_and_the_averaged_copy_has_it() -> None:
    module = module_of(new(Centred), ema=averaged(), accumulate=2, max_steps=3)
    train(module, val_every_n_steps=100)
    first = TrainLoader(Points(), seed=SEED).batch(0)["x"]
    assert [x.tolist() for x in Centred.seen] == [first.tolist()]
    for model in (module.model, module.averaged):
        assert isinstance(model, Centred)
        assert torch.equal(model.centre, first.mean(0))


def test_it_sees_the_noise_of_the_first_loss() -> None:
    train(module_of(new(Centred), max_steps=2), val_every_n_steps=100)
    fitted, first, second = Centred.drawn
    assert torch.equal(fitted, first)
    assert not torch.equal(first, second)


def test_trained_weights_are_not_initialised_again(tmp_path: Path) -> None:
    train(module_of(new(Centred), trained=True, max_steps=2))
    assert not Centred.seen
    run_in(tmp_path, module_of(new(Centred), max_steps=5))
    run_in(tmp_path, module_of(new(Centred), max_steps=10), resumes=True)
    assert not Centred.seen


class OnItsOwn(Mean):
    """A model that initialises itself in its first losses, as models of other packages may."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.full((2,), torch.nan), requires_grad=False)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        if self.training and bool(self.centre.isnan().any()):
            self.centre.copy_(batch["x"].mean(0))
        return super().losses({"x": batch["x"] - self.centre}, phase)


def test_a_model_may_initialise_itself_in_its_first_losses() -> None:
    module = module_of(new(OnItsOwn), ema=averaged(), max_steps=3)
    train(module, val_every_n_steps=2)
    assert isinstance(module.averaged, OnItsOwn)
    assert torch.equal(module.averaged.centre, TrainLoader(Points(), seed=SEED).batch(0)["x"].mean(0))
