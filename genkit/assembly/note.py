"""The note beside a command's results: which model they are of, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genkit import __version__
from genkit.assembly.command_line import command_line
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_model import origin
from genkit.config.settings import ModelSettings
from genkit.models.base import Stepwise
from genkit.storage.atomic import whole_file


def write_note(path: Path, facts: Mapping[str, Any]) -> None:
    """Facts as JSON; raises StorageError where the file cannot be written."""
    with whole_file(path) as file:
        file.write(f"{json.dumps(facts, indent=1, allow_nan=False, ensure_ascii=False)}\n".encode())


def facts_of(found: Restored, settings: ModelSettings, schema: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that every note holds, with `own` ones among them."""
    return {
        "schema": schema,
        "genkit": __version__,
        "torch": torch.__version__,
        "command": command_line(),
        "model": origin(found, settings),
        "spec": found.model.spec.to_json(),
        **own,
        **{key: settings.config[key] for key in settings.groups},
        "evaluations": found.model.evaluations if isinstance(found.model, Stepwise) else None,
    }
