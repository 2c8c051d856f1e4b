"""Noise by position: two processes that train half a batch each, against one; validations of any batch size."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from training_cases import SEED, SPEC, Mean, Points, module_of, new

from genkit.batch_noise import normal_like
from genkit.data.loader import TrainLoader, ValLoader
from genkit.data.spec import Batch
from genkit.models.base import GenerativeModel, Noise
from genkit.models.diffusion import Diffusion
from genkit.models.gan.gan import GAN
from genkit.models.vae.vae import VAE
from genkit.training.module import GenerativeModule
from genkit.training.options import TrainerOptions
from genkit.training.runner import make_trainer


class Rank:
    """One of several processes, each with a copy of the model, that average their gradients."""

    def __init__(self, model: GenerativeModel, rank: int, world_size: int, batch_size: int) -> None:
        self.module = module_of(copy.deepcopy(model), trained=True)
        self.place = {"global_rank": rank, "world_size": world_size}
        self.loader = TrainLoader(Points(batch_size), seed=SEED, world_size=world_size, rank=rank)

    def gradients(self, step: int) -> list[Tensor]:
        self.module.trainer = SimpleNamespace(global_step=step, **self.place)  # type: ignore[assignment]
        self.module.zero_grad()
        self.module.training_step(self.loader.batch(step), step).backward()
        return [p.grad for p in self.module.parameters() if p.grad is not None]


def weights_of(model: GenerativeModel, world_size: int, steps: int = 6) -> dict[str, Tensor]:
    """Those after a few steps of plain descent with 8 examples in all."""
    ranks = [Rank(model, rank, world_size, 8 // world_size) for rank in range(world_size)]
    for step in range(steps):
        for gradients in zip(*(rank.gradients(step) for rank in ranks), strict=True):
            mean = torch.stack(list(gradients)).mean(0)
            for gradient in gradients:
                gradient.copy_(mean)
        for rank in ranks:
            torch.optim.SGD(rank.module.parameters(), lr=0.05).step()
    return ranks[0].module.model.state_dict()


@pytest.mark.parametrize("kind", [VAE, Diffusion, GAN], ids=lambda kind: kind.__name__)
def test_two_processes_with_half_a_batch_are_one_with_all_of_it(kind: type) -> None:
    torch.manual_seed(7)
    model = kind(spec=SPEC)
    one, two = weights_of(model, 1), weights_of(model, 2)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=name)
    start = model.state_dict()
    assert max(float((one[name] - start[name]).abs().max()) for name in one) > 1e-3


class Noisy(GenerativeModel):
    """Its loss is of noise alone; `drawn` are (training, noise by position, noise of torch itself) of every call."""

    drawn: ClassVar[list[tuple[bool, Tensor, Tensor]]] = []

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.scale = nn.Parameter(torch.ones(()))
        self.drawn.clear()

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        eps = normal_like(batch["x"])
        self.drawn.append((self.training, eps, torch.randn_like(batch["x"])))
        return {"loss": (self.scale * (eps + batch["x"])).square().sum(1).mean()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.scale * noise(2)


def validated(module: GenerativeModule, batch_size: int, **options: Any) -> dict[str, float]:
    data = Points()
    chosen: dict[str, Any] = {"accelerator": "cpu", "max_steps": module.max_steps} | options
    trainer = make_trainer(TrainerOptions(**chosen), logger=False)
    trainer.fit(module, TrainLoader(data, seed=SEED), ValLoader(data.split("val"), SPEC, batch_size))
    return module.validated


@pytest.mark.parametrize("kind", [Noisy, Mean])
def test_a_validation_does_not_depend_on_its_batch_size(kind: type) -> None:
    """16 examples in batches of 16, 8, 5 (the last has one) and 1: the mean over examples, each with its own noise."""
    terms = [validated(module_of(new(kind), max_steps=2), size, val_every_n_steps=2) for size in (16, 8, 5, 1)]
    for other in terms[1:]:
        assert other == pytest.approx(terms[0], rel=1e-5)


def test_validations_draw_the_same_each_time_and_nothing_that_training_draws() -> None:
    validated(module_of(new(Noisy), max_steps=4), 8, val_every_n_steps=2)
    training, first, second = (
        [(eps, own) for trains, eps, own in Noisy.drawn if trains],
        [(eps, own) for trains, eps, own in Noisy.drawn if not trains][:2],
        [(eps, own) for trains, eps, own in Noisy.drawn if not trains][2:],
    )
    assert (len(training), len(first), len(second)) == (4, 2, 2)
    for once, again in zip(first, second, strict=True):
        assert torch.equal(once[0], again[0])
        assert torch.equal(once[1], again[1])
    numbers = [set(torch.cat([torch.cat(pair).flatten() for pair in pairs]).tolist()) for pairs in (training, first)]
    assert not numbers[0] & numbers[1]
