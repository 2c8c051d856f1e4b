"""Continue a run: the state taken from its folder and checkpoint, and refusals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genkit.assembly.recorded_config import check_recorded, read_config_yaml
from genkit.assembly.restore import require_fit
from genkit.assembly.run import Parts, fingerprint
from genkit.assembly.sweep_value import best_of
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.read import Checkpoint
from genkit.checkpoint.retention import CHECKPOINTS, step_name
from genkit.checkpoint.run_folder import CONFIG_YAML, METRICS
from genkit.config.migrate import config_of
from genkit.config.settings import RunSettings
from genkit.data.dataset import Dataset
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, ConfigError
from genkit.printing import shown
from genkit.training.callbacks.optimizer_settings import OptimizerSettings
from genkit.upgrade import upgraded


def recorded(run: Path, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """The configuration that a run began with: its checkpoint's, or config.yaml where there is no checkpoint yet.

    Raises:
        CheckpointError: it is damaged.
    """
    if checkpoint is None:
        return check_recorded(read_config_yaml(run / CONFIG_YAML), run)
    return check_recorded(config_of(checkpoint).get("train"), checkpoint.path)


def same_data(run: Path, info: Mapping[str, Any], dataset: Dataset) -> None:
    """Raises CheckpointError where the training data is not what run.json remembers."""
    if info.get("data_fingerprint") != fingerprint(dataset):
        raise CheckpointError(
            f"{shown(run)}: the training data is not the data of this run: restore it, or accept it with allow=[data]"
        )


def best_until(run: Path, step: int, options: Mapping[str, Any]) -> str | None:
    """The checkpoint with the best monitored score of all steps up to one, None where it does not stand."""
    found = best_score(run, options, step)
    if found is None or not (run / CHECKPOINTS / step_name(found[0])).is_dir():
        return None
    return step_name(found[0])


def best_score(run: Path, options: Mapping[str, Any], until: int | None = None) -> tuple[int, float] | None:
    """The step and the score that metrics.jsonl has as the best, None where nothing is monitored or scored yet.

    Args:
        run: The run folder.
        options: The node `checkpoint` of its configuration: monitor and mode.
        until: The last step that counts.
    """
    lines = MetricsLog(run / METRICS).records()
    within = (line for line in lines if until is None or line["step"] <= until)
    return best_of(within, options.get("monitor"), options.get("mode", "min"))


def fits_of(checkpoint: Checkpoint | None, recorded_model: Any, settings: RunSettings) -> Callable[[DataSpec], None]:
    """Refuses data for which the model that a run recorded is not that of its checkpoint, before it is built."""

    def fits(spec: DataSpec) -> None:
        if checkpoint is not None and recorded_model == settings.model:  # else the user changed it: see `taking_over`
            require_fit(checkpoint, recorded_model, spec, settings.plugins)

    return fits


def taking_over(parts: Parts, checkpoint: Checkpoint, optimizer: str, settings: RunSettings) -> Parts:
    """The parts of a run whose configuration differs from its checkpoint's.

    Raises:
        ConfigError: the weights or the optimizer's state cannot serve the new configuration.
    """
    if settings.optimizer["_target_"] != optimizer:
        raise ConfigError("allow=: an optimizer cannot take over the state of another one: start a new run")
    model = parts.module.model
    stored = {name: tuple(value.shape) for name, value in upgraded(model, checkpoint.model()).items()}
    now = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if stored != now:
        name = sorted(set(stored.items()) ^ set(now.items()))[0][0]
        was, becomes = stored.get(name, "absent"), now.get(name, "absent")
        raise ConfigError(f"allow=: {name} is {was} in the checkpoint and would be {becomes}: start a new run")
    return dataclasses.replace(parts, callbacks=[OptimizerSettings(), *parts.callbacks])
