"""From the parts of a run to a trained model: one function that puts Lightning's Trainer together and runs it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from rich.console import Console

from genkit.checkpoint.run_folder import METRICS
from genkit.data.dataset import Dataset
from genkit.data.loader import TrainLoader, ValLoader, forward_batch
from genkit.data.resident import resident, room_on
from genkit.environment import this_launch
from genkit.errors import ConfigError
from genkit.loggers.delivery import Delivery
from genkit.models.base import GenerativeModel
from genkit.printing import one_line
from genkit.tensor_cores import allow_tf32
from genkit.training.callbacks.attached import Attached
from genkit.training.callbacks.budget_keeper import BudgetKeeper, EventEnd, LastValidation
from genkit.training.callbacks.checkpoint_writer import CheckpointWriter
from genkit.training.callbacks.compile_time import CompileTime
from genkit.training.callbacks.metrics_writer import MetricsWriter
from genkit.training.callbacks.progress import TrainingProgress
from genkit.training.callbacks.quick_scores import Quick, QuickScores
from genkit.training.callbacks.run_logging import RunLogging
from genkit.training.callbacks.sample_grids import SampleGrids
from genkit.training.callbacks.signal_stop import SignalStop
from genkit.training.callbacks.step_check import StepCheck
from genkit.training.callbacks.validation_watch import ValidationWatch
from genkit.training.checkpoint_io import FolderCheckpointIO
from genkit.training.compilation import compile_networks
from genkit.training.distributed import environment, processes
from genkit.training.layout import channels_last
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.signals import StopNow, StopSignal
from genkit.training.state_checks import damaged


class NoProfiler(Profiler):
    """Measures nothing, at no cost: Lightning's own makes a fresh context for each of some fifty hooks a step."""

    nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return self.nothing

    def start(self, action_name: str) -> None: ...

    def stop(self, action_name: str) -> None: ...


@dataclass(frozen=True)
class TrainingRun:
    """The parts of one training, all of them built and checked.

    Attributes:
        name: For the progress, e.g. "vae on digits".
        folder: The run folder, which exists.
        dataset, module, trainer, checkpoint, samples: What trains on what, for how long, writing what.
        loggers: Where it is handed over to while it trains; of several processes the first has them.
        config: The config.json of its checkpoints.
        resume: A checkpoint folder to continue from and its step, or None.
        callbacks: More callbacks, which act before genkit's own.
        quick: What is scored while training, or None.
        keeper: What keeps the training to a budget, or None.
        validates_last: Whether the last step is one that validates, whatever its number.
    """

    name: str
    folder: Path
    dataset: Dataset
    module: GenerativeModule
    trainer: TrainerOptions
    checkpoint: CheckpointOptions
    samples: SampleGridOptions
    loggers: list[Delivery]
    config: Mapping[str, Any]
    resume: tuple[Path, int] | None = None
    callbacks: Sequence[pl.Callback] = ()
    quick: Quick | None = None
    keeper: BudgetKeeper | None = None
    validates_last: bool = False


@cache
def all_threads() -> int:
    """The threads of this process before a training set any, which the next training comes back to."""
    return torch.get_num_threads()


