"""genkit's trainer beside a plain PyTorch loop of the same model, data, optimizer, average and clipping.

The transformer on text is also set beside a loop that neither averages nor clips, and that cuts its windows out of a
tensor of tokens in memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from rich.console import Console
from torch import nn

from benches.comparison import Bench, Costs, in_turns
from genkit.data.dataset import Dataset
from genkit.data.loader import TrainLoader
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.digits import Digits
from genkit.data.sources.pydoc import Pydoc
from genkit.data.sources.text import TextFiles
from genkit.data.spec import Batch
from genkit.models.autoregressive.autoregressive import Autoregressive
from genkit.models.base import GenerativeModel
from genkit.models.diffusion import Diffusion
from genkit.models.vae.vae import VAE
from genkit.nn.conv import Conv
from genkit.nn.unet import UNet
from genkit.noise import seed_global
from genkit.training import runner
from genkit.training.ema import EMA, averaged_copy
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.signals import StopSignal

WARM = 10  # steps that are not counted
NEVER = 10**9
SIZES = {  # name -> (channels of the encoder and decoder, batch, steps): about 10 and 50 ms a step on one thread
    "small": ((16, 32), 32, 200),
    "large": ((32, 64), 128, 40),
}
LENGTH, ROWS_OF_TEXT, TEXT_STEPS = 64, 8, 50


class StepTimes(pl.Callback):
    """CPU times of the ends of steps, after warming up."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        self.stamps.append(time.process_time())

    def per_step(self) -> float:
        return (self.stamps[-1] - self.stamps[WARM - 1]) / (len(self.stamps) - WARM)


def through_trainer(make: Callable[[], GenerativeModel], steps: int, data: Dataset) -> float:
    """CPU seconds a step through genkit's trainer."""
    module = GenerativeModule(
        make(),
        optimizer=partial(torch.optim.AdamW, lr=1e-3),
        lr_schedule=ConstantLR(),
        ema=EMA(),
        seed=0,
        max_steps=steps,
    )
    times = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        run = runner.TrainingRun(
            name="bench",
            folder=Path(folder),
            dataset=data,
            module=module,
            trainer=TrainerOptions(accelerator="cpu", max_steps=steps, val_every_n_steps=NEVER, threads=1),
            checkpoint=CheckpointOptions(every_n_steps=NEVER),
            samples=SampleGridOptions(every_n_steps=0),
            loggers=[],
            config={},
            callbacks=[times],
        )
        with open(os.devnull, "w") as nowhere:
            runner.fit(run, Console(file=nowhere), StopSignal())
    return times.per_step()


def through_loop(
    make: Callable[[], GenerativeModel], steps: int, batches: Callable[[], Iterable[Batch]], bare: bool
) -> float:
    """CPU seconds a step of a plain loop, with the same average and clipping or, `bare`, without both."""
    model, ema, averaged = make(), EMA(), None
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for step, batch in enumerate(batches()):
        if step == WARM:
            started = time.process_time()
        if step == steps:
            break
        seed_global(step, torch.device("cpu"))
        optimizer.zero_grad()
        model.losses(batch, "model")["loss"].backward()
        if not bare:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if not bare:
            averaged = averaged or averaged_copy(model, set())
            ema.update(list(averaged.parameters()), list(model.parameters()), step, steps=1000)
    return (time.process_time() - started) / (steps - WARM)


def vae_step(size: str, rounds: int) -> Costs:
    channels, batch, steps = SIZES[size]
    data = Digits(batch_size=batch)

    def make() -> GenerativeModel:
        torch.manual_seed(0)
        return VAE(spec=data.spec, backbone=partial(Conv, channels=channels))

    return step(make, data, steps, rounds)


def unet_step(rounds: int) -> Costs:
    """The network of `experiment=digits_diffusion` and its batch: about 100 ms a step on one thread."""
    data = Digits(batch_size=128)

    def make() -> GenerativeModel:
        torch.manual_seed(0)
        return Diffusion(spec=data.spec, backbone=partial(UNet, channels=(32, 48)))

    return step(make, data, 40, rounds)


def step(make: Callable[[], GenerativeModel], data: Dataset, steps: int, rounds: int) -> Costs:
    """A step through the trainer beside one of a plain loop."""
    loop = partial(through_loop, make, steps, partial(TrainLoader, data, seed=0), bare=False)
    return in_turns(partial(through_trainer, make, steps, data), loop, rounds)


def token(bare: bool, rounds: int) -> Costs:
    """A token of the embedded text, or of the file that GENKIT_BENCH_TEXT names."""
    path = os.environ.get("GENKIT_BENCH_TEXT")
    shape = {"length": LENGTH, "batch_size": ROWS_OF_TEXT}
    data: PreparedText = Pydoc(**shape) if path is None else TextFiles(root=path, **shape)

    def make() -> GenerativeModel:
        torch.manual_seed(0)
        return Autoregressive(spec=data.spec)

    loop = partial(through_loop, make, TEXT_STEPS, partial(windows, data), bare)
    return in_turns(partial(through_trainer, make, TEXT_STEPS, data), loop, rounds).over(LENGTH * ROWS_OF_TEXT)


def windows(data: PreparedText) -> Iterator[Batch]:
    """Windows of the first mebibyte of training tokens, at random places."""
    held = data.documents["train"].between(0, min(2**20, len(data.documents["train"].tokens)))
    while True:
        places = torch.randint(len(held) - LENGTH, (ROWS_OF_TEXT, 1)) + torch.arange(LENGTH)
        yield {"x": held[places]}


LOOP = "plain loop, averaging and clipping"
BENCHES = [
    Bench("trainer-small", "a step of a small VAE on the digits", LOOP, "CPU s", partial(vae_step, "small"), 3),
    Bench("trainer-large", "a step of a larger VAE on the digits", LOOP, "CPU s", partial(vae_step, "large"), 3),
    Bench("trainer-unet", "a step of a U-Net's diffusion on the digits", LOOP, "CPU s", unet_step, 3),
    Bench("tokens-same", "a token of a GPT's training on text", LOOP, "CPU s", partial(token, False), 3),
    Bench("tokens-bare", "a token of a GPT's training on text", "bare loop", "CPU s", partial(token, True), 3),
]
