"""genkit's own sweeper and launcher for Hydra: grids whose jobs are matched, each in a process of its own.

They are registered in this process alone, so that other Hydra applications of the environment do not see them. Hydra
takes plugins from the package `hydra_plugins` alone, so this module gets a second name there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from omegaconf import flag_override

from genkit.config.hydra.app import NAMESPACE, PACKAGE
from genkit.config.hydra.grid import JobGrid
from genkit.config.hydra.job_process import Processes
from genkit.config.hydra.paths import literal

_GRIDS: list[JobGrid] = []


class GridSweeper(Sweeper):
    """Every combination of the values, by the grid of the running command."""

    def __init__(self) -> None:
        self.context: Any = None
        self.task: Any = None
        self.config: Any = None

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    def _launcher(self) -> Any:
        """The launcher that was chosen; what it writes it writes below hydra.sweep.dir."""
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=self.task, config=self.config
        )

    def sweep(self, arguments: list[str]) -> list[float]:
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from hydra.core.override_parser.overrides_parser import OverridesParser

        overrides = OverridesParser.create(config_loader=self.context.config_loader).parse_overrides(arguments)
        (grid,) = BasicSweeper.split_arguments(overrides, None)
        return _GRIDS[-1].run(grid, self._composed, self._launched, self._foreign_launcher())

    def _composed(self, words: Sequence[str]) -> Any:
        """The configuration of a job with these overrides."""
        config = self.context.config_loader.load_sweep_config(self.config, list(words))
        with flag_override(config, ["struct", "readonly"], [False, False]):
            del config["hydra"]
        return config

    def _launched(self, jobs: Iterable[Sequence[str] | None]) -> list[Any]:
        """The outcomes of jobs with these overrides."""
        self.config.hydra.sweep.dir = literal(str(_GRIDS[-1].sweep.folder))
        launcher = self._launcher()
        own = isinstance(launcher, ProcessLauncher)  # the others take a whole list
        returns = launcher.launch(jobs if own else [list(words) for words in jobs if words], initial_job_idx=0)
        return [found.return_value for found in returns]  # raises what a launcher brought back

    def _foreign_launcher(self) -> str | None:
        """The name of a launcher that is not genkit's own; refuses one that cannot be had, before anything is made."""
        own = isinstance(self._launcher(), ProcessLauncher)
        return None if own else str(self.config.hydra.runtime.choices.get("hydra/launcher"))


class SearchSweeper(GridSweeper):
    """Values that a sampler chooses, one trial after the other, by the search of the running command."""

    def sweep(self, arguments: list[str]) -> None:  # type: ignore[override]
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from genkit.config.hydra.search.space import space_of

        overrides = OverridesParser.create(config_loader=self.context.config_loader).parse_overrides(arguments)
        space, words = space_of(overrides)
        _GRIDS[-1].search(space, words, self._composed, self._launched, self._foreign_launcher())  # type: ignore[attr-defined]


class ProcessLauncher(Launcher):
    """Each job in a process of its own, `sweep.jobs` of them at once."""

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None: ...

    def launch(self, job_overrides: Any, initial_job_idx: int) -> list[JobReturn]:
        outcomes = Processes(_GRIDS[-1]).run(job_overrides)
        return [JobReturn(_return_value=outcome, status=JobStatus.COMPLETED) for outcome in outcomes]


def register() -> None:
    """Make the sweeper and the launcher known to Hydra."""
    plugins = Plugins.instance()  # looks for those that are installed, so before the namespace is made
    if NAMESPACE not in sys.modules and find_spec(NAMESPACE) is None:
        sys.modules[NAMESPACE] = module_from_spec(ModuleSpec(NAMESPACE, None, is_package=True))
    setattr(importlib.import_module(NAMESPACE), PACKAGE.rpartition(".")[2], sys.modules[__name__])
    sys.modules[PACKAGE] = sys.modules[__name__]
    for cls in (GridSweeper, SearchSweeper, ProcessLauncher):
        cls.__module__ = PACKAGE
        plugins.register(cls)


class running:
    """The grid of the command that runs."""

    def __init__(self, grid: JobGrid) -> None:
        self.grid = grid

    def __enter__(self) -> JobGrid:
        _GRIDS.append(self.grid)
        return self.grid

    def __exit__(self, *_: object) -> None:
        _GRIDS.pop()
