"""`genkit check …`: the words of a `genkit train`, tried out: every part once, nothing kept.

A few real steps, a validation, a checkpoint written and read back, samples from what was read, one metric of them; all
in a temporary folder. What it prints is measured here: parameters, milliseconds a step, memory, an estimate of the
whole.
"""

from __future__ import annotations

import dataclasses
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import lightning.pytorch as pl
import torch

from genkit.assembly.labels import dataset_name
from genkit.assembly.nested_models import embed
from genkit.assembly.restore import restore
from genkit.assembly.run import Parts, build_parts, checkpoint_config
from genkit.assembly.run_length import short_run
from genkit.assembly.start_weights import begin
from genkit.assembly.temporary_run import fit_quietly
from genkit.commands.train import less_memory
from genkit.config.build import build
from genkit.config.hydra.launch import compose_option
from genkit.config.memory import memory_errors, shown_bytes
from genkit.config.settings import RunSettings, TrainSettings
from genkit.errors import ConfigError, GenkitError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import ModelSource
from genkit.features.default import default_features
from genkit.metrics.base import ProbeMetric
from genkit.models.base import GenerativeModel
from genkit.models.stream import stream_samples
from genkit.report.console import make_console
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.options import SampleGridOptions
from genkit.training.runner import TrainingRun

STEPS = 6  # of every phase
SAMPLES = 32
METRIC = "precision"  # asks for samples alone, of any data that features are known for


def run(settings: TrainSettings) -> None:
    """Prints a line for each part that works; raises what the first one that does not raises."""
    if given := [key for key in ("resume", "run_dir") if getattr(settings, key) is not None]:
        raise ConfigError(f"{given[0]}=: genkit check keeps nothing: leave it out")
    console = make_console()
    config, start = begin(settings)
    config, models = embed(config)
    new = RunSettings.of(config)
    parts = build_parts(new, given=models, start=start)
    with tempfile.TemporaryDirectory(prefix="genkit-check-") as scratch, memory_errors(less_memory(parts)):
        for line in _tried(parts, new, Path(scratch)):
            console.print(line, soft_wrap=True)


def _tried(parts: Parts, settings: RunSettings, scratch: Path) -> Iterator[str]:
    yield _data(parts)
    yield _model(parts)
    if (note := short_run(parts)) is not None:
        yield note
    times = StepTimes()
    _train(parts, settings, scratch, times)
    yield f"training    {1000 * times.per_step:.1f} ms a step (the first {1000 * times.first:.0f} ms)"
    started = time.perf_counter()
    model, size = _read_back(parts, settings, scratch)
    yield f"checkpoint  {shown_bytes(size)}, read back to the last bit in {_ms(started)}"
    started = time.perf_counter()
    yield f"samples     {SAMPLES} drawn{_scored(model, parts, settings, started)}"
    yield f"memory      {shown_bytes(_peak(parts))} at most, {_share(parts)} of them weights, gradients and optimizer"
    yield f"estimate    {_estimate(parts, times, size)}"


def _data(parts: Parts) -> str:
    spec, sizes = parts.dataset.spec, {name: len(parts.dataset.split(name)) for name in ("train", "val", "test")}
    shape = "x".join(map(str, spec.shape))
    return f"data        {' + '.join(f'{size:,} {name}' for name, size in sizes.items())} examples of {shape}"


def _model(parts: Parts) -> str:
    sizes = {phase: sum(p.numel() for p in learning) for phase, learning in parts.module.learns.items()}
    shares = "" if len(sizes) == 1 else f" ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})"
    return f"model       {sum(sizes.values()):,} parameters{shares}"


class StepTimes(StepCallback):
    """Times at which the steps ended."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stamps.append(time.perf_counter())

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        self.stamps.append(time.perf_counter())

    @property
    def first(self) -> float:
        return self.stamps[1] - self.stamps[0]

    @property
    def per_step(self) -> float:
        """The mean, without the first step of all: phases may cost differently."""
        return statistics.mean(b - a for a, b in zip(self.stamps[1:], self.stamps[2:], strict=False))


def _train(parts: Parts, settings: RunSettings, scratch: Path, times: StepTimes) -> None:
    last = min(STEPS * len(parts.module.model.phases), parts.trainer.max_steps)
    trial = TrainingRun(
        name="check",
        folder=scratch,
        dataset=parts.dataset,
        module=parts.module,
        trainer=dataclasses.replace(parts.trainer, val_every_n_steps=last),
        checkpoint=parts.checkpoint,
        samples=SampleGridOptions(every_n_steps=0),
        loggers=[],
        config=checkpoint_config(settings, parts.dataset),
        callbacks=[*parts.callbacks, times],
        quick=parts.quick,
    )
    fit_quietly(trial, last)


def _read_back(parts: Parts, settings: RunSettings, scratch: Path) -> tuple[GenerativeModel, int]:
    """The model of the checkpoint, and the checkpoint's size; raises GenkitError where it is not the model trained."""
    found = restore(scratch, plugins=settings.plugins)
    trained = {name: value.cpu() for name, value in parts.module.stored_model.state_dict().items()}
    for name, value in found.model.state_dict().items():
        if not torch.equal(value, trained[name]) and not bool(torch.isnan(value).any()):
            raise GenkitError(f"checkpoint: {name} does not come back as it was: report this as a bug")
    return found.model.requires_grad_(False), sum(entry.bytes for entry in found.checkpoint.manifest.files.values())


def _scored(model: GenerativeModel, parts: Parts, settings: RunSettings, started: float) -> str:
    """Draw samples and score them, where the data has features to score them in: " and scored in 30 ms: …"."""
    node = compose_option("metric", METRIC)[METRIC]
    metrics = {METRIC: build(node, at=f"metric.{METRIC}", expect=ProbeMetric)}
    reference = Reference.of(parts.dataset, dataset_name(settings.data))
    evaluator = Evaluator(
        metrics,
        default_features(reference.spec, reference.features),
        reference,
        named=True,
        floor_repeats=0,
        bootstrap_repeats=0,
        device=parts.module.device,
    )
    source = ModelSource(model.to(parts.module.device), SAMPLES)
    if reason := evaluator.obstacles(source).get(METRIC):
        for x, _ in stream_samples(source.model, SAMPLES, seed=settings.seed, batch_size=SAMPLES):
            model.spec.unscale(x)
        return f" in {_ms(started)}, and not scored: {reason}"
    record = evaluator.score(source)[0]
    return f" and scored in {_ms(started)}: {record.name} {record.value} so far"


def _ms(started: float) -> str:
    return f"{1000 * (time.perf_counter() - started):.0f} ms"


def _peak(parts: Parts) -> int:
    """Bytes of memory that this process, or its GPU, has held at once."""
    if parts.module.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _share(parts: Parts) -> str:
    weights = sum(p.numel() * p.element_size() for p in parts.module.model.parameters())
    return shown_bytes(weights * (5 if parts.module.ema is not None else 4))  # gradient, average, two moments


def _estimate(parts: Parts, times: StepTimes, size: int) -> str:
    seconds = times.per_step * parts.trainer.max_steps
    kept = min(parts.checkpoint.keep + 1, -(-parts.trainer.max_steps // parts.checkpoint.every_n_steps))
    duration = f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    return (
        f"{parts.trainer.max_steps:,} steps in about {duration}, validations and pictures apart; "
        f"{shown_bytes(kept * size)} of checkpoints"
    )
