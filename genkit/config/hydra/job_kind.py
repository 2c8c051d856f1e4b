"""The knowledge that a verb has of the jobs of its sweeps: their folders, which stand already, what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genkit.config.hydra.sweep import Sweep, SweepJob
from genkit.config.settings import Settings


@dataclass(frozen=True)
class Known:
    """An entry of sweep.json that a job may be found by: the folder's name and its identity."""

    folder: str
    identity: Mapping[str, Any]


class JobKind(ABC):
    """The jobs of one verb.

    Attributes:
        key: The key that names the sweep's folder, and then a job's own: run_dir or out.
    """

    key: str

    @abstractmethod
    def place(self, settings: Settings) -> Path | None:
        """The folder that a job is to write into of its own, None where it is one below the sweep's."""

    @abstractmethod
    def match(self, folder: Path, jobs: Sequence[tuple[SweepJob, Settings]], known: Sequence[Known]) -> None:
        """Give every job that stands already its folder, its status and the words to go on with.

        Args:
            folder: Of the sweep.
            jobs: The jobs with their settings; those that are new stay as they are.
            known: What sweep.json remembers.

        Raises:
            ConfigError: the folder cannot be that of a sweep.
        """

    @abstractmethod
    def taken(self, folder: Path) -> list[str]:
        """The names of the jobs' folders below a sweep's."""

    @abstractmethod
    def refresh(self, job: SweepJob, sweep: Sweep) -> None:
        """Read from a job's folder how far it is, or what it ended with."""

    @abstractmethod
    def conclude(self, sweep: Sweep) -> None:
        """Draw the sweep's picture, and note the commands that come next."""


class SearchKind(JobKind):
    """The jobs of a verb whose values may be searched for."""

    @abstractmethod
    def fingerprint(self, settings: Settings) -> Mapping[str, Any]:
        """The identity of a job with these settings, as JSON; two that are alike are one search.

        Raises:
            GenkitError: a checkpoint that they name cannot be read.
        """

    @abstractmethod
    def goes_on(self, job: SweepJob, settings: Settings, folder: Path) -> bool:
        """Give a job the words that go on with a run, or note that it is done; False where it is no run of these."""
