"""The `schema` of a JSON or YAML file, "genkit.config/1": the kind of file and the version of its format."""

from __future__ import annotations

import re
from pathlib import Path

from genkit.errors import CheckpointError
from genkit.printing import shown

_VERSION = re.compile(r"[1-9][0-9]{0,5}")  # a longer number is damage, not a version


def version_of(found: object, known: str, where: Path) -> int | None:
    """The N of a schema "name/N"; None where `found` is no such text.

    Args:
        found: What the file says, of any type.
        known: The schema that this genkit writes: its name and the newest version.
        where: The file, for messages.

    Raises:
        CheckpointError: the version is newer than `known`.
    """
    kind, _, newest = known.rpartition("/")
    name, _, version = found.rpartition("/") if isinstance(found, str) else ("", "", "")
    if name != kind or not _VERSION.fullmatch(version):
        return None
    if int(version) > int(newest):
        raise CheckpointError(
            f"{shown(where)}: was written by a newer genkit ({name}/{version}, this one reads {known}): update genkit"
        )
    return int(version)
