"""Configurations of earlier versions, brought to the present form as a whole where they are read.

    {"schema": "genkit.config/N", "model": …, "spec": …, "data": …, "train": …}      config.json of a checkpoint
    schema: genkit.config/N, and beside it what config.json has under "train"         config.yaml of a run

Class paths are replaced first (see `genkit.config.names`), then each step takes the form N to N + 1. A file without a
schema is of version 1. Nothing but this module calls `Checkpoint.config`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genkit.checkpoint.manifest import CONFIG
from genkit.config.earlier_loggers import with_own_loggers
from genkit.config.earlier_outputs import with_open_outputs
from genkit.config.first_defaults import with_first_defaults
from genkit.config.names import with_current_names
from genkit.errors import CheckpointError
from genkit.printing import shown
from genkit.storage.version import version_of

if TYPE_CHECKING:
    from genkit.checkpoint.read import Checkpoint  # takes torch, which a sweep that is read again need not import

SCHEMA = "genkit.config/4"

Document = dict[str, Any]

# N -> what makes version N + 1 of a document of version N. The document has the keys of config.json, of which a
# config.yaml gives "train" alone; names of classes in it are the present ones. Use `names.each_node` to change an
# argument at every place of its class.
STEPS: dict[int, Callable[[Document], Document]] = {1: with_first_defaults, 2: with_own_loggers, 3: with_open_outputs}


def config_of(checkpoint: Checkpoint) -> Document:
    """The config.json of a checkpoint, in the present form.

    Raises:
        CheckpointError: damaged, or of a newer genkit.
    """
    return migrated(checkpoint.config(), checkpoint.path / CONFIG)


def training_of_yaml(value: Mapping[str, Any], where: Path) -> Document:
    """The training configuration that a config.yaml holds, in the present form.

    Raises:
        CheckpointError: damaged, or of a newer genkit.
    """
    settings = {key: item for key, item in value.items() if key != "schema"}
    schema = {"schema": value["schema"]} if "schema" in value else {}
    return dict(migrated({**schema, "train": settings}, where)["train"])


def migrated(document: Mapping[str, Any], where: Path) -> Document:
    """A document of any version in the form of `SCHEMA`.

    Raises:
        CheckpointError: its schema is none or newer, or a step does not find what a document of its version has.
    """
    version = version_of(document.get("schema", "genkit.config/1"), SCHEMA, where)
    if version is None:
        found = shown(repr(document["schema"]), 40)
        raise CheckpointError(f"{shown(where)}: its schema is {found}, not {SCHEMA}: restore it from a copy")
    result: Document = with_current_names(dict(document))
    for number in range(version, int(SCHEMA.rpartition("/")[2])):
        try:
            result = STEPS[number](result)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{shown(where)}: its configuration is damaged: not what genkit.config/{number} is "
                f"({type(error).__name__}): restore it from a copy"
            ) from error
    return {**result, "schema": SCHEMA}
