"""Ability of a callback: to be told which run it belongs to, before anything is written and before the first step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from rich.console import Console

from genkit.data.dataset import Dataset


class Attached(ABC):
    """A callback that works with the data of a run or writes into its folder."""

    @abstractmethod
    def check_data(self, dataset: Dataset) -> None:
        """Raises ConfigError, before a run folder is made, where it cannot work with this data."""

    @abstractmethod
    def attach(self, folder: Path, dataset: Dataset, name: str, console: Console) -> None:
        """Take note of the run.

        Args:
            folder: The run folder.
            dataset: What is learned.
            name: "vae on digits".
            console: Where lines are printed.
        """