def make_trainer(options: TrainerOptions, model: GenerativeModel | None = None, **more: Any) -> pl.Trainer:
    """Lightning's Trainer as genkit uses it; also made before a run folder is, since it knows what this machine lacks.

    Args:
        options: Its device, number format and length.
        model: What it is to train; None to ask for the device alone.
        more: Further arguments of Lightning's.

    Raises:
        ConfigError: the device, the number format or the strategy is not to be had here.
    """
    _quieten()
    allow_tf32(options.tf32)
    torch.set_num_threads(options.threads or max(1, all_threads() // this_launch().local_size))
    # The moments of rows that are rarely looked up fade to numbers below 1e-38, which cost a CPU many times a zero
    torch.set_flush_denormal(True)
    try:
        trainer = _trainer(options, **processes(options, model), **more)
    except (MisconfigurationException, ModuleNotFoundError, ValueError) as error:
        line = str(error).strip().splitlines()[0].rstrip(".!")
        advice = "choose trainer.accelerator=cpu"
        raise ConfigError(
            f"trainer: accelerator={options.accelerator} cannot be used here: {line}: {advice}"
        ) from error
    if trainer.precision != options.number_format:
        raise ConfigError(
            f"trainer.precision={options.number_format}: this device would use {trainer.precision}: choose that"
        )
    return trainer


def _trainer(options: TrainerOptions, plugins: Sequence[Any] = (), **more: Any) -> pl.Trainer:
    """In an environment of our own: Lightning's for SLURM counts the tasks of a whole job, and requeues it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a precision or a device that it replaces, which is refused above
        return pl.Trainer(
            **options.lightning(),
            max_epochs=-1,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            inference_mode=False,
            profiler=NoProfiler(),
            plugins=[environment(), *plugins],
            **more,
        )


def fit(run: TrainingRun, console: Console, stop: StopSignal) -> GenerativeModule:
    """Trains to max_steps or to the stop signal; the last checkpoint is written when this returns.

    Raises:
        NumericalError: a loss is not finite; the checkpoints written before stand.
        StorageError: a checkpoint cannot be written.
        StopNow: a signal came before the first step, a second one, or a validation takes too long after the first.
    """
    stop.refuse_to_begin()
    checkpoints = FolderCheckpointIO(run.config)
    trainer = make_trainer(
        run.trainer,
        run.module.model,
        callbacks=[StepCheck(checkpoints, run.resume), *_callbacks(run, console, stop)],
        plugins=[checkpoints],
        logger=False,
        default_root_dir=run.folder,
    )
    path, step = run.resume or (None, 0)
    train, val = _loaders(run, trainer, step * run.trainer.accumulate)
    if run.trainer.channels_last:
        channels_last(run.module.model)
    if run.trainer.compile:
        compile_networks(run.module.model)
    try:
        trainer.fit(run.module, train, val, ckpt_path=path, weights_only=True)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if not checkpoints.restoring:
            raise
        raise damaged(f"its state cannot be restored ({type(error).__name__}: {one_line(str(error), 200)})") from error
    except SIGTERMException as early:  # it came before `on_train_start`, while Lightning's own handler was in place
        raise StopNow from early
    return run.module


def _loaders(run: TrainingRun, trainer: pl.Trainer, start: int) -> tuple[TrainLoader, ValLoader]:
    """Of the training split, from the micro-batch `start` on, and of the validation split."""
    device = trainer.strategy.root_device
    room = room_on(device) if run.trainer.data_on_device else 0
    place = {"world_size": trainer.world_size, "rank": trainer.global_rank}
    train = TrainLoader(run.dataset, seed=run.module.seed, start=start, device=device, room=room, **place)
    split = resident(run.dataset.split("val"), device, room)
    return train, ValLoader(split, run.dataset.spec, forward_batch(run.dataset), **place)


def _callbacks(run: TrainingRun, console: Console, stop: StopSignal) -> list[pl.Callback]:
    """In the order in which they act at the end of a batch; of what acts, the checkpoint comes last."""
    metrics = MetricsWriter(run.folder / METRICS, run.trainer.log_every_n_steps)
    logging = [RunLogging(run.loggers, metrics, run.folder, console)] if run.loggers else []
    quick = [] if run.quick is None else [QuickScores(run.quick, run.dataset, console, run.validates_last)]
    for callback in run.callbacks:
        if isinstance(callback, Attached):
            callback.attach(run.folder, run.dataset, run.name, console)
    begin, end = ([], []) if run.keeper is None else ([run.keeper], [EventEnd(run.keeper)])
    return [
        *begin,
        *quick,  # before the others, which look at its scores
        ValidationWatch(console),
        *run.callbacks,
        TrainingProgress(console, run.name),
        *([CompileTime(console)] if run.trainer.compile else []),
        metrics,
        SampleGrids(run.folder / "samples", run.name, run.samples, run.dataset, console, metrics),
        *logging,
        *([LastValidation()] if run.validates_last else []),
        SignalStop(stop, run.trainer.val_every_n_steps, run.validates_last),
        CheckpointWriter(run.folder, run.checkpoint, run.dataset, run.trainer.val_every_n_steps),
        *end,
    ]


def _quieten() -> None:
    """Lightning's notes about things that genkit does itself."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*`IterableDataset` has `__len__` defined.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*`broadcast_buffers` is deprecated.*")
    warnings.filterwarnings("ignore", message=".*find_unused_parameters=True was specified.*")
    warnings.filterwarnings("ignore", message=".*The `srun` command is available.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # the averaged copy
