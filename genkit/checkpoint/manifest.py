"""The manifest: what a checkpoint folder holds, to the byte. Written last, so a folder with one is complete.

    {"format": "genkit.checkpoint", "format_version": 1, "genkit": "0.1.0", "kind": "checkpoint" | "export",
     "step": 1000, "files": {NAME: {"bytes": …, "sha256": …}}, "aliases": {NAME: {tied: stored}}, "sha256": …}

Its own `sha256` is that of its canonical text without this key, and the file must be the canonical text to the byte:
no edit of it passes. Hashes find damage and edits, not forgery: who can rewrite the folder can rewrite the manifest.
Therefore nothing in it is believed further: names come from a closed list (no path leads out of the folder), only
regular files are opened, links are not followed, and sizes are checked before anything is read.

Other files in the folder are ignored: they are never read, and a note beside the weights damages nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genkit import __version__
from genkit.checkpoint import strict_json
from genkit.errors import CheckpointError
from genkit.printing import shown

FORMAT = "genkit.checkpoint"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
CONFIG = "config.json"
MODEL = "model.safetensors"
TRAINING_TENSORS = "training.safetensors"
TRAINING = "training.json"
TENSOR_FILES = (MODEL, TRAINING_TENSORS)
CONTENT = {"checkpoint": {CONFIG, MODEL, TRAINING_TENSORS, TRAINING}, "export": {CONFIG, MODEL}}
ANOTHER = "use another checkpoint or a fresh copy"

Aliases = dict[str, str]  # a tied tensor -> the name under which it is stored

_KEYS = {"format", "format_version", "genkit", "kind", "step", "files", "aliases", "sha256"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!-]{0,39}")


@dataclass(frozen=True)
class Entry:
    """One file: its size in bytes and the sha256 of its content, in hexadecimal."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Content of a folder.

    Attributes:
        kind: "checkpoint", or "export" for the shareable form without training state.
        step: Optimizer steps that were done.
        files: Entry of each file by its name.
        aliases: For a tensor file, the tied names that are stored under another name.
        genkit: Version that wrote it.
    """

    kind: str
    step: int
    files: dict[str, Entry]
    aliases: dict[str, Aliases] = field(default_factory=dict)
    genkit: str = __version__

    def render(self) -> bytes:
        """The canonical text, with its own hash inside."""
        return strict_json.render(_signed(asdict(self)), MANIFEST)


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """The manifest that these bytes are.

    Args:
        data: Content of the file.
        path: Where it was read, for messages.

    Raises:
        CheckpointError: foreign, of a newer format, edited, or naming anything but the files of a checkpoint.
    """
    value = strict_json.parse(data, path)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise CheckpointError(
            f"{shown(path)}: not the manifest of a genkit checkpoint: name a run or checkpoint folder"
        )
    _check_version(value, path)
    if not _is_sound(value) or strict_json.render(_signed(value), MANIFEST) != data:
        raise CheckpointError(f"{shown(path)}: the manifest was edited or damaged: {ANOTHER}")
    files = {name: Entry(**entry) for name, entry in value["files"].items()}
    return Manifest(value["kind"], value["step"], files, value["aliases"], value["genkit"])


def _signed(value: dict[str, Any]) -> dict[str, Any]:
    unsigned = {key: item for key, item in value.items() if key != "sha256"}
    unsigned |= {"format": FORMAT, "format_version": FORMAT_VERSION}
    return unsigned | {"sha256": hashlib.sha256(strict_json.render(unsigned, MANIFEST)).hexdigest()}


def _check_version(value: dict[str, Any], path: Path) -> None:
    version = value.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        writer = value.get("genkit")
        known = isinstance(writer, str) and _VERSION.fullmatch(writer)
        needs = f"genkit >= {writer}" if known else "a newer genkit"
        raise CheckpointError(f"{shown(path)}: format {version}, this genkit reads {FORMAT_VERSION}: needs {needs}")


def _is_sound(value: dict[str, Any]) -> bool:
    """Tell whether every key is there with the right type, and every name is one that a checkpoint may hold."""
    return (
        set(value) == _KEYS
        and type(value["format_version"]) is int
        and value["kind"] in tuple(CONTENT)
        and type(value["step"]) is int
        and value["step"] >= 0
        and isinstance(value["genkit"], str)
        and _VERSION.fullmatch(value["genkit"]) is not None
        and isinstance(value["files"], dict)
        and {CONFIG, MODEL} <= set(value["files"]) <= CONTENT[value["kind"]]
        and all(_is_entry(entry) for entry in value["files"].values())
        and isinstance(value["aliases"], dict)
        and set(value["aliases"]) <= set(TENSOR_FILES)
        and all(_is_aliases(aliases) for aliases in value["aliases"].values())
    )


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"bytes", "sha256"}
        and type(entry["bytes"]) is int
        and entry["bytes"] >= 0
        and isinstance(entry["sha256"], str)
        and _SHA256.fullmatch(entry["sha256"]) is not None
    )


def _is_aliases(aliases: object) -> bool:
    return isinstance(aliases, dict) and all(isinstance(owner, str) for owner in aliases.values())
