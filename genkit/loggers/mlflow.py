"""MLflow: runs in a database or on a tracking server (https://mlflow.org/docs).

By default the database is `mlflow.db` beside the run folder, which all runs there share; a sweep is an experiment. A
store takes a metric of the same step, time and value twice as once, and has no way to delete one: a run that went
another way is deleted as a whole, which MLflow can undo, and handed over again.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genkit.errors import ConfigError
from genkit.loggers.base import LoggedRun, RunLogger
from genkit.printing import shell_word
from genkit.storage.atomic import temporary_beside
from genkit.storage.turns import own_turn

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"  # beside the run folder
TAG = "genkit.run"  # of the run that an MLflow run is
METRICS_AT_ONCE, PARAMETERS_AT_ONCE = 1000, 100  # what a store takes
LONGEST = 6000  # characters of a parameter's value
STATUS = {"done": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
# It asks nobody, and a server that is gone must not hold the training up for minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

_FORBIDDEN = re.compile(r"[^\w\-. /:]")


class MLflow(RunLogger):
    """MLflow, in a database beside the run folder or on a server: metrics, parameters, pictures, final scores.

    Args:
        uri: `sqlite:///FILE` or the address of a server; None: $MLFLOW_TRACKING_URI, else mlflow.db beside the run.
        experiment: Of the run; None: the name of its sweep, else "genkit".
    """

    folder: ClassVar[str] = "mlflow"
    package: ClassVar[str] = "mlflow"

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        if uri is not None and ("://" not in uri or uri.startswith("file:")):
            raise ConfigError(f"logger.uri={uri}: MLflow no longer writes into folders: try logger.uri={SQLITE}FILE")
        self.uri, self.experiment = uri, experiment
        self.metrics: list[Any] = []

    @property
    def local(self) -> bool:
        return self.uri is None

    def require(self) -> None:
        super().require()
        for package in ("sqlalchemy", "alembic"):  # which the small form of MLflow leaves out
            from importlib.util import find_spec

            if find_spec(package) is None:
                raise ConfigError(
                    f"logger: MLflow needs the package {package}, which is not installed: "
                    "pip install 'genkit-toolkit[mlflow]', or choose another logger"
                )

    def address(self, run: LoggedRun) -> str:
        """Find the store: as asked for, else as the environment says, else beside the run folder."""
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{run.path.parent / DATABASE}"

    def destination(self, run: LoggedRun) -> str:
        return f"{self.address(run)} {self._experiment_name(run)}"

    def open(self, run: LoggedRun, after: int | None) -> None:
        self.client = connected(self.address(run))
        self.metrics = []
        experiment = self._experiment(run)
        found = self._found(run, experiment)
        if found is None:
            tags = {TAG: run.key, "genkit.model": run.label, "genkit.folder": str(run.path)}
            name, started = run.name, int(1000 * run.started)
            found = self.client.create_run(experiment, start_time=started, tags=tags, run_name=name).info.run_id
        self.id = found
        self.client.update_run(self.id, status="RUNNING")

    def configuration(self, step: int, run: LoggedRun) -> None:
        from mlflow.entities import Param, RunTag

        there = self.client.get_run(self.id).data.params
        values = {_key(key): str(value)[:LONGEST] for key, value in run.parameters.items()}
        new = [Param(key, value) for key, value in values.items() if key not in there]
        for start in range(0, len(new), PARAMETERS_AT_ONCE):
            self.client.log_batch(self.id, params=new[start : start + PARAMETERS_AT_ONCE])
        changed = {key: value for key, value in values.items() if there.get(key, value) != value}
        self.client.log_batch(self.id, tags=[RunTag(f"changed.{key}", value) for key, value in changed.items()])
        self.client.log_text(self.id, run.text, "config.yaml")

    def scalars(self, step: int, values: Mapping[str, float], time: float) -> None:
        from mlflow.entities import Metric

        self.metrics += [Metric(_key(tag), value, int(1000 * time), step) for tag, value in values.items()]

    def picture(self, step: int, tag: str, file: Path) -> None:
        self.client.log_artifact(self.id, str(file), "samples")

    def end(self, step: int, facts: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, RunTag

        self.client.log_batch(self.id, tags=[RunTag(_key(f"genkit.{key}"), str(value)) for key, value in facts.items()])
        self.metrics += [Metric(_key(tag), value, 0, step) for tag, value in scores.items()]
        self.flush()
        self.client.set_terminated(self.id, STATUS.get(str(facts.get("status")), "KILLED"))

    def flush(self) -> None:
        while self.metrics:
            self.client.log_batch(self.id, metrics=self.metrics[:METRICS_AT_ONCE])
            del self.metrics[:METRICS_AT_ONCE]

    def close(self, whole: bool) -> None:
        self.metrics = []

    def discard(self, run: LoggedRun) -> None:
        self.client = connected(self.address(run))
        if (found := self._found(run, self._experiment(run))) is not None:
            self.client.delete_run(found)

    def shown_by(self, run: LoggedRun) -> str:
        address = self.address(run)
        return f"mlflow ui --backend-store-uri {shell_word(address)}" if address.startswith(SQLITE) else ""

    def _experiment_name(self, run: LoggedRun) -> str:
        return self.experiment or run.group or "genkit"

    def _experiment(self, run: LoggedRun) -> str:
        """The id of the experiment, made where it is missing."""
        from mlflow.exceptions import MlflowException

        name, address = self._experiment_name(run), self.address(run)
        if (found := self.client.get_experiment_by_name(name)) is None:
            file = Path(address.removeprefix(SQLITE))
            place = file.absolute().with_name(ARTIFACTS).as_uri() if address.startswith(SQLITE) else None
            try:
                return str(self.client.create_experiment(name, artifact_location=place))
            except MlflowException:  # another process has just made it
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _found(self, run: LoggedRun, experiment: str) -> str | None:
        """The id of the MLflow run that this one is, None where there is none."""
        found = self.client.search_runs([experiment], filter_string=f"tags.`{TAG}` = '{run.key}'", max_results=1)
        return str(found[0].info.run_id) if found else None


def connected(address: str) -> MlflowClient:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if address.startswith(SQLITE):
        _make_database(Path(address.removeprefix(SQLITE)))
    return MlflowClient(address)


def _make_database(path: Path) -> None:
    """Make the tables of a new database under another name: one that was left half made fails at each later use."""
    if path.exists():
        return
    from mlflow import MlflowClient

    with own_turn(path.with_name(f".{path.name}.lock"), lambda: None):
        if not path.exists():
            temporary = temporary_beside(path)
            try:
                MlflowClient(f"{SQLITE}{temporary}").search_experiments()
                os.rename(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)


def _key(name: str) -> str:
    """A name of letters that MLflow takes."""
    return _FORBIDDEN.sub("_", name)
