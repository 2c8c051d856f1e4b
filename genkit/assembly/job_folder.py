"""The folders of a sweep: which one a job of `genkit train -m` continues, how a new one is called, and sweep.json.

Jobs are matched by configuration, not by number: a sweep is typed again, longer or with other values in front, and
every job finds the run that has its configuration. `trainer.max_steps` is no part of it unless it is swept, so that a
longer training takes the runs further. Keys that a resumed run may change freely are none either.

    sweep.json    {"schema": "genkit.sweep/1", "command": …, "keys": […],
                   "jobs": [{"folder": …, "values": {…}, "status": …, "step": …, "best": {…}}, …]}
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genkit.assembly.continuation import recorded
from genkit.assembly.nested_models import EMBEDDED
from genkit.assembly.resume_checks import MAX_STEPS, is_free
from genkit.assembly.run import TYPED_ALONE
from genkit.assembly.start_weights import START
from genkit.checkpoint import strict_json
from genkit.checkpoint.place import is_run_folder, runs_below
from genkit.checkpoint.run_folder import RUN, read_info
from genkit.config import migrate
from genkit.config.dotted_keys import lookup
from genkit.config.hydra.launch import current_job
from genkit.config.hydra.sweep import current_sweep, job_name, label_of_values, swept_values
from genkit.config.names import with_first_names
from genkit.errors import ConfigError, GenkitError
from genkit.printing import shown
from genkit.storage.atomic import replace_file, write_file
from genkit.storage.exclusive import make_stamped

INDEX = "sweep.json"
SCHEMA = "genkit.sweep/1"


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of run.json that a run is found by: a hash of its configuration, and its `trainer.max_steps`.

    Classes count by their first names, so that the hash outlives a move, and `schema` says of which form it is.
    """
    kept = {key: value for key, value in config.items() if key not in TYPED_ALONE}
    if START in kept:
        kept[START] = {key: lookup(kept[START], key) for key in ("ckpt_sha256", "weights", "partial")}
    kept[EMBEDDED] = {name: origin.get("ckpt_sha256") for name, origin in (config.get(EMBEDDED) or {}).items()}
    text = strict_json.render(with_first_names(_without_free(kept)), "the configuration")
    found = {"config_sha256": hashlib.sha256(text).hexdigest(), "max_steps": lookup(config, MAX_STEPS)}
    return found | {"schema": migrate.SCHEMA}


def sweep_folder(run_dir: str | None) -> Path:
    """The folder of the running sweep: run_dir=, or a stamped one that its first job makes.

    Raises:
        ConfigError: run_dir= is a run.
    """
    sweep = current_sweep()
    if run_dir is not None:
        sweep.folder = Path(run_dir)
        if is_run_folder(sweep.folder):
            raise ConfigError(
                f"{shown(sweep.folder)}: a run, and a sweep makes a folder of runs: name another run_dir="
            )
    if sweep.folder is None:
        stamped = Path("outputs", "train", f"{time.strftime('%Y%m%d-%H%M%S')}-sweep")
        sweep.folder = make_stamped(stamped, lambda folder: write_file(folder / INDEX, [_index(folder)]) and None)
    return sweep.folder


def find_same_run(folder: Path, config: Mapping[str, Any]) -> Path | None:
    """The run in a sweep's folder that has this configuration: of this length, else the longest of another."""
    wanted = identity(config)
    alike = [
        (path, found["max_steps"])
        for path in runs_below(folder)
        if (found := _identity_of(path)) is not None and found["config_sha256"] == wanted["config_sha256"]
    ]
    for path, steps in alike:
        if steps == wanted["max_steps"]:
            return path
    if MAX_STEPS in current_sweep().keys or not alike:
        return None
    return max(alike, key=lambda found: found[1])[0]


def new_folder(folder: Path, label: str) -> Path:
    """The folder of a job that has no run yet: its own number where no other folder has it, else the next free one."""
    job = current_job()
    values = swept_values(job.overrides, current_sweep().keys)
    taken = {int(match[1]) for path in runs_below(folder) if (match := re.match(r"([0-9]{1,9})(?![0-9])", path.name))}
    number = job.number if job.number not in taken else max(taken) + 1
    return folder / job_name(number, label_of_values(values) or label)


def write_index() -> None:
    """Writes sweep.json of the running sweep, where its folder stands."""
    folder = current_sweep().folder
    if folder is not None and folder.is_dir():
        replace_file(folder / INDEX, _index(folder))


def _index(folder: Path) -> bytes:
    index = {
        "schema": SCHEMA,
        "command": current_sweep().command,
        "keys": list(current_sweep().keys),
        "jobs": list(_entries(folder)),
    }
    return strict_json.render(index, INDEX)


def _entries(folder: Path) -> Iterator[dict[str, Any]]:
    for path in runs_below(folder):
        try:
            info = read_info(path / RUN)
        except GenkitError:
            continue  # damaged, or not genkit's
        yield {"folder": path.name} | {key: info.get(key) for key in ("values", "status", "step", "best")}


def _identity_of(path: Path) -> dict[str, Any] | None:
    """The identity in run.json, or that of config.yaml where the first was hashed in the form of another version."""
    try:
        info = read_info(path / RUN)
        found = info.get("identity")
        if isinstance(found, dict) and type(found.get("max_steps")) is int and _is_present(found):
            return {"config_sha256": str(found.get("config_sha256")), "max_steps": found["max_steps"]}
        return identity(recorded(path, None))
    except GenkitError:
        return None


def _is_present(found: Mapping[str, Any]) -> bool:
    """Tell whether this identity is of a configuration in the present form; without a schema it is of the first."""
    return bool(found.get("schema", "genkit.config/1") == migrate.SCHEMA)


def _without_free(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The configuration without keys that are free, that are null, or that say how long."""
    kept: dict[str, Any] = {}
    for name, value in settings.items():
        key = f"{above}{name}"
        if value is None or key == MAX_STEPS or is_free(key):
            continue
        kept[str(name)] = _without_free(value, f"{key}.") if isinstance(value, Mapping) else value
    return kept
