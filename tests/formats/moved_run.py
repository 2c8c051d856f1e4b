"""A run as it would lie on the disk if classes of it had had other paths when it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from genkit.assembly.identity import identity
from genkit.assembly.recorded_config import read_config_yaml
from genkit.checkpoint.manifest import CONFIG, MANIFEST, Entry, parse_manifest
from genkit.checkpoint.run_folder import CONFIG_YAML, RUN


def move_back(run: Path, before: Mapping[str, str]) -> None:
    """Rewrites class paths (present -> earlier) in a run folder: its checkpoints with manifests, config.yaml, run.json.

    Call it before the rows of `MOVED` stand: the hash in run.json is then that of a time that did not know them.
    """
    for folder in (run / "checkpoints").iterdir():
        config = _renamed((folder / CONFIG).read_bytes(), before)
        (folder / CONFIG).write_bytes(config)
        manifest = parse_manifest((folder / MANIFEST).read_bytes(), folder / MANIFEST)
        files = manifest.files | {CONFIG: Entry(len(config), hashlib.sha256(config).hexdigest())}
        (folder / MANIFEST).write_bytes(replace(manifest, files=files).render())
    yaml = run / CONFIG_YAML
    yaml.write_bytes(_renamed(yaml.read_bytes(), before))
    info = json.loads((run / RUN).read_text("utf-8"))
    info["identity"] = identity(read_config_yaml(yaml))
    (run / RUN).write_text(json.dumps(info), encoding="utf-8")


def _renamed(data: bytes, before: Mapping[str, str]) -> bytes:
    for new, old in before.items():
        assert new.encode() in data, new
        data = data.replace(new.encode(), old.encode())
    return data
