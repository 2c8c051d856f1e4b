"""A new run whose weights begin from those of a checkpoint: `start=CKPT`.

Step 0, a fresh optimizer and schedule, the model and the data of this command line: the checkpoint gives tensors alone,
matched by name and shape, and nothing of its configuration is used. Where the new run comes from is recorded under
`start` in its configuration, with the hash of the file, as that of a model inside a model is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genkit.assembly.labels import class_name
from genkit.assembly.recorded_keys import START
from genkit.checkpoint.read import Checkpoint, find_checkpoint, open_checkpoint
from genkit.checkpoint.weights import weights_file, without_prefix
from genkit.config.migrate import config_of
from genkit.config.settings import TrainSettings
from genkit.errors import CheckpointError, ConfigError
from genkit.models.base import GenerativeModel
from genkit.printing import shown
from genkit.upgrade import upgraded

LISTED = 2  # names of tensors in a message
BEGIN, LEFT = "begin afresh", "of the checkpoint left out"


@dataclass(frozen=True)
class Start:
    """Weights to begin with.

    Attributes:
        state: Tensors by name.
        record: Which checkpoint they are of, for the run's configuration.
        model: The class of the model that the checkpoint holds, as VAE.
        notice: One line for the user where this is not the checkpoint that was asked for, else None.
    """

    state: Mapping[str, Tensor]
    record: Mapping[str, Any]
    model: str
    notice: str | None = None

    def fill(self, model: GenerativeModel) -> None:
        """Give the model these weights.

        Raises:
            ConfigError: a tensor of either is missing in the other or has another shape, and no part of them was
                asked for with allow=[start]; or none at all fits.
        """
        own, state = model.state_dict(), upgraded(model, self.state)
        fitting = _fitting(own, state)
        odd = [name for name in {**own, **state} if name not in fitting]
        if (odd and not self.record["partial"]) or not fitting:
            raise ConfigError(f"{self._models(model)}: {_refusal(odd, own, state)}")
        model.load_state_dict({**own, **fitting})

    def taken(self, model: GenerativeModel) -> dict[str, Any]:
        """The record with the model that the checkpoint holds and the numbers of tensors, for run.json."""
        own = model.state_dict()
        fitting = _fitting(own, upgraded(model, self.state))
        return {**self.record, "model": self.model, "tensors_taken": len(fitting), "tensors": len(own)}

    def line(self, model: GenerativeModel) -> str:
        """Say which model gives how many of its tensors to which, and what begins afresh."""
        own, state = model.state_dict(), upgraded(model, self.state)
        fitting = _fitting(own, state)
        afresh, left = ([name for name in names if name not in fitting] for names in (own, state))
        parts = [f"{self._models(model)}: {len(fitting):,} of {len(own):,} tensors taken"]
        parts += [f"{len(names):,} {what} ({_few(names)})" for names, what in ((afresh, BEGIN), (left, LEFT)) if names]
        return ", ".join(parts)

    def _models(self, model: GenerativeModel) -> str:
        """ "start=runs/vae/checkpoints/step-00000006 holds VAE of step 6, this run trains GAN" """
        held, trained = shown(self.model, 80), type(model).__name__
        other = "" if held == trained else f", this run trains {trained}"
        return f"start={shown(self.record['ckpt'])} holds {held} of step {self.record['step']:,}{other}"


def model_name(checkpoint: Checkpoint) -> str:
    """The class of the model that a checkpoint holds, as its configuration says: for messages and records alone."""
    return class_name(config_of(checkpoint).get("model"), "model")


def begin(settings: TrainSettings) -> tuple[dict[str, Any], Start | None]:
    """The configuration of a new run with a record instead of the path start=, and the weights.

    Raises:
        CheckpointError: there is no intact checkpoint.
        ConfigError: weights= or allow= without what they belong to.
    """
    path, weights, allowed = settings.start, settings.weights, settings.allow
    rest = {key: value for key, value in settings.config.items() if key not in (START, "weights")}
    if path is None and weights != "ema":
        raise ConfigError("weights=: it says which weights of start= to begin with: it goes with start=CKPT")
    if [name for name in allowed if name != START] or (allowed and path is None):
        raise ConfigError("allow=: it names what a resumed run may change: it goes with resume=")
    if path is None:
        return rest, None
    checkpoint = find_checkpoint(path)
    file, prefix = weights_file(checkpoint, weights)
    state = without_prefix(checkpoint.tensors(file), prefix)
    record = {
        "ckpt": str(checkpoint.path),
        "named": os.path.abspath(path),
        "file": file,
        "ckpt_sha256": checkpoint.manifest.files[file].sha256,
        "step": checkpoint.step,
        "weights": weights,
        "partial": START in allowed,
    }
    return rest | {START: record}, Start(state, record, model_name(checkpoint), checkpoint.notice)


def begin_again(config: Mapping[str, Any]) -> Start | None:
    """The weights that a run began with, which starts over from its configuration alone.

    Raises:
        CheckpointError: the checkpoint is gone, or is not what it was.
    """
    record = config.get(START)
    if record is None:
        return None
    checkpoint = open_checkpoint(record["ckpt"])
    file, prefix = weights_file(checkpoint, record["weights"])
    if (file, checkpoint.manifest.files[file].sha256) != (record["file"], record["ckpt_sha256"]):
        raise CheckpointError(
            f"{shown(checkpoint.path)}: changed since the run began, which has no copy yet: start a new run"
        )
    return Start(without_prefix(checkpoint.tensors(file), prefix), record, model_name(checkpoint))


def as_begun(typed: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the path of start= by the run's own record, on a command line that resumes it.

    Raises:
        ConfigError: another path or other weights.
    """
    record, path = base.get(START), typed.get(START)
    rest = {key: value for key, value in typed.items() if key not in (START, "weights")}
    if path is not None and path != record:  # a job of a sweep that goes on has the record already
        same = record is not None and (record["named"], record["weights"]) == (os.path.abspath(path), typed["weights"])
        if not same:
            raise ConfigError(
                f"resume: not the same run: start={shown(path)} is not what it began with: leave it out, or begin a "
                "new run without resume="
            )
    return rest if record is None else rest | {START: record}


def _fitting(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name in own and _alike(value, own[name])}


def _refusal(odd: Sequence[str], own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    first = odd[0]
    more = f" and {len(odd) - 1:,} more differ" if len(odd) > 1 else " differs"
    advice = "allow=[start] takes those that fit" if len(odd) < len({**own, **state}) else "none fits"
    there, here = _words(state.get(first)), _words(own.get(first))
    return f"{shown(first)} is {there} there and {here} here,{more}: {advice}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 80) for name in names[:LISTED]) + (", …" if len(names) > LISTED else "")


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def _words(tensor: Tensor | None) -> str:
    """ "float32 16x64" """
    if tensor is None:
        return "absent"
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape)) or 'number'}"
