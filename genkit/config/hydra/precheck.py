"""Refusals before torch is imported: values, folders that are in use, files and GPUs that are not there.

A mistake then costs the time of composing, not that of importing. Everything is checked again, by the same functions
or against the imported class, where it is used: what cannot be decided here passes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_origin

from genkit.checkpoint.place import locate
from genkit.config.automatic_batch import with_a_number
from genkit.config.hydra.catalog import DRAWING
from genkit.config.hydra.paths import PATH_KEYS
from genkit.config.hydra.signature import Object, Unknown, signature_of
from genkit.config.resolve import FOREIGN
from genkit.config.sampling_arguments import nested_models, trained_models
from genkit.config.schema import is_node, read
from genkit.config.suggestions import did_you_mean, listing, nearest_name
from genkit.errors import CheckpointError, ConfigError, DataError
from genkit.printing import shown
from genkit.storage.exclusive import NEW_OUT, NEW_RUN, refuse_file_name, refuse_in_use

LONGEST = 255  # bytes of a name in a folder, on every common file system
LONGEST_PATH = 4000  # bytes of a path: Linux takes 4,096, and files stand below it
CUT = 60  # characters of such a path in a message
# key -> the class that it must be built of; of another one, the real check says so
EXPECTED = {
    "data": "Dataset", "model": "GenerativeModel", "trainer": "TrainerOptions", "checkpoint": "CheckpointOptions",
    "samples": "SampleGridOptions", "quick": "QuickOptions", "ema": "EMA", "lr_schedule": "LRSchedule",
}  # fmt: skip
WRITE_A_FILE = ("compress",)  # verbs whose out= is no folder
INPUTS = ("samples", "reference", "data.root", "input")


def precheck(verb: str, config: Mapping[str, Any], multirun: bool) -> None:
    """Raises what the command would raise later, for a composed configuration.

    Args:
        verb: The command.
        config: Plain values.
        multirun: Whether it is a job of a sweep, whose folders are numbered.
    """
    config = with_a_number(verb, config)
    for at, node in nodes(config):
        check_node(node, at)
    check_device(config)
    if verb not in WRITE_A_FILE:
        check_folders(config)
    check_paths(verb, config)
    if is_node(config.get("model")) and config.get("resume") is None and not multirun:  # a run that goes on has its own
        check_checkpoints(config, [f"model.{name}" for name in nested_models(config["plugins"])])
    if verb == "train" and config["run_dir"] is not None and config["resume"] is None and not multirun:
        refuse_in_use(config["run_dir"], NEW_RUN)
    if config.get("out") is not None and not multirun and verb not in WRITE_A_FILE:
        refuse_in_use(config["out"], NEW_OUT)


def nodes(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that a configuration describes at its top, with its key; metrics and callbacks have names."""
    for key, node in config.items():
        if is_node(node):
            yield key, node
        elif key in ("metric", "callbacks") and isinstance(node, Mapping):
            yield from ((f"{key}.{name}", inner) for name, inner in node.items() if is_node(inner))


def check_node(node: Mapping[str, Any], at: str) -> None:
    """Raises ConfigError for an argument that the node's class lacks, or a value outside what it takes."""
    signature = signature_of(node["_target_"])
    if signature is None or EXPECTED.get(at, signature.name) not in signature.ancestors:
        return
    if at == "optimizer" and node["_target_"] not in FOREIGN:
        return
    given = FOREIGN.get(node["_target_"], ())
    own = [name for name in signature.hints if name not in given]
    for name, value in node.items():
        if name == "_target_" or name in given or f"{at}.{name}" in PATH_KEYS:
            continue
        if name in signature.required and signature.hints[name] is Object and not is_node(value):
            continue  # perhaps genkit's own to give
        if name in signature.hints:
            _check_value(value, signature.hints[name], f"{at}.{name}")
        elif signature.complete:
            near = did_you_mean(f"{at}.{name}", [f"{at}.{other}" for other in own])
            has = listing(set(own) - signature.required) or "none"
            raise ConfigError(f"{at}.{name}: {signature.name} has no such argument{near or f'; it has {has}'}")


