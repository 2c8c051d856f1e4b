"""Build and check everything that a configuration of `train` describes, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import lightning.pytorch as pl
import torch
from torch.optim import Optimizer

from genkit.assembly.machine import device_name, machine
from genkit.assembly.monitors import check_monitors, monitored
from genkit.assembly.nested_models import Given, check_fit, filling
from genkit.assembly.quick_scores import quick_of
from genkit.assembly.recorded_keys import TYPED_ALONE
from genkit.assembly.recorded_plan import pace_of
from genkit.assembly.start_weights import Start
from genkit.checkpoint import strict_json
from genkit.config.build import build, build_factory
from genkit.config.memory import memory_errors
from genkit.config.migrate import SCHEMA
from genkit.config.resolve import OPTIMIZERS
from genkit.config.settings import RunSettings
from genkit.data.dataset import Dataset, check_finite
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.loggers.base import RunLogger
from genkit.models.base import GenerativeModel
from genkit.noise import seed_of
from genkit.printing import shown
from genkit.ranks import in_turn
from genkit.training.callbacks.attached import Attached
from genkit.training.callbacks.quick_scores import Quick
from genkit.training.compilation import networks_of
from genkit.training.ema import EMA
from genkit.training.lr_schedule import LRSchedule
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.runner import make_trainer


@dataclass(frozen=True)
class Parts:
    """Everything that a configuration of `train` builds, checked, before anything is written."""

    dataset: Dataset
    module: GenerativeModule
    trainer: TrainerOptions
    checkpoint: CheckpointOptions
    samples: SampleGridOptions
    logger: RunLogger | None
    callbacks: list[pl.Callback]
    quick: Quick | None
    here: Mapping[str, Any]  # the fields of run.json that tell of this machine
    validates_last: bool = False  # after the last step too, whatever its number


def build_parts(
    settings: RunSettings,
    trusted: bool = True,
    given: Given = MappingProxyType({}),
    start: Start | None = None,
    typed: Collection[str] = (),
    fits: Callable[[DataSpec], None] = lambda spec: None,
) -> Parts:
    """The parts of a run, with trained models given to it.

    Args:
        settings: What the run is trained with.
        trusted: False where it comes from a run folder: it then reaches components and torch's optimizers alone.
        given: Trained models inside the model.
        start: The weights that it begins with, None for those of the seed.
        typed: Groups of such a configuration that the user has typed again.
        fits: Refuses data for which the model would not be that of its checkpoint, before it is built.

    Raises:
        ConfigError, DataError: the first mistake.
    """
    make = PartBuilder(settings, tuple(settings.plugins), trusted, frozenset(typed))
    trainer = make("trainer", TrainerOptions)
    # refuses a device that is not there, before anything is written
    device = device_name(make_trainer(trainer, logger=False).strategy.root_device)
    checkpoint, samples = make("checkpoint", CheckpointOptions), make("samples", SampleGridOptions)
    schedule, ema, optimizer = make("lr_schedule", LRSchedule), make.optional("ema", EMA), make.optimizer()
    logger, callbacks = make.logger(), make.callbacks()
    watched = monitored(checkpoint, callbacks)
    with in_turn():
        dataset = make("data", Dataset)
    check_finite(dataset)
    for callback in callbacks.values():
        if isinstance(callback, Attached):
            callback.check_data(dataset)
    check_fit(given, dataset.spec)
    fits(dataset.spec)
    pace = pace_of(settings.config)
    torch.manual_seed(seed_of(settings.seed, "weights"))
    with memory_errors("choose a smaller model"):
        model = make("model", GenerativeModel, after=filling(given), spec=dataset.spec)
    if trainer.compile:
        networks_of(model)
    if start is not None:
        start.fill(model)
    module = GenerativeModule(
        model,
        optimizer=optimizer,
        optimizer_overrides=settings.optimizer_overrides,
        lr_schedule=schedule,
        ema=ema,
        seed=settings.seed,
        max_steps=trainer.max_steps,
        accumulate=trainer.accumulate,
        check_every=trainer.log_every_n_steps,
        trained=start is not None,
        fused=trainer.fused and trainer.number_format != "16-mixed",  # whose scaler steps by itself
        pace=pace,
    )
    module.configure_optimizers()  # refuses what the optimizer's constructor would refuse, before anything is written
    quick = quick_of(settings, dataset, model, trainer, watched, trusted)
    check_monitors(watched, module, dataset, quick)
    here = machine(device, trainer.number_format)
    return Parts(
        dataset,
        module,
        trainer,
        checkpoint,
        samples,
        logger,
        list(callbacks.values()),
        quick,
        here,
        pace is not None,
    )


@dataclass(frozen=True)
class PartBuilder:
    """Builds the objects of a run's settings, each as far trusted as its origin is.

    Attributes:
        settings: What describes them.
        plugins: Packages besides genkit that their classes may come from.
        trusted: False where they come from a run folder.
        typed: Groups of such settings that the user has typed again, and that are trusted therefore.
    """

    settings: RunSettings
    plugins: tuple[str, ...]
    trusted: bool
    typed: frozenset[str]

    def __call__(self, key: str, expect: type, **given: Any) -> Any:
        """Build the object of a group, with these arguments besides its own."""
        node = getattr(self.settings, key)
        return build(node, at=key, expect=expect, plugins=self.plugins, trusted=self.trusted, **given)

    def optional(self, key: str, expect: type) -> Any:
        """Build the object of a group, None where it is null."""
        return None if getattr(self.settings, key) is None else self(key, expect)

    def optimizer(self) -> Any:
        """Make what makes the optimizer."""
        return build_factory(
            self.settings.optimizer,
            at="optimizer",
            expect=Optimizer,
            plugins=self.plugins,
            trusted=self._trusts("optimizer"),
            listed=OPTIMIZERS,
        )

    def logger(self) -> RunLogger | None:
        """Build the logger, None where there is none.

        Raises ConfigError where its package is missing, and where the user has not typed one that may write elsewhere.
        """
        node, trusted = self.settings.logger, self._trusts("logger")
        if node is None:
            return None
        if not trusted:
            check_recorded_logger(node, self.plugins)
        logger = build(node, at="logger", expect=RunLogger, plugins=self.plugins, trusted=trusted)
        logger.require()
        return logger

    def callbacks(self) -> dict[str, pl.Callback]:
        """Build the callbacks, by name."""
        nodes, trusted = self.settings.callbacks or {}, self._trusts("callbacks")
        return {
            name: build(node, at=f"callbacks.{name}", expect=pl.Callback, plugins=self.plugins, trusted=trusted)
            for name, node in nodes.items()
        }

    def _trusts(self, group: str) -> bool:
        return self.trusted or group in self.typed


def check_recorded_logger(node: Any, plugins: tuple[str, ...] = ()) -> None:
    """Hold a logger that a run folder names against what it may do: write locally.

    Raises:
        ConfigError: it may do more, or is none of genkit's or of a plugin's.
    """
    target = node.get("_target_") if isinstance(node, Mapping) else None
    with suppress(ConfigError):
        if build(node, at="logger", expect=RunLogger, plugins=plugins, trusted=False).local:
            return
    raise ConfigError(
        f"logger: what the run folder says of {shown(target)} is not followed, since a logger may write elsewhere or "
        "send data away: choose it again with logger=…"
    )


def fingerprint(dataset: Dataset) -> str:
    """sha256 of the training data, labels included."""
    return dataset.split("train").fingerprint


def checkpoint_config(settings: RunSettings, dataset: Dataset) -> dict[str, Any]:
    """config.json: enough to rebuild the model from nothing else, and to resume the run."""
    value = {
        "schema": SCHEMA,
        "model": settings.model,
        "spec": dataset.spec.to_json(),
        "data": settings.data,
        "train": {key: value for key, value in settings.config.items() if key not in TYPED_ALONE},
    }
    strict_json.render(value, "the configuration")  # refused now rather than at the first checkpoint
    return value
