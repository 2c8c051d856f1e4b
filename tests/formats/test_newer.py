"""Every reader of a file with a schema refuses that of a newer genkit in the same words, with the same exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genkit.assembly.recorded_config import read_config_yaml
from genkit.checkpoint.run_folder import read_info
from genkit.data.samples import read_samples
from genkit.errors import CheckpointError
from genkit.report.rows import read_rows

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "run.json": ("genkit.run", read_info),
    "config.yaml": ("genkit.config", read_config_yaml),
    "results.json": ("genkit.eval", read_rows),
    "samples.json": ("genkit.samples", lambda path: read_samples(path.parent)),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_a_newer_genkit_is_refused(name: str, tmp_path: Path) -> None:
    kind, read = READERS[name]
    (tmp_path / name).write_text(json.dumps({"schema": f"{kind}/99"}))
    if name == "samples.json":
        np.savez(tmp_path / "samples.npz", x=np.zeros((4, 2), np.float32))
    with pytest.raises(CheckpointError, match=rf"{name}: was written by a newer genkit \({kind}/99.*: update genkit$"):
        read(tmp_path / name)
