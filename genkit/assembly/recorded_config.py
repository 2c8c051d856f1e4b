"""The configuration in a run folder, read as untrusted text: plain values, at known keys alone.

`config.yaml` serves a run without a checkpoint. It is read as YAML without aliases (ten levels of them, 400 bytes, grow
without end) and without tags. What the values of a group may be is for `build` to say, which is given them untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from genkit.assembly.recorded_keys import EMBEDDED, PLANNED, START
from genkit.assembly.recorded_plan import check_plan
from genkit.checkpoint import strict_json
from genkit.config.migrate import training_of_yaml
from genkit.config.schema import is_node
from genkit.config.settings import TrainSettings, keys_of, read_setting
from genkit.errors import CheckpointError, ConfigError
from genkit.printing import one_line, shown
from genkit.storage.regular import read_regular

LARGEST = 2**20  # bytes of YAML
GROUPS = ("data", "model", "optimizer", "lr_schedule", "trainer", "checkpoint", "samples")
OPTIONAL_GROUPS = ("ema", "logger", "quick", "features")
ORIGIN = {"ckpt": str, "ckpt_sha256": str, "named": str}
STARTED: dict[str, Any] = ORIGIN | {
    "file": Literal["model.safetensors", "training.safetensors"],
    "weights": Literal["ema", "raw"],
    "partial": bool,
}


class PlainLoader(yaml.SafeLoader):
    """YAML of plain values; an alias is refused before it is followed."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "an alias, which is not followed", mark)
        return super().compose_node(parent, index)


def read_config_yaml(path: Path) -> dict[str, Any]:
    """The training configuration in a run's config.yaml, in the present form.

    Raises:
        CheckpointError: missing, no regular file of the run, too large, no plain YAML mapping, or of a newer genkit.
    """
    data = read_regular(path, LARGEST, inside=path.parent, refusal=CheckpointError, advice="restore it from a copy")
    try:
        value = yaml.load(data.decode("utf-8"), PlainLoader)
        strict_json.render(value, path.name)  # no dates, no sets, nothing deep
    except (yaml.YAMLError, ValueError, RecursionError, CheckpointError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else one_line(str(error), 200)
        raise CheckpointError(f"{shown(path)}: no plain YAML ({reason}): restore it from a copy") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{shown(path)}: holds no training configuration: restore it from a copy")
    return training_of_yaml(value, path)


def check_recorded(settings: Any, where: Path) -> dict[str, Any]:
    """The training configuration of a run folder, its keys found and of the right kind.

    Raises:
        CheckpointError: a key is missing or of another kind.
    """
    try:
        if not isinstance(settings, dict):
            raise ConfigError("holds no training configuration")
        _check(settings)
    except ConfigError as error:
        raise CheckpointError(
            f"{shown(where)}: its configuration is damaged: {error}: restore it from a copy"
        ) from error
    return settings


def _check(settings: Mapping[str, Any]) -> None:
    for key in ("seed", "plugins", *GROUPS):
        if key not in settings:
            raise ConfigError(f"{key}: missing")
    for key in (*GROUPS, *OPTIONAL_GROUPS):
        value = settings.get(key)
        if not (is_node(value) or (value is None and key not in GROUPS)):
            raise ConfigError(f"{key}: describes no object")
    for key, hint in keys_of(TrainSettings):
        if key in settings and key != START:
            read_setting(settings[key], hint, key)
    for key in ("callbacks", "metric"):
        for name, node in (settings.get(key) or {}).items():
            if not is_node(node):
                raise ConfigError(f"{key}.{name}: describes no object")
    _check_embedded(settings.get(EMBEDDED, {}))
    if settings.get(START) is not None:
        _check_start(settings[START])
    if settings.get(PLANNED) is not None:
        check_plan(settings[PLANNED])


def _check_embedded(origins: Any) -> None:
    """Check where trained models inside the model came from."""
    read_setting(origins, dict[str, dict[str, Any]], EMBEDDED)
    for name, origin in origins.items():
        for key, kind in ORIGIN.items():
            read_setting(origin.get(key), kind, f"{EMBEDDED}.{name}.{key}")


def _check_start(record: Any) -> None:
    """Check the record of the checkpoint that the run's weights began from."""
    read_setting(record, dict[str, Any], START)
    for key, hint in STARTED.items():
        read_setting(record.get(key), hint, f"{START}.{key}")
