"""The held-out data that samples are compared with, and names of what is compared, as settings give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genkit.assembly.labels import dataset_name
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_model import data_node
from genkit.config.build import build
from genkit.config.settings import EvalSettings, JudgeSettings
from genkit.data.dataset import Dataset
from genkit.data.samples import read_samples, spec_of
from genkit.errors import ConfigError
from genkit.evaluation.reference import Reference
from genkit.printing import shown


def paths_in(value: Any) -> list[str]:
    """One path, several, or none."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def reference_of(settings: EvalSettings | JudgeSettings, models: Sequence[Restored]) -> Reference:
    """The held-out data: a file's, the named dataset's, or that of the first checkpoint."""
    own = settings.data or {}
    dataset = build(own, at="data", expect=Dataset, plugins=settings.plugins) if "_target_" in own else None
    if settings.reference is not None:
        name = Path(settings.reference).name
        if dataset is None:
            data = read_samples(settings.reference)
            return Reference(spec_of(data, paths_in(settings.samples)), data, name)
        data = read_samples(settings.reference, dataset.spec)
        return Reference(dataset.spec, data, name, features=dataset.features)
    if dataset is not None:
        return Reference.of(dataset, dataset_name(own))
    nodes = [data_node(found, own) for found in models]
    references = [_recorded(node, settings.plugins) for i, node in enumerate(nodes) if node not in nodes[:i]]
    if any(other.hash != references[0].hash for other in references[1:]):
        raise ConfigError("ckpt=: these models were trained on different data: name the one to score on with data=…")
    return references[0]


def _recorded(node: Mapping[str, Any], plugins: Sequence[str]) -> Reference:
    return Reference.of(build(node, at="data", expect=Dataset, plugins=plugins, trusted=False), dataset_name(node))


def unique_names(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Names for a table; where two would be the same, the end of the path tells them apart, or all of it."""
    named = list(zip(names, paths, strict=True))
    for found in (list(names), [f"{name} {Path(path).name}" for name, path in named]):
        if len(set(found)) == len(found):
            return found
    return [f"{name} {shown(path)}" for name, path in named]


def check_sources(
    verb: str, done: str, checkpoints: Sequence[str], files: Sequence[str], settings: EvalSettings | JudgeSettings
) -> None:
    """Raise ConfigError unless there are either checkpoints or files, with what belongs to them alone.

    Args:
        verb: "eval" or "judge".
        done: What it does to samples, "scored" or "judged".
        checkpoints: Of `ckpt=`.
        files: Of `samples=`.
        settings: All the others.
    """
    if bool(checkpoints) == bool(files):
        raise ConfigError(f"genkit {verb} takes either checkpoints (ckpt=…) or samples (samples=…): give one of them")
    if files and "_target_" not in (settings.data or {}) and settings.reference is None:
        raise ConfigError(f"samples= are {done} beside real data: name it with data=… or reference=FILE")
    if files and settings.sampling:
        key = next(iter(settings.sampling))
        raise ConfigError(f"{key}: it changes how a model samples, and samples= are drawn already: leave it out")
    if checkpoints and settings.reference is not None:
        raise ConfigError(f"reference= goes with samples=: a checkpoint is {done} beside held-out data of its own")
