"""Trained models inside a model: `model.autoencoder=CKPT`.

An argument annotated `ModelFactory` is itself a model, given as the path of its checkpoint. Before anything is built
the path gives way to the configuration in that checkpoint (`embed`), and when the model inside is built its weights
are filled in (`filling`). From then on they are part of the model: its own checkpoints hold both, and nobody looks at
the first again.

The checkpoint is as little trusted here as anywhere: `restore` has verified it, held its classes against the allow-list
and its sizes against its tensors, before its configuration becomes part of another one.

Where each came from is remembered under `embedded`, for a run that has no checkpoint of its own yet and starts over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from genkit.assembly.recorded_keys import EMBEDDED
from genkit.assembly.restore import Restored, restore
from genkit.checkpoint.manifest import MODEL
from genkit.config.build import schema_of
from genkit.config.resolve import resolve
from genkit.config.sampling_arguments import alternatives
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, ConfigError
from genkit.models.base import GenerativeModel, ModelFactory
from genkit.printing import shown

Given = Mapping[str, Restored]  # argument of the model -> the trained model in its place


def embed(config: Mapping[str, Any]) -> tuple[dict[str, Any], Given]:
    """The configuration of a new run with configurations instead of paths, and the models that they describe.

    Raises:
        ConfigError: such an argument is no path.
        CheckpointError: there is no intact checkpoint.
    """
    node, plugins = dict(config["model"]), config["plugins"]
    given = {name: _named(name, node[name], plugins) for name in models_in(node, plugins) if name in node}
    if not given:
        return dict(config), given
    origins = {
        name: {**origin_of(found), "ckpt": str(found.checkpoint.path), "named": os.path.abspath(node[name])}
        for name, found in given.items()
    }
    model = node | {name: found.config["model"] for name, found in given.items()}
    return {**config, "model": model, EMBEDDED: origins}, given


def models_in(node: Mapping[str, Any], plugins: Any = ()) -> list[str]:
    """The arguments of a model's node that are models themselves, without those that may be null and are."""
    hints = schema_of(resolve(node.get("_target_"), at="model", plugins=plugins))
    found = {name: alternatives(hint) for name, hint in hints.items() if ModelFactory in alternatives(hint)}
    return [name for name, kinds in found.items() if node.get(name) is not None or type(None) not in kinds]


def origin_of(found: Restored) -> dict[str, Any]:
    """Name the checkpoint that a model is of, for records."""
    checkpoint = found.checkpoint
    return {
        "ckpt": shown(checkpoint.path),
        "ckpt_sha256": checkpoint.manifest.files[MODEL].sha256,
        "step": checkpoint.step,
        "pointer": checkpoint.pointer,
    }


def embedded_again(config: Mapping[str, Any]) -> Given:
    """The models of a run that starts over from its configuration alone.

    Raises:
        CheckpointError: one of their checkpoints is gone, or is not what it was.
    """
    given = {}
    for name, origin in config.get(EMBEDDED, {}).items():
        found = restore(origin["ckpt"], plugins=config["plugins"])
        if origin_of(found)["ckpt_sha256"] != origin["ckpt_sha256"]:
            raise CheckpointError(
                f"{shown(found.checkpoint.path)}: changed since the run began, which has no copy yet: start a new run"
            )
        given[name] = found
    return given


def as_recorded(typed: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Replace paths of trained models by the run's own configurations, on a command line that resumes it.

    Raises:
        ConfigError: another path.
    """
    node = dict(typed["model"])
    for name, origin in base.get(EMBEDDED, {}).items():
        path = node.get(name)
        if isinstance(path, str):
            if os.path.abspath(path) != origin["named"]:
                raise ConfigError(
                    f"resume: not the same run: model.{name}: {origin['named']} became {path}: leave it out, or start "
                    "a new run"
                )
            node[name] = base["model"][name]
    return {**typed, "model": node}


def check_fit(given: Given, spec: DataSpec) -> None:
    """Raises ConfigError for a model of data other than `spec`."""
    for name, found in given.items():
        mine = found.model.spec
        if mine.departure(spec) is not None:
            raise ConfigError(
                f"model.{name}: {shown(found.checkpoint.path)} models {mine.words}, the data is {spec.words}: name "
                "a model that was trained on this data"
            )


def filling(given: Given) -> dict[str, Callable[[GenerativeModel], object]]:
    """Make what gives the models inside of one their weights, by argument: called with each when it is made."""
    return {name: partial(_fill, found) for name, found in given.items()}


def _fill(found: Restored, made: GenerativeModel) -> None:
    made.load_state_dict(found.model.state_dict())


def _named(name: str, path: Any, plugins: Any) -> Restored:
    if not isinstance(path, str):
        raise ConfigError(f"model.{name}: it is a trained model: name its checkpoint, model.{name}=CKPT")
    return restore(path, plugins=plugins)
