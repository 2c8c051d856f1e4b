"""No step of a training waits for the device between two checks.

Whoever reads a number out of a tensor on a GPU waits until all that was asked before is done. The operations that read
one are counted here, on a CPU, in the steps between two checks of the loss, for every preset.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from model_contract import Case
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.words import Words
from genkit.data.dataset import Dataset, SplitName
from genkit.data.loader import TrainLoader
from genkit.data.split import InMemory, Split
from genkit.errors import ConfigError
from genkit.models.base import GenerativeModel
from genkit.training.ema import EMA
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import TrainerOptions
from genkit.training.runner import make_trainer

READING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "unique_consecutive"}
# an assignment is solved by scipy, so the costs have to come to the CPU
BY_SCIPY = {"ot_cfm"}
QUICK = {"autoencoder", "vae", "gan", "flow", "diffusion", "gpt"}  # one of each family, the others are slow tests
NEVER = 10**6


class Reads(TorchDispatchMode):
    """Notes where numbers are read out of tensors while `watching`; the optimizer's own counts are on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.watching, self.found = False, set[str]()

    def __torch_dispatch__(
        self, function: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = function.name().split("::")[1].split(".")[0]
        masked = name in ("index", "index_put", "index_put_") and any(
            isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1]
        )
        if self.watching and (name in READING or masked) and args[0].device.type == "cpu":
            frames = [frame for frame in traceback.extract_stack() if "/genkit/" in frame.filename]
            self.found.add(f"{name} in {frames[-1].filename}:{frames[-1].lineno}")
        return function(*args, **(kwargs or {}))


class Watched(pl.Callback):
    """Watches the steps after the first turn of the phases, in which averages and states are made."""

    def __init__(self, reads: Reads) -> None:
        self.reads = reads

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        assert isinstance(module, GenerativeModule)
        self.reads.watching = trainer.global_step >= len(module.model.phases)

    def on_train_batch_end(self, *args: Any) -> None:
        self.reads.watching = False


class Patterns(Dataset):
    eval_n = 8
    batch_size = 8

    def __init__(self, case: Case) -> None:
        self.spec = case.spec
        batch = case.batch(64)
        # the other images of pairs are stored as the images are
        c = None if self.spec.condition is None else self.spec.unscale(batch["c"].float())
        self.data = InMemory(self.spec.unscale(batch["x"].float()), batch.get("y"), c)

    def split(self, name: SplitName) -> Split:
        return self.data


def buildable(name: str) -> tuple[Case, GenerativeModel]:
    """The preset on the first kind of data that it models."""
    for data in ("toy", "digits", "tokens", "pairs"):
        try:
            return Case(name, data), Case(name, data).build()
        except ConfigError:
            continue
    raise AssertionError(name)


def reads_of(name: str) -> set[str]:
    case, model = buildable(name)
    steps = len(model.phases) + 2
    module = GenerativeModule(
        model,
        optimizer=lambda groups: torch.optim.SGD(groups, lr=1e-3, foreach=True),
        lr_schedule=ConstantLR(),
        ema=EMA(0.5),
        seed=0,
        max_steps=steps,
        check_every=NEVER,
    )
    reads = Reads()
    options = TrainerOptions(accelerator="cpu", max_steps=steps, val_every_n_steps=NEVER, threads=1)
    trainer = make_trainer(options, model, logger=False, callbacks=[Watched(reads)])
    with reads:
        trainer.fit(module, TrainLoader(Patterns(case), seed=0))
    return reads.found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in sorted({*Catalog.of(Words(flags={})).options("model")} - BY_SCIPY)
    ],
)
def test_a_step_reads_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GenerativeModule, "_looks", property(lambda self: self.global_step % self.check_every == 0))
    assert reads_of(name) == set()


def test_a_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the check itself, which a CPU makes at every step."""
    assert any("isfinite" in line or "module.py" in line for line in reads_of("vae"))
