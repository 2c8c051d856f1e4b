"""Data that is no longer what a run was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from genkit.assembly.restore import Restored
from genkit.checkpoint.run_folder import RUN, read_info
from genkit.data.dataset import Dataset
from genkit.errors import GenkitError
from genkit.printing import shown


def say_changed(models: Iterable[Restored], dataset: Dataset, console: Console) -> None:
    """A line for each run whose training data was not what this dataset has now; a run that tells nothing has none."""
    for run in dict.fromkeys(found.checkpoint.path.parent.parent for found in models):
        known = recorded_fingerprint(run)
        if known is not None and known != dataset.split("train").fingerprint:
            console.print(
                f"note: {shown(run)} was trained on other data than is there now: its scores are of the data of now",
                style="yellow",
                soft_wrap=True,
                highlight=False,
            )


def recorded_fingerprint(run: Path) -> str | None:
    """The fingerprint of the training data in run.json, None where there is none to read."""
    with suppress(GenkitError):
        value = read_info(run / RUN).get("data_fingerprint")
        return value if type(value) is str else None
    return None
