"""Check one GPU, and print what `docs/gpu.md` holds: `python scripts/gpu_check.py`, in under nine minutes.

* throughput: a diffusion's U-Net on 32x32 colour images through genkit's trainer, by number format, memory format,
  optimizer kernel and compilation, with the memory it takes; and a bare loop of the same network in the best of them.
* waits: steps between two checks of the loss, during which torch refuses whatever waits for the device.
* resume: a run that is stopped and goes on against one that is not, weight by weight.
* sampling: images a second by batch, and how far a sample depends on its batch.
* agreement: samples, likelihoods and features of one model on the GPU and on the CPU.

The data are made here. Ratios are of one run; the machine should have nothing else to do. `--device cpu --quick` goes
through all of it in small on a CPU, which shows that the script works and says nothing about speed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from rich.console import Console
from torch import Tensor, nn

from genkit.checkpoint.read import find_checkpoint
from genkit.config.build import build
from genkit.config.hydra.app import composed
from genkit.data.dataset import Dataset, SplitName
from genkit.data.loader import TrainLoader
from genkit.data.resident import room_on
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.features.default import default_features
from genkit.models.base import GenerativeModel
from genkit.models.diffusion import Diffusion
from genkit.models.flow import Flow
from genkit.models.stream import stream_samples
from genkit.nn.unet import UNet
from genkit.noise import seed_global
from genkit.tensor_cores import allow_tf32
from genkit.training import runner
from genkit.training.compilation import compile_networks
from genkit.training.ema import EMA, averaged_copy
from genkit.training.layout import channels_last
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.signals import StopSignal

NEVER = 10**6
MINUTES = 9.0
Row = tuple[str, str]


@dataclass(frozen=True)
class Size:
    """How much is asked of the device.

    Attributes:
        side: Of an image.
        channels: Of the U-Net's levels.
        images: In the training split.
        batch, steps, warm: Examples in a batch, timed steps, steps before them.
        samples: Drawn at once, from few to many.
    """

    side: int
    channels: tuple[int, ...]
    images: int
    batch: int
    steps: int
    warm: int
    samples: tuple[int, ...]


FULL = Size(32, (64, 128, 128), 50_000, 256, 100, 20, (64, 500, 2000))
QUICK = Size(8, (8,), 96, 8, 4, 2, (4, 8))


class Images(Dataset):
    """Smooth images of noise, in colour, with labels."""

    eval_n = 500

    def __init__(self, size: Size) -> None:
        self.batch_size = size.batch
        self.spec = DataSpec((3, size.side, size.side), "image", value_range=(-1.0, 1.0), levels=256, num_classes=10)
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(size.images, 3, size.side // 4, size.side // 4, generator=generator)
        values = nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")
        self.data = InMemory((255 * values).round().to(torch.uint8), torch.arange(size.images) % 10)

    def split(self, name: SplitName) -> Split:
        return self.data


class StepTimes(pl.Callback):
    """Seconds of the steps after warming up, the device waited for at both ends alone."""

    def __init__(self, warm: int, steps: int) -> None:
        self.warm, self.last, self.seconds = warm, warm + steps, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: object) -> None:
        if trainer.global_step in (self.warm, self.last):
            wait_for(module.device)
            self.seconds = time.perf_counter() - self.seconds


class NoWaits(pl.Callback):
    """Has torch refuse what waits for the device, in steps whose loss is not checked."""

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *args: object) -> None:
        if module.device.type == "cuda" and trainer.global_step > 5:
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: object) -> None:
        if module.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def diffusion(size: Size, data: Images) -> GenerativeModel:
    torch.manual_seed(0)
    return Diffusion(spec=data.spec, backbone=partial(UNet, channels=size.channels))


def flow(size: Size, data: Images) -> GenerativeModel:
    torch.manual_seed(0)
    node = composed("train", ["model=glow", "--resolve"])["model"]
    model: GenerativeModel = build(node, at="model", expect=GenerativeModel, spec=data.spec)
    return model


def trained(
    model: GenerativeModel,
    data: Images,
    options: TrainerOptions,
    folder: Path,
    callbacks: tuple[pl.Callback, ...] = (),
    resume: tuple[Path, int] | None = None,
) -> GenerativeModule:
    """The model after a training as `genkit train` does it."""
    folder.mkdir(exist_ok=True)
    module = GenerativeModule(
        model,
        optimizer=partial(torch.optim.AdamW, lr=2e-4),
        lr_schedule=ConstantLR(),
        ema=EMA(),
        seed=0,
        max_steps=options.max_steps,
        check_every=options.log_every_n_steps,
        fused=options.fused,
    )
    run = runner.TrainingRun(
        name="gpu check",
        folder=folder,
        dataset=data,
        module=module,
        trainer=options,
        checkpoint=CheckpointOptions(every_n_steps=NEVER),
        samples=SampleGridOptions(every_n_steps=0),
        loggers=[],
        config={},
        resume=resume,
        callbacks=callbacks,
    )
    with open(os.devnull, "w") as nowhere:
        runner.fit(run, Console(file=nowhere), StopSignal())
    return module


def variants(device: torch.device, size: Size) -> Iterator[tuple[str, TrainerOptions]]:
    """What each option adds to the one before."""
    plain: dict[str, Any] = {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "max_steps": size.warm + size.steps,
        "val_every_n_steps": NEVER,
        "log_every_n_steps": size.warm + size.steps,
    }
    added: list[tuple[str, dict[str, Any]]] = [
        ("float32", {}),
        ("+ tf32", {"tf32": True}),
        ("+ bfloat16", {"precision": "bf16-mixed"}),
        ("+ channels last", {"channels_last": True}),
        ("+ fused optimizer", {"fused": True}),
        ("+ data on the device", {"data_on_device": True}),
        ("+ compile", {"compile": True}),
    ]
    for name, options in added:
        plain |= options
        yield name, TrainerOptions(**plain)


def throughput(device: torch.device, size: Size, data: Images) -> Iterator[Row]:
    """Images a second, memory at most, and what compiling cost."""
    rates = {}
    for name, options in variants(device, size):
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        times = StepTimes(size.warm, size.steps)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            trained(diffusion(size, data), data, options, Path(folder), (times,))
        rates[name] = size.batch * size.steps / times.seconds
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
        more = f", {time.perf_counter() - started:.0f} s in all" if options.compile else ""
        yield f"train, {name}", f"{rates[name]:,.0f} images/s, {peak:.1f} GiB{more}"
    for name, options in list(variants(device, size))[-2:]:
        bare = bare_loop(device, size, data, options)
        yield f"bare loop of {name}", f"{bare:,.0f} images/s: genkit's trainer has {rates[name] / bare:.2f} of it"


def bare_loop(device: torch.device, size: Size, data: Images, options: TrainerOptions) -> float:
    """Images a second of a plain loop with the same network, optimizer, average and options."""
    allow_tf32(options.tf32)
    model, ema = diffusion(size, data).to(device).train(), EMA()
    channels_last(model)
    averaged = averaged_copy(model, set())
    if options.compile:
        compile_networks(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, fused=True)
    room, started = room_on(device), 0.0
    for step, batch in enumerate(TrainLoader(data, seed=0, device=device, room=room)):
        if step in (size.warm, size.warm + size.steps):
            wait_for(device)
            if step > size.warm:
                return size.batch * size.steps / (time.perf_counter() - started)
            started = time.perf_counter()
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        seed_global(step, device)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = model.losses(batch, "model")["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.update(list(averaged.parameters()), list(model.parameters()), step, steps=1000)
    raise AssertionError("the loader ended")


def best(device: torch.device, size: Size, **more: Any) -> TrainerOptions:
    """All options but compile."""
    options = list(variants(device, size))[-2][1]
    return TrainerOptions(**{**vars(options), **more})


def waits(device: torch.device, size: Size, data: Images) -> Iterator[Row]:
    steps = 4 * size.warm
    options = best(device, size, max_steps=steps, log_every_n_steps=NEVER)
    with tempfile.TemporaryDirectory() as folder:
        trained(diffusion(size, data), data, options, Path(folder), (NoWaits(),))
    yield "waits for the device", f"none in {steps - 6} steps between two checks of the loss"


def resume(device: torch.device, size: Size, data: Images) -> Iterator[Row]:
    half, whole = size.warm, 2 * size.warm
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = trained(diffusion(size, data), data, best(device, size, max_steps=whole), folder / "whole")
        first = best(device, size, max_steps=half)
        trained(diffusion(size, data), data, first, folder / "parts")
        checkpoint = find_checkpoint(folder / "parts")
        second = best(device, size, max_steps=whole)
        begun = checkpoint.path, checkpoint.step
        other = trained(diffusion(size, data), data, second, folder / "parts", resume=begun)
        pairs = [*zip(one.model.parameters(), other.model.parameters(), strict=True)]
    apart = max(float((a - b).detach().abs().max()) for a, b in pairs)
    equal = sum(torch.equal(a, b) for a, b in pairs)
    yield "resume", f"{equal} of {len(pairs)} weights equal to the last bit, the others within {apart:.1e}"


def sampling(device: torch.device, size: Size, data: Images) -> Iterator[Row]:
    allow_tf32(False)
    model = diffusion(size, data).to(device).eval().requires_grad_(False)
    drawn = []
    for batch in size.samples:
        started = time.perf_counter()
        drawn = [x for x, _ in stream_samples(model, batch, seed=0, batch_size=batch)]
        seconds = time.perf_counter() - started
        yield f"sample, batch {batch:,}", f"{batch / seconds:,.0f} images/s"
    few = size.samples[0]
    alone = torch.cat([x for x, _ in stream_samples(model, few, seed=0, batch_size=max(1, few // 4))])
    apart = float((alone - drawn[0][:few]).abs().max())
    yield (
        "samples and their batch",
        f"within {apart:.1e} of each other in batches of {max(1, few // 4)} and {size.samples[-1]:,}",
    )


def agreement(device: torch.device, size: Size, data: Images) -> Iterator[Row]:
    """Of untrained weights, which any model may have."""
    allow_tf32(False)
    x = data.spec.scale(data.data.x[:16])
    for name, make in (("diffusion", diffusion), ("flow", flow)):
        model = make(size, data).eval().requires_grad_(False)
        model.initialise({"x": x})
        here, there = (_drawn(model.to(place)) for place in (torch.device("cpu"), device))
        yield f"CPU and GPU: samples of a {name}", f"within {float((here - there).abs().max()):.1e}"
        if isinstance(model, Flow):
            a, b = (model.to(place).log_prob(x.to(place)).cpu() for place in (torch.device("cpu"), device))
            yield "CPU and GPU: likelihoods of a flow", f"within {float(((a - b) / a).abs().max()):.1e} of their size"
    a, b = (default_features(data.spec, "cifar").to(place)(x, data.spec) for place in (torch.device("cpu"), device))
    yield "CPU and GPU: features", f"within {float((a - b).abs().max() / a.abs().max()):.1e} of their size"


def _drawn(model: GenerativeModel) -> Tensor:
    return model.sample(8, seed=0).cpu()


Part = Callable[[torch.device, Size, Images], Iterator[Row]]
PARTS: tuple[Part, ...] = (waits, resume, sampling, agreement, throughput)


def main() -> None:
    words = argparse.ArgumentParser(description="Check one GPU and print the table of docs/gpu.md.")
    words.add_argument("--device", default="cuda", help="cuda, or cpu to see the script work")
    words.add_argument("--quick", action="store_true", help="in small")
    words.add_argument("--minutes", type=float, default=MINUTES, help="no part begins later than this")
    asked = words.parse_args()
    device, size = torch.device(asked.device), QUICK if asked.quick else FULL
    started = time.monotonic()
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use here; --device cpu --quick shows what would be done")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}\n\n| what | seen |\n|---|---|", flush=True)
    data = Images(size)
    for part in PARTS:
        if time.monotonic() - started > 60 * asked.minutes:
            print(f"| {part.__name__} | left out, since {asked.minutes:g} minutes were over |", flush=True)
            continue
        try:
            for what, seen in part(device, size, data):
                print(f"| {what} | {seen} |", flush=True)
        except Exception as error:  # the other parts are worth as much
            print(f"| {part.__name__} | FAILED: {type(error).__name__}: {str(error).splitlines()[0]} |", flush=True)


if __name__ == "__main__":
    main()
