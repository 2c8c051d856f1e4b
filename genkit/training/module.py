"""The one LightningModule: every family trains through it, and it knows none of them.

One optimizer, one named parameter group per phase. Each optimizer step serves one phase: only that phase's parameters
require a gradient, so the others have none and the optimizer skips them. Noise is a function of (seed, micro-batch,
position in the batch), so a resumed run draws what the uninterrupted one would have drawn; that of a validation is a
function of (seed, example).
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from genkit.batch_noise import by_example, share_of_batch
from genkit.data.dataset import Dataset
from genkit.data.loader import ValLoader
from genkit.data.spec import Batch
from genkit.errors import ConfigError, NumericalError
from genkit.models.base import GenerativeModel
from genkit.models.guarded import Guarded
from genkit.models.training_state import TrainingState
from genkit.noise import seed_global, seed_of
from genkit.ranks import alone, copy_from_first, gathered, highest, rows_of_all, summed, world
from genkit.training.diagnosis import non_finite_gradient, origin_of_gradient, origin_of_loss
from genkit.training.ema import EMA, averaged_copy
from genkit.training.idle_hooks import NoStepHooks
from genkit.training.layout import settle
from genkit.training.lr_schedule import LRSchedule
from genkit.training.pace import Pace
from genkit.training.preparation import prepare
from genkit.training.state_checks import TRAINING_STATE, check_optimizer, check_schedulers, load_training_state

LIVE, AVERAGED = "model.", "averaged."  # prefixes in its state: its attributes that hold the two copies of the model


class GenerativeModule(NoStepHooks, pl.LightningModule):  # type: ignore[misc]
    """Trains a `GenerativeModel`.

    Arguments:
        model: The model.
        optimizer: Makes the optimizer from its parameter groups.
        optimizer_overrides: Phase to optimizer arguments that differ there, e.g. {"generator": {"lr": 1e-4}}.
        lr_schedule: Factor of every group's rate.
        ema: How the averaged copy follows; None for no copy.
        seed: Of all training noise.
        max_steps, accumulate: Optimizer steps of the run, micro-batches per step.
        pace: The steps of a run whose length may be corrected on the way; None for one of `max_steps`.
        check_every: Optimizer steps between checks of the loss on a GPU, where looking at it costs a synchronisation.
        fused: Whether the optimizer takes a step in one kernel, where it has one.
        trained: Whether the model's weights are those of a trained one: it is then not initialised from data.

    Attributes:
        averaged: The averaged copy; None before the first step.
        latest: The loss terms of the latest step of each phase by log key, means over its micro-batches, still on the
            device.
        validated: The latest validation terms by log key.
        occasional: Terms that some validations have and others have not.
        validation_origin: Where the latest validation stopped being finite, in words; empty where it is finite.
        stopped: Why a callback ended the training before `max_steps`, None where none did.

    Raises:
        ConfigError: an override names no phase.
    """

    def __init__(
        self,
        model: GenerativeModel,
        *,
        optimizer: Callable[..., Optimizer],
        lr_schedule: LRSchedule,
        ema: EMA | None,
        seed: int,
        max_steps: int,
        accumulate: int = 1,
        check_every: int = 10,
        trained: bool = False,
        fused: bool = False,
        pace: Pace | None = None,
        optimizer_overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.averaged: GenerativeModel | None = None
        self._followers: dict[str, tuple[list[Tensor], list[Tensor]]] = {}  # phase -> averaged parameters, live ones
        self._followed: list[tuple[Any, Any]] = []  # buffers of the averaged copy's modules, and of the live ones
        self.ema, self.lr_schedule = ema, lr_schedule
        self.seed, self.accumulate, self.check_every = seed, accumulate, check_every
        self.pace = Pace(max_steps) if pace is None else pace
        self.trained, self.fused = trained, fused
        self.learns = {phase: _trainable(module) for phase, module in model.trainable().items()}
        self.optimizer_overrides = optimizer_overrides or {}
        self.optimizer_groups = _groups(self.learns, self.optimizer_overrides)
        self.make_optimizer = optimizer
        self.micro_batch = 0
        self.latest: dict[str, Tensor] = {}
        self.validated: dict[str, float] = {}
        self.occasional: tuple[str, ...] = ()
        self.validation_origin = ""
        self.stopped: str | None = None
        self._unshared: set[str] = set()  # keys of `latest` that are of this process alone
        self._step_sums: dict[str, Tensor] = {}  # of the micro-batches of the current step
        self._sums: dict[str, Tensor] = {}
        self._seen = 0
        self._prepared_at = -1
        self._batch: Batch = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes the current hook some forty times a step: plain text needs no search for weights in it."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def max_steps(self) -> int:
        """Optimizer steps of the run, as corrected last."""
        return self.pace.steps

    @property
    def step_complete(self) -> bool:
        """Tell whether the latest micro-batch was the last one of its optimizer step."""
        return self.micro_batch % self.accumulate == 0

    @property
    def phase(self) -> str:
        """The phase that the next optimizer step serves."""
        return self.model.phases[self.global_step % len(self.model.phases)]

    @property
    def stored_model(self) -> GenerativeModel:
        """The copy that validates, samples and is stored: the averaged one where there is one."""
        return self.model if self.averaged is None else self.averaged

    def prepared(self, dataset: Dataset) -> GenerativeModel:
        """The stored model in eval mode, fitted to data for sampling; made once a step."""
        model = self.stored_model.eval()
        if self._prepared_at != self.global_step:
            prepare(model, dataset, self.seed, averaged=self.averaged is not None)
            self._prepared_at = self.global_step
        return model

    def configure_optimizers(self) -> Any:
        """One optimizer and its schedule; raises ConfigError for an override that the optimizer does not know."""
        groups = [dict(group) for group in self.optimizer_groups]  # torch fills them in
        optimizer = self.make_optimizer(groups)
        if self.fused:
            _fuse(optimizer)
        _check_overrides(self.optimizer_overrides, optimizer)
        schedule = LambdaLR(optimizer, lambda step: self.pace.factor(self.lr_schedule, step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        self.micro_batch = self.global_step * self.accumulate
        for optimizer in self.trainer.optimizers:
            settle(optimizer)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        phase = self._enter_phase()
        self._batch = batch
        if self.micro_batch == 0 and not self.trained:
            self._initialise(batch)
        terms = self._losses(batch, phase)
        if self._looks:
            self._check_guard(terms)
            self._check_finite(terms, phase)
        self._log(terms, phase)
        self.micro_batch += 1
        return terms["loss"]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Pass a batch by where it is: on a CPU all are."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _log(self, terms: Mapping[str, Tensor], phase: str) -> None:
        """The terms that the whole step has: one micro-batch alone would be a noisier estimate of the same."""
        number = self.micro_batch % self.accumulate
        before = self._step_sums if number else {}
        values = {self._key("train", phase, name): term.detach() for name, term in terms.items()}
        self._step_sums = {key: before[key] + value if key in before else value for key, value in values.items()}
        if number == self.accumulate - 1:
            sums, n = self._step_sums, self.accumulate
            self.latest |= sums if n == 1 else {key: total / n for key, total in sums.items()}
            self._unshared |= self._step_sums.keys()

    def share_latest(self) -> None:
        """Make `latest` the means over all processes; every process has to ask for it at the same step."""
        if world() > 1 and self._unshared:
            keys = sorted(self._unshared)
            means = summed(torch.stack([self.latest[key].float() for key in keys])) / world()
            self.latest |= dict(zip(keys, means, strict=True))
        self._unshared.clear()

    @torch.no_grad()
    def _initialise(self, batch: Batch) -> None:
        """From the noise of the first micro-batch: what is fitted is fitted to just what the first loss then sees.

        Every process is given the batches of all, and does what one process would do with them.
        """
        whole = {name: rows_of_all(value) for name, value in batch.items()}
        with self._noise(0, 1), alone():
            self.model.initialise(whole)
        copy_from_first(chain(self.model.parameters(), self.model.buffers()))

    def _losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        with self._noise(self.global_rank, self.trainer.world_size):
            return self.model.losses(batch, phase)

    def _noise(self, rank: int, size: int) -> AbstractContextManager[None]:
        """That of the micro-batch, by position in the whole batch; what draws from torch itself, by process too."""
        seed_global(seed_of(self.seed, "train", self.micro_batch, rank), self.device)
        whole = seed_of(self.seed, "train", self.micro_batch, 0)  # one process draws it from the global generator
        return share_of_batch(whole, rank, size)

    @property
    def _looks(self) -> bool:
        """Tell whether this step's numbers are checked."""
        return self.device.type == "cpu" or self.global_step % self.check_every == 0

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: Any = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clips by the norm, as torch does; a norm that is not finite stops the run before it reaches the weights.

        With a gradient scaler (16-mixed) such a norm is part of the plan: the scaler skips the step.
        """
        if self.trainer.precision == "16-mixed":
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        learning = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not (learning and (gradient_clip_val or self._looks)):
            return
        norm = get_total_norm([p.grad for p in learning if p.grad is not None])
        if self._looks and not math.isfinite(norm.item()):
            self._refuse_gradients()
        if gradient_clip_val:
            clip_grads_with_norm_(learning, gradient_clip_val, norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        phase, n = self.phase, self.global_step
        super().optimizer_step(*args, **kwargs)
        self._average(phase, n)

    def on_validation_epoch_start(self) -> None:
        self._sums, self._seen, self.validation_origin = {}, 0, ""
        self.stored_model.eval()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        size = len(batch["x"])
        self._tell_step(self.stored_model)
        for phase in dict.fromkeys(self.model.phases):
            for name, term in self._validation_losses(batch, *self._val_loader.place(batch_idx), phase).items():
                key = self._key("val", phase, name)
                self._sums[key] = self._sums.get(key, 0.0) + size * term.detach()
        self._seen += size

    def _validation_losses(self, batch: Batch, number: int, first: int, phase: str) -> dict[str, Tensor]:
        """Of the batch `number`, whose first example is `first`, from the noise of those examples."""
        seed_global(seed_of(self.seed, "val", number), self.device)
        with by_example(seed_of(self.seed, "val"), first):
            return self.stored_model.losses(batch, phase)

    def on_validation_epoch_end(self) -> None:
        means = {key: total / self._seen for key, total in self._sums.items()}
        self.validated = mean_of_all({key: float(mean) for key, mean in means.items()}, self._seen)
        if not all(map(math.isfinite, self.validated.values())):
            found = gathered(self._find_validation_origin())
            self.validation_origin = next(filter(None, found), "though the term of every batch is")

    def _find_validation_origin(self) -> str:
        """Goes through the validation batches again, up to the first one with a term that is not finite."""
        for turn, found in enumerate(self._val_loader):
            place = self._val_loader.place(turn)
            batch = {name: value.to(self.device) for name, value in found.items()}
            for phase in dict.fromkeys(self.model.phases):
                terms = self._validation_losses(batch, *place, phase)
                if not all(bool(torch.isfinite(term)) for term in terms.values()):
                    again = partial(self._validation_losses, batch, *place, phase)
                    return origin_of_loss(self.stored_model, batch, again)
        return ""

    @property
    def _val_loader(self) -> ValLoader:
        loader = self.trainer.val_dataloaders
        assert isinstance(loader, ValLoader)
        return loader

    def validation_terms(self, batch: Batch) -> tuple[str, ...]:
        """The names of what a validation computes, from one evaluation on a copy of the model: nothing changes.

        Arguments:
            batch: A few validation examples, on the model's device.
        """
        model = copy.deepcopy(self.model).eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return tuple(
                self._key("val", phase, name)
                for phase in dict.fromkeys(model.phases)
                for name in model.losses(batch, phase)
            )

    @property
    def loss_terms(self) -> tuple[str, ...]:
        """The validation terms that every model has: the loss of each phase."""
        return tuple(self._key("val", phase, "loss") for phase in dict.fromkeys(self.model.phases))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what Lightning does not keep, and settles its counts: it is saved in the middle of a batch's end.

        Our endless loader is one epoch for Lightning. Each stop would end it and each resume begin another, so that the
        checkpoints of a stopped run would not be those of the uninterrupted one.
        """
        self.share_latest()
        if isinstance(self.model, TrainingState):
            checkpoint[TRAINING_STATE] = {key: value.clone() for key, value in self.model.training_state().items()}
        checkpoint["latest"] = {key: float(value) for key, value in self.latest.items()}
        checkpoint["epoch"] = 0
        loop = checkpoint["loops"]["fit_loop"]
        for counts in loop["epoch_progress"].values():
            counts.update(ready=1, started=1, processed=0, completed=0)
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] = self.global_step
        for counts in loop["epoch_loop.batch_progress"].values():
            if isinstance(counts, dict):
                counts.update(processed=counts["ready"], completed=counts["ready"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises CheckpointError where the optimizer's, the schedule's or the model's own state is not of this run."""
        fresh = self.configure_optimizers()
        check_optimizer(checkpoint.get("optimizer_states"), fresh["optimizer"])
        check_schedulers(checkpoint["lr_schedulers"], fresh["lr_scheduler"]["scheduler"])
        self.latest = {key: torch.tensor(value) for key, value in checkpoint["latest"].items()}
        load_training_state(self.model, checkpoint.get(TRAINING_STATE))
        if any(name.startswith(AVERAGED) for name in checkpoint["state_dict"]):
            self._make_averaged()

    def _enter_phase(self) -> str:
        """Only the phase's parameters ask for a gradient."""
        phase = self.phase
        if len(self.learns) > 1:
            for name, parameters in self.learns.items():
                for parameter in parameters:
                    parameter.requires_grad_(name == phase)
        if not self.model.training:  # a walk through all modules, which a small model would feel
            self.model.train()
        self._tell_step(self.model)
        return phase

    def _tell_step(self, model: GenerativeModel) -> None:
        model.step, model.progress = self.global_step, self.pace.progress(self.global_step)

    def _key(self, stage: str, phase: str, name: str) -> str:
        return f"{stage}/{name}" if len(self.learns) == 1 else f"{stage}/{phase}/{name}"

    def _check_guard(self, terms: Mapping[str, Tensor]) -> None:
        if isinstance(self.model, Guarded):
            causes = gathered(self.model.lost(terms))
            if (cause := next(filter(None, causes), None)) is not None:
                raise NumericalError(f"step {self.global_step:,}: {cause}")

    def _check_finite(self, terms: dict[str, Tensor], phase: str) -> None:
        finite = math.isfinite(terms["loss"].item())
        if not highest(not finite)[0]:
            return
        self._diverged(*gathered("" if finite else self._origin(terms, phase)))

    def _origin(self, terms: Mapping[str, Tensor], phase: str) -> str:
        bad = [name for name, term in terms.items() if name != "loss" and not bool(torch.isfinite(term))]
        origin = origin_of_loss(self.model, self._batch, lambda: self._losses(self._batch, phase))
        return f"{self._key('train', phase, (bad or ['loss'])[0])} is not finite, {origin}"

    def _refuse_gradients(self) -> None:
        name = non_finite_gradient(self.model)
        if name is None:  # finite numbers with a norm that overflows: clipping makes zeros of them
            return
        self.micro_batch -= 1  # the noise of the micro-batch that has just been counted
        found = gathered(origin_of_gradient(self.model, lambda: self._losses(self._batch, self.phase)))
        origin = next(filter(None, found), "the output of every module receives a finite one")
        self._diverged(f"the gradient of {name} is not finite, {origin}")

    def _diverged(self, *found: str) -> None:
        """Raises the first of what the processes found."""
        what = next(filter(None, found))
        raise NumericalError(f"step {self.global_step:,}: {what}: lower optimizer.lr or set trainer.gradient_clip")

    def _make_averaged(self) -> None:
        learning = {parameter for group in self.learns.values() for parameter in group}
        frozen = {parameter for parameter in self.model.parameters() if parameter not in learning}
        self.averaged = averaged_copy(self.model, frozen)
        live = self.model.trainable()
        for phase, module in self.averaged.trainable().items():
            pairs = [(a, p) for a, p in zip(module.parameters(), live[phase].parameters(), strict=True) if a is not p]
            self._followers[phase] = [a for a, _ in pairs], [p for _, p in pairs]
        both = zip(self.averaged.modules(), self.model.modules(), strict=True)
        self._followed = [(a._buffers, b._buffers) for a, b in both if b._buffers]  # a walk that each step would feel

    @torch.no_grad()
    def _average(self, phase: str, n: int) -> None:
        """Follows the phase just stepped; the first step makes the copy."""
        if self.ema is None:
            return
        if self.averaged is None:
            self._make_averaged()
            return
        averaged, live = self._followers[phase]
        self.ema.update(averaged, live, n, self.pace.averaged(n))
        for follower, leader in self._followed:
            for name, value in leader.items():
                if value is not None:
                    follower[name].copy_(value)


# Lightning asks for it at every step, and Python would put it together each time
GenerativeModule.training_step.__signature__ = inspect.signature(  # type: ignore[attr-defined]
    GenerativeModule.training_step
)


def mean_of_all(means: Mapping[str, float], n: int) -> dict[str, float]:
    """The means over the examples of all processes, from those over the n examples of each."""
    shares = gathered((means, n))
    if len(shares) == 1:
        return dict(means)
    total = sum(n for _, n in shares)
    return {key: sum(own[key] * n for own, n in shares) / total for key in means}


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that learn, captured once: what is frozen at the start stays frozen."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _groups(
    learns: Mapping[str, list[nn.Parameter]], overrides: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One named optimizer group per phase."""
    for phase in overrides:
        if phase not in learns:
            raise ConfigError(f"optimizer_overrides.{phase}: this model's phases are {', '.join(learns)}")
    return [{**overrides.get(phase, {}), "params": params, "name": phase} for phase, params in learns.items()]


def _fuse(optimizer: Optimizer) -> None:
    """Let an optimizer take its step in one kernel, if it has one and was not told which to use."""
    if optimizer.defaults.get("fused", False) is None and not optimizer.defaults.get("foreach"):
        for settings in (optimizer.defaults, *optimizer.param_groups):
            settings["fused"] = True


def _check_overrides(overrides: Mapping[str, Mapping[str, Any]], optimizer: Optimizer) -> None:
    """Check a parameter group, which optimizers do not: an unknown name is ignored, a negative rate ascends."""
    for phase, values in overrides.items():
        for key, value in values.items():
            at = f"optimizer_overrides.{phase}.{key}"
            if key not in optimizer.defaults:
                known = ", ".join(optimizer.defaults)
                raise ConfigError(f"{at}: {type(optimizer).__name__} has no such argument; it has {known}")
            if value is not None and value < 0:
                raise ConfigError(f"{at}: {value} is negative")
