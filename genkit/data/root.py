"""The place of data that genkit does not include: `data.root=`, else $GENKIT_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from genkit.errors import DataError
from genkit.printing import shown


def find_root(root: str | None, name: str, wanted: str) -> Path:
    """`root`, else $GENKIT_DATA.

    Args:
        root: What the user gave, None for nothing.
        name: Of the dataset, for messages.
        wanted: What to give.

    Raises:
        DataError: there is none, or it does not exist.
    """
    place = root or os.environ.get("GENKIT_DATA")
    if not place:
        raise DataError(f"{name}: no data.root= and no $GENKIT_DATA; {wanted}, or set GENKIT_DATA=FOLDER")
    path = Path(place).expanduser()
    if not os.path.exists(path):  # False for a name that no disk can have, where Path.exists raises
        raise DataError(f"{name}: {shown(path)} does not exist; {wanted}")
    return path


def find_inside(root: Path, names: tuple[str, ...]) -> Path:
    """The first entry of a folder that has one of these names, else what was given itself."""
    return next((root / name for name in names if root.is_dir() and (root / name).exists()), root)
