"""The history of a run: every command that trained it, with what that command changed, in run.json and config.yaml.

    "history": [{"command": …, "step": 0, "time": …, "changed": {}, "git": …, "host": …, "platform": …, "device": …,
                 "threads": …, "noise": …, "versions": {…}},
                {"command": …, "step": 400, …, "changed": {"optimizer.lr": [0.002, 0.0001]}}]

`step` is where the command began to train, `changed` each key with its old and its new value, `git` the commit of the
working directory. A run folder of an earlier version has no history; its first entry is then made of what run.json
remembers.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from genkit.assembly.command_line import command_line
from genkit.assembly.recorded_keys import TYPED_ALONE
from genkit.checkpoint.run_folder import utc
from genkit.config.dotted_keys import changes
from genkit.config.migrate import SCHEMA
from genkit.printing import one_line
from genkit.storage.commit import git_commit

FORGOTTEN = ("device", "threads", "noise", "versions", "host")  # of the first command, in a run.json without a history


def entry(step: int, here: Mapping[str, Any], changed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The entry of the running command.

    Args:
        step: Where it begins to train.
        here: What `machine` says of this machine.
        changed: See `changed_keys`.
    """
    return {
        "command": command_line(),
        "step": step,
        "time": utc(),
        "changed": dict(changed or {}),
        "git": git_commit(Path.cwd()),
        "host": platform.node(),
        "platform": platform.platform(),
        **here,
    }


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Every key of two configurations whose value differs -> [old, new]; None stands for an absent one."""
    return {key: values for key, values in changes(before, now).items() if key.partition(".")[0] not in TYPED_ALONE}


def history_of(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a run.json, oldest first."""
    entries = info.get("history")
    if isinstance(entries, list) and all(map(_is_entry, entries)) and entries:
        return entries
    first: dict[str, Any] = {"command": info.get("command"), "step": 0, "time": info.get("started"), "changed": {}}
    return [first | {key: info[key] for key in FORGOTTEN if key in info}]


def _is_entry(each: Any) -> bool:
    """Tell whether it can be shown in `config_text` and found by its step."""
    changed = each.get("changed", {}) if isinstance(each, dict) and type(each.get("step")) is int else None
    return isinstance(changed, dict) and all(isinstance(pair, list) and len(pair) == 2 for pair in changed.values())


def config_text(settings: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """config.yaml: the resolved configuration as it is now, below the history as comments."""
    lines = []
    for each in entries:
        lines.append(f"# from step {each.get('step')}, {each.get('time')}: {each.get('command')}")
        lines += [f"#   {key}: {old!r} became {new!r}" for key, (old, new) in each.get("changed", {}).items()]
    return "".join(f"{one_line(line)}\n" for line in lines) + OmegaConf.to_yaml({"schema": SCHEMA, **settings})
