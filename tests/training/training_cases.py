"""A dataset and models of a few numbers, and the training of them without a command line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from rich.console import Console
from torch import Tensor, nn

from genkit.checkpoint.read import find_checkpoint
from genkit.data.dataset import Dataset, SplitName
from genkit.data.loader import TrainLoader, ValLoader
from genkit.data.spec import Batch, DataSpec
from genkit.data.split import Split
from genkit.models.base import GenerativeModel, Noise
from genkit.training.ema import EMA
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.runner import TrainingRun, fit, make_trainer
from genkit.training.signals import StopSignal

SPEC = DataSpec((2,), "vector")
SEED = 3


class Points(Dataset):
    """40 training points, 16 of validation."""

    spec = SPEC
    eval_n = 8

    def __init__(self, batch_size: int = 8) -> None:
        self.batch_size = batch_size
        x = torch.randn(72, 2, generator=torch.Generator().manual_seed(0))
        self.splits = dict(zip(("train", "val", "test"), map(Split, x.split([40, 16, 16])), strict=True))

    def split(self, name: SplitName) -> Split:
        return self.splits[name]


class TinyGAN(GenerativeModel):
    """Least-squares GAN; `basis` is frozen, `seen` is a buffer that counts the micro-batches trained on.

    `calls` records every call of `losses`: (training, phase, step, the noise drawn).
    """

    calls: ClassVar[list[tuple[bool, str, int, Tensor]]] = []
    seen: Tensor

    def __init__(self, n_critic: int = 1) -> None:
        super().__init__(SPEC)
        TinyGAN.calls = []
        self.phases = ("discriminator",) * n_critic + ("generator",)
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        self.basis = nn.Linear(2, 2).requires_grad_(False)
        self.register_buffer("seen", torch.tensor(0))

    def trainable(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        z = torch.randn(len(batch["x"]), 3)
        self.calls.append((self.training, phase, self.step, z))
        if self.training:
            self.seen += 1
        fake_logits = self.discriminator(self.basis(self.generator(z)))
        if phase == "generator":
            return {"loss": (fake_logits - 1).square().mean()}
        real_logits = self.discriminator(self.basis(batch["x"]))
        return {"loss": (real_logits - 1).square().mean() + fake_logits.square().mean(), "real": real_logits.mean()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.generator(noise(3))


class Mean(GenerativeModel):
    """x ~ N(mean, 1) with dropout on the mean's gradient; diverges at `nan_at`; fits `spread` in `prepare`."""

    spread: Tensor

    def __init__(self, nan_at: int = -1, term: str = "loss") -> None:
        super().__init__(SPEC)
        self.mean = nn.Parameter(torch.zeros(2))
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("spread", torch.ones(2))
        self.nan_at, self.term = nan_at, term

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        square = self.dropout((batch["x"] - self.mean).square()).mean()
        terms = {"loss": square, "square": square}
        if self.training and self.step == self.nan_at:
            terms = {"loss": square * torch.nan, "square": square} | {self.term: square * torch.nan}
        return terms

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.mean + self.spread * noise(2)

    @torch.no_grad()
    def prepare(self, batches: Any) -> None:
        self.spread.copy_(torch.cat([batch["x"] for batch in batches]).std(0))


def new(kind: type, *args: Any) -> Any:
    """A model with the same weights at every call."""
    torch.manual_seed(7)
    return kind(*args)


def module_of(model: GenerativeModel, **changes: Any) -> GenerativeModule:
    """A module with Adam, no schedule and no average unless told otherwise."""
    options: dict[str, Any] = {
        "optimizer": lambda groups: torch.optim.Adam(groups, lr=1e-2),
        "lr_schedule": ConstantLR(),
        "ema": None,
        "seed": SEED,
        "max_steps": 12,
    }
    return GenerativeModule(model, **(options | changes))


def _options(module: GenerativeModule, changes: dict[str, Any]) -> TrainerOptions:
    own: dict[str, Any] = {"accelerator": "cpu", "max_steps": module.max_steps, "accumulate": module.accumulate}
    return TrainerOptions(**(own | changes))


def train(module: GenerativeModule, *callbacks: pl.Callback, dataset: Dataset | None = None, **options: Any) -> None:
    """Trains without a run folder."""
    dataset = dataset or Points()
    trainer = make_trainer(_options(module, options), callbacks=list(callbacks), logger=False)
    val = ValLoader(dataset.split("val"), SPEC, 8)
    trainer.fit(module, TrainLoader(dataset, seed=SEED), val)


def run_in(
    folder: Path,
    module: GenerativeModule,
    *callbacks: pl.Callback,
    every: int = 5,
    pictures: int = 0,
    stop: StopSignal | None = None,
    resumes: bool = False,
    dataset: Dataset | None = None,
    **options: Any,
) -> str:
    """A whole run in `folder`, or the rest of one that `resumes`; returns what it printed."""
    folder.mkdir(exist_ok=True)
    checkpoint = find_checkpoint(folder) if resumes and (folder / "latest").exists() else None
    text = io.StringIO()
    run = TrainingRun(
        name="mean on points",
        folder=folder,
        dataset=dataset or Points(),
        module=module,
        trainer=_options(module, options),
        checkpoint=CheckpointOptions(every_n_steps=every, keep=2),
        samples=SampleGridOptions(every_n_steps=pictures, n=4),
        loggers=[],
        config={"model": {}},
        resume=None if checkpoint is None else (checkpoint.path, checkpoint.step),
        callbacks=callbacks,
    )
    fit(run, Console(file=text, width=200), stop or StopSignal())
    return text.getvalue()


def averaged(decay: float = 0.9) -> EMA:
    return EMA(decay=decay)


def difference(a: nn.Module, b: nn.Module) -> float:
    """The largest one between two states of the same names."""
    first, second = a.state_dict(), b.state_dict()
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)
