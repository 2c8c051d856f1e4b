"""The identity of a run, by which a sweep that is typed again finds it: a hash of its configuration, and its length.

`trainer.max_steps` is no part of the hash, so that a longer training takes the runs further. Keys that a resumed run
may change freely are none either. A checkpoint that the configuration names counts by its content.

torch is not imported here, where it can be helped: a sweep of runs that stand should be read at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genkit.assembly.recorded_keys import EMBEDDED, START, TYPED_ALONE
from genkit.assembly.recorded_plan import as_composed
from genkit.assembly.resume_checks import MAX_STEPS, is_free
from genkit.checkpoint import strict_json
from genkit.checkpoint.run_folder import RUN, read_info
from genkit.config.dotted_keys import lookup
from genkit.config.migrate import SCHEMA
from genkit.config.names import with_first_names
from genkit.config.sampling_arguments import nested_models
from genkit.config.settings import TrainSettings
from genkit.errors import GenkitError

PATHS = ("root", "labels")  # of data


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of run.json that a run is found by: a hash of its configuration, and its `trainer.max_steps`.

    Classes count by their first names, so that the hash outlives a move, and `schema` says of which form it is.
    """
    composed = as_composed(config)
    kept = {key: value for key, value in composed.items() if key not in TYPED_ALONE}
    if START in kept:
        kept[START] = {key: lookup(kept[START], key) for key in ("ckpt_sha256", "weights", "partial")}
    kept[EMBEDDED] = {name: origin.get("ckpt_sha256") for name, origin in (config.get(EMBEDDED) or {}).items()}
    text = strict_json.render(with_first_names(_without_free(kept)), "the configuration")
    found = {"config_sha256": hashlib.sha256(text).hexdigest(), "max_steps": lookup(composed, MAX_STEPS)}
    return found | {"schema": SCHEMA}


def identity_to_be(settings: TrainSettings) -> dict[str, Any]:
    """The identity of the run that these settings begin.

    Raises:
        GenkitError: a checkpoint that they name cannot be read.
    """
    config: dict[str, Any] = {key: value for key, value in settings.config.items() if key not in (START, "weights")}
    names = nested_models(settings.plugins)
    if settings.start is not None or any(isinstance(settings.model.get(name), str) for name in names):
        from genkit.assembly.nested_models import embed  # both read checkpoints, which takes torch
        from genkit.assembly.start_weights import begin

        config, _ = begin(settings)
        config, _ = embed(config)
    return identity(with_absolute_data(config))


def identity_of(path: Path) -> dict[str, Any] | None:
    """The identity in run.json, or that of config.yaml where the first was hashed in the form of another version."""
    try:
        found = read_info(path / RUN).get("identity")
        if isinstance(found, dict) and type(found.get("max_steps")) is int and _is_present(found):
            return {"config_sha256": str(found.get("config_sha256")), "max_steps": found["max_steps"]}
        from genkit.assembly.continuation import recorded  # as above

        return identity(recorded(path, None))
    except GenkitError:
        return None


def with_absolute_data(config: dict[str, Any]) -> dict[str, Any]:
    """Make relative paths of data absolute, so that a run may be resumed from another folder."""
    data = config["data"]
    paths = [key for key in PATHS if type(data.get(key)) is str]
    absolute = {key: os.path.abspath(os.path.expanduser(data[key])) for key in paths}
    files = {key: path for key, path in absolute.items() if key == "root" or os.path.isfile(path)}
    return {**config, "data": {**data, **files}}


def _is_present(found: Mapping[str, Any]) -> bool:
    """Tell whether this identity is of a configuration in the present form; without a schema it is of the first."""
    return bool(found.get("schema", "genkit.config/1") == SCHEMA)


def _without_free(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The configuration without keys that are free, that are null, or that say how long."""
    kept: dict[str, Any] = {}
    for name, value in settings.items():
        key = f"{above}{name}"
        if value is None or key == MAX_STEPS or is_free(key):
            continue
        kept[str(name)] = _without_free(value, f"{key}.") if isinstance(value, Mapping) else value
    return kept
