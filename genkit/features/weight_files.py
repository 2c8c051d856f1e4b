"""Find weights that are not shipped: `features.weights=`, `$GENKIT_WEIGHTS`, the cache. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from genkit.errors import DataError
from genkit.storage.disk import user_folder


def find_weights(features: str, file: str, facts: str, path: str | None) -> Path:
    """The weights' file: `path` alone where it is given, else `file` in the places above.

    Args:
        features: Whose weights they are, for the error.
        file: Its usual name, looked for in a place that is a folder.
        facts: Where it comes from, for the error.
        path: A file or folder of the user's.

    Raises:
        DataError: what to put where.
    """
    own = os.environ.get("GENKIT_WEIGHTS")
    named = [Path(text).expanduser() for text in (path, own) if text]
    places = [place / file if place.is_dir() else place for place in named] + [user_folder() / "weights" / file]
    if path is not None:
        places = places[:1]
    for place in places:
        if place.is_file():
            return place
    where = path or f"$GENKIT_WEIGHTS or {places[-1].parent}"
    raise DataError(f"features={features}: put {file} ({facts}) at {where}, or name it: features.weights=")
