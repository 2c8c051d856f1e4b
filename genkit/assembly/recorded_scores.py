"""The scores of a run: results of `genkit eval` in its folder, beside it, and where the command writes them.

A score belongs to a run where its record names a checkpoint by its folder, or by the hash of weights that the run has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genkit.checkpoint.manifest import MANIFEST
from genkit.checkpoint.retention import step_folders
from genkit.errors import ConfigError, GenkitError
from genkit.storage.regular import read_regular

RESULTS = "results.json"
OUTPUTS = Path("outputs")
LOOKED_AT = 100  # results of other folders, the newest
LARGEST = 2**25  # bytes of a file that is looked at


def results_of(runs: Sequence[Path], more: Sequence[Path] = ()) -> list[Path]:
    """The results.json that score one of the runs, and those that were named, newest first."""
    named = [file for place in more for file in _results_in(place)]
    own = [file for run in runs for file in _results_in(run)]
    roots = dict.fromkeys([OUTPUTS, *(run.absolute().parent.parent for run in runs)])
    around = [file for root in roots for file in _newest(root / "eval")]
    hashes = {digest for run in runs for digest in _hashes(run)}
    folders = [run.absolute() for run in runs]
    scoring = [file for file in around if _scores_one(file, folders, hashes)]
    found = dict.fromkeys(file.absolute() for file in (*named, *own, *scoring))
    return sorted(found, key=_age, reverse=True)


def comparable(files: Sequence[Path], notes: list[str]) -> dict[str, list[Any]]:
    """The scores of as many of the files as can be compared, from the first on; notes say what was left out."""
    from genkit.report.comparison import compare  # torch costs a second, which a run without scores need not pay

    kept: list[Path] = []
    for file in files:
        try:
            compare([*kept, file])
            kept.append(file)
        except ConfigError as error:
            notes.append(f"scores left out, since they were measured in another way: {error}")
        except GenkitError as error:
            notes.append(str(error))
    return dict(compare(kept)) if kept else {}


def _results_in(place: Path) -> list[Path]:
    """A file itself, the one in a folder, or those one folder below."""
    if place.is_file():
        return [place]
    found = [place / RESULTS, *sorted(place.glob(f"*/{RESULTS}"))]
    return [file for file in found if file.is_file()]


def _newest(folder: Path) -> list[Path]:
    return sorted((file for file in folder.glob(f"*/{RESULTS}") if file.is_file()), key=_age, reverse=True)[:LOOKED_AT]


def _age(file: Path) -> int:
    return file.stat().st_mtime_ns


def _hashes(run: Path) -> Iterator[str]:
    """The hashes of the weights in a run's checkpoints."""
    for folder in step_folders(run):
        manifest = _json(folder / MANIFEST)
        files = manifest.get("files")
        weights = files.get("model.safetensors") if isinstance(files, dict) else None
        digest = weights.get("sha256") if isinstance(weights, dict) else None
        if isinstance(digest, str):
            yield digest


def _scores_one(file: Path, folders: Sequence[Path], hashes: set[str]) -> bool:
    records = _json(file).get("results")
    models = [each.get("model") for each in records if isinstance(each, dict)] if isinstance(records, list) else []
    return any(isinstance(model, dict) and _is_of(model, folders, hashes) for model in models)


def _is_of(model: Mapping[str, Any], folders: Sequence[Path], hashes: set[str]) -> bool:
    digest, path = model.get("ckpt_sha256"), model.get("ckpt")
    if isinstance(digest, str):
        return digest in hashes
    return isinstance(path, str) and any(folder in Path(path).parents or folder == Path(path) for folder in folders)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_regular(path, LARGEST))
    except (GenkitError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
