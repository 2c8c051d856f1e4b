"""All that a run folder says of its run, read as untrusted text; what is missing or damaged is noted, not refused.

No tensor is read and torch is not imported. Runs of earlier versions lack some files and fields: what is not there is
left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from genkit.assembly.labels import dataset_name, label_in_words, title_in_words
from genkit.assembly.recorded_config import read_config_yaml
from genkit.assembly.run_history import history_of
from genkit.checkpoint import lock
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.retention import newest_step
from genkit.checkpoint.run_folder import CONFIG_YAML, METRICS, RUN, read_info
from genkit.config.dotted_keys import lookup
from genkit.errors import GenkitError
from genkit.printing import shown

LARGEST_NUMBER = 1e300  # what can be drawn
RECONSTRUCTION = "-reconstruction"
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class RunFacts:
    """The content of a run folder.

    Attributes:
        path: Its folder.
        info: run.json, {} where it is missing.
        config: The training configuration, {} where it is missing.
        series: Every number of metrics.jsonl, key -> (step, value) by step.
        broken: The first step at which a number of a key was not finite, by key.
        notes: What could not be read, in words.
    """

    path: Path
    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Points] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        """Model and data, "vae on toy checkerboard"."""
        label, node = shown(self.info.get("label", self.path.name), 100), self.config.get("data")
        model, dash, data = label.partition("-")
        return title_in_words(model, node) if dash and data == dataset_name(node) else label_in_words(label)

    @property
    def plugins(self) -> list[str]:
        """The packages that its classes come from."""
        plugins = self.config.get("plugins")
        return [str(name) for name in plugins] if isinstance(plugins, list) else []

    @cached_property
    def step(self) -> int:
        """The last step that it reached: of its checkpoints, or logged."""
        logged = max((int(points[-1][0]) for points in self.series.values() if points), default=0)
        return max(newest_step(self.path), logged)

    @property
    def steps(self) -> int | None:
        """The step that it was to reach."""
        steps = lookup(self.config, "trainer.max_steps")
        return steps if type(steps) is int else None

    @cached_property
    def status(self) -> str:
        """ "done", "running", "was killed", "interrupted", "failed"; "unknown" where nothing says."""
        status = self.info.get("status")
        if status == "running" and self._abandoned():
            return "was killed"
        return shown(status, 40) if isinstance(status, str) else "unknown"

    def _abandoned(self) -> bool:
        try:
            return lock.living_owner(self.path) is None
        except GenkitError:
            return False

    @property
    def well(self) -> bool:
        """Tell whether it ended as it should, or is on its way."""
        return self.status in ("done", "running")

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The commands that trained it, oldest first."""
        return history_of(self.info)

    def pictures(self, reconstructions: bool = False) -> list[Path]:
        """The pictures of its samples, or of its reconstructions, by step."""
        found = sorted(path for path in self.path.glob("samples/step-*.png") if path.is_file())
        return [path for path in found if path.stem.endswith(RECONSTRUCTION) == reconstructions]


def facts_of(run: Path) -> RunFacts:
    """Read a run folder; never raises because of what is in it."""
    notes: list[str] = []
    info = _tried(lambda: read_info(run / RUN), notes, run / RUN)
    config = _tried(lambda: read_config_yaml(run / CONFIG_YAML), notes, run / CONFIG_YAML)
    series, broken = dict[str, Points](), dict[str, int]()
    try:
        for record in MetricsLog(run / METRICS).records():
            _take(record, series, broken)
    except GenkitError as error:
        notes.append(str(error))
    return RunFacts(run, info, config, series, broken, notes)


def _tried(read: Any, notes: list[str], path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = read()
        return found
    except GenkitError as error:
        notes.append(str(error))
        return {}


def _take(record: Mapping[str, Any], series: dict[str, Points], broken: dict[str, int]) -> None:
    """Sort the numbers of a line into their series."""
    step = record["step"]
    for key, value in record.items():
        if key == "step" or isinstance(value, bool) or value is None:
            continue
        number = _number(value)
        if number is not None and math.isfinite(number) and abs(number) <= LARGEST_NUMBER:
            series.setdefault(key, []).append((step, number))
        elif number is not None:
            broken.setdefault(key, step)


def _number(value: object) -> float | None:
    """Of a value, infinity and NaN as their words included; None for other text."""
    if isinstance(value, str):
        return float(value) if value in ("inf", "-inf", "nan") else None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.inf