def _check_value(value: Any, hint: Any, at: str) -> None:
    try:
        read(value, hint, at, _nested)
    except ConfigError as error:
        if Object.__name__ not in str(error) and Unknown.__name__ not in str(error):
            raise


def _nested(value: Any, hint: Any, at: str) -> Any:
    """Check a node inside a node; other values of an unread annotation pass."""
    if is_node(value):
        check_node(value, at)
    elif hint is Object or get_origin(hint) is not None:
        shown_value = "null" if value is None else repr(value)[:80]
        raise ConfigError(f"{at}: {shown_value} describes no object; it needs a _target_ (choose an option: {at}=…)")
    return value


def check_device(config: Mapping[str, Any]) -> None:
    """Raises ConfigError where a GPU is asked for and the installed torch cannot use any."""
    trainer, device = config.get("trainer"), config.get("device")
    if isinstance(trainer, Mapping) and trainer.get("accelerator") == "gpu" and not gpu_possible():
        raise ConfigError("trainer: gpu: there is no GPU that torch can use here; did you mean cpu?")
    if isinstance(device, str) and device.startswith("cuda") and not gpu_possible():
        raise ConfigError(f"device: {device}: there is no GPU that torch can use here; did you mean cpu?")


def gpu_possible() -> bool:
    """False only where it is certain: torch was built without CUDA and ROCm, and this is no Mac."""
    spec = find_spec("torch")
    if sys.platform == "darwin" or spec is None or spec.origin is None:
        return True
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return True
    built = {name: re.search(rf"^{name}\b[^=\n]*= *(.+)$", text, re.MULTILINE) for name in ("cuda", "hip", "xpu")}
    return any(found is not None and found[1].strip() != "None" for found in built.values()) or built["cuda"] is None


def check_folders(config: Mapping[str, Any]) -> None:
    """Raise ConfigError where run_dir= or out= is called like a file; of a sweep too, where the folder may exist."""
    for key in ("run_dir", "out"):
        for path in _paths(config, key):
            refuse_file_name(path, key)


def check_paths(verb: str, config: Mapping[str, Any]) -> None:
    """Raises ConfigError for a name that no file system takes, CheckpointError or DataError for what is not there."""
    for key in ("run_dir", "out", "ckpt", "resume", "start", *INPUTS):
        for path in _paths(config, key):
            sizes = [len(os.fsencode(part)) for part in Path(path).parts]
            if any(size > LONGEST for size in sizes) or len(os.fsencode(os.path.abspath(path))) > LONGEST_PATH:
                raise ConfigError(
                    f"{key}={shown(path, CUT)}: too long: a name may have {LONGEST} bytes, a path {LONGEST_PATH}"
                )
    models = trained_models(config["plugins"]) if verb in DRAWING else ()
    check_checkpoints(config, ("ckpt", "resume", "start", *models))
    for key in INPUTS:
        for path in _paths(config, key):
            if not os.path.lexists(path):
                raise DataError(f"{key}: {shown(path)} does not exist: no such file or folder{neighbour(path)}")


def check_checkpoints(config: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Raises CheckpointError for a run or checkpoint that is not there."""
    for key in keys:
        for path in _paths(config, key):
            if path != "auto" and not os.path.lexists(path):
                _locate(path)


def _locate(path: str) -> None:
    try:
        locate(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{neighbour(path)}") from error


def neighbour(path: str) -> str:
    """A clause that names the entry of the same folder that the path may have meant."""
    there = Path(path)
    try:
        near = nearest_name(there.name, os.listdir(there.parent), 0.75)
    except OSError:
        return ""
    return f"; did you mean {shown(there.with_name(near))}?" if near else ""


def _paths(config: Mapping[str, Any], key: str) -> Sequence[str]:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        return [path for path in value if isinstance(path, str)]
    return [value] if isinstance(value, str) else []
