"""scripts/peers.py: its matches can be played, and its tables say what is finished."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from script import SCRIPTS, script_named

from genkit.config.hydra.app import composed


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.append(str(SCRIPTS))
    yield script_named("peers")
    sys.path.remove(str(SCRIPTS))


def test_every_match_can_be_played_and_without_labels_neither_side_knows_them(
    script: ModuleType, tmp_path: Path
) -> None:
    for name, match in script.MATCHES.items():
        config = composed("train", list(match.at(tmp_path).ours))
        named = match.data[0].removeprefix("data=")
        if match.kind in ("images", "tables"):
            assert config["data"]["_target_"].startswith(f"genkit.data.sources.{named}.")
        for peer in match.peers:
            assert (script.RECIPES / script.PEERS[peer].recipe).is_file()
        if not match.labels:
            assert not config["model"].get("conditional"), name
    assert {match.kind for match in script.MATCHES.values()} == set(script.KINDS)


def finish(out: Path, match: str, side: str, seed: int, scores: dict[str, Any]) -> None:
    folder = out / match / str(seed) / side
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps({"seconds": 50.0, "scores": scores}))


def of_images(distance: float) -> dict[str, Any]:
    scores = {"fid": distance, "precision": 0.5, "recall": 0.5, "coverage": 0.5}
    return {"shipped": scores, "independent": scores}


def test_the_table_has_the_seeds_that_all_sides_have_finished(script: ModuleType, tmp_path: Path) -> None:
    assert script.results(tmp_path) == ""
    finish(tmp_path, "digits_flow", "genkit", 0, of_images(2.0))
    assert script.results(tmp_path) == ""
    finish(tmp_path, "digits_flow", "zuko-NSF", 0, of_images(8.0))
    finish(tmp_path, "digits_flow", "genkit", 1, of_images(4.0))
    _, _, ours, theirs = script.results(tmp_path).splitlines()
    assert ours.startswith("| `digits_flow` | genkit | 1 | 50 | 2.00 |")
    assert theirs.startswith("|  | zuko NSF | 1 | 50 | 8.00 | 0.25 |")
    finish(tmp_path, "digits_flow", "zuko-NSF", 1, of_images(8.0))
    _, _, ours, theirs = script.results(tmp_path).splitlines()
    assert "| 2 | 50 | 3.00 (2.00–4.00) |" in ours
    assert "| 0.38 |" in theirs
    place = tmp_path / "digits_flow" / "0" / "genkit" / "scores-independent"
    place.mkdir()
    rows = [{"metric": metric, "floor": {"mean": 0.9}} for metric in ("fid", "precision", "recall", "coverage")]
    (place / "results.json").write_text(json.dumps({"results": rows}))
    assert script.results(tmp_path).splitlines()[-1].endswith("| 1.00 | | 1.00 | | 0.90 | 0.90 | 0.90 |")


def test_each_kind_of_match_has_a_table_of_its_own_columns(script: ModuleType, tmp_path: Path) -> None:
    played = {name: match for name, match in script.MATCHES.items() if match.kind in ("text", "tables")}
    for name, match in played.items():
        columns = script.KINDS[match.kind].columns
        for number, side in enumerate(("genkit", *map(script.folder_of, match.peers))):
            scores: dict[str, Any] = {column.scored: {} for column in columns}
            for column in columns:
                scores[column.scored][column.metric] = 1.0 + number
            finish(tmp_path, name, side, 0, scores)
    tables = script.results(tmp_path).split("\n\n")
    assert len(tables) == 2
    for table in tables:
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1, table
    assert any("| bits per byte | ours / theirs |" in table and "| 2.000 | 0.50 |" in table for table in tables)


def test_text_is_given_to_a_recipe_as_bytes_with_the_ends_of_documents(script: ModuleType, tmp_path: Path) -> None:
    match = script.MATCHES["pydoc_gpt"]
    script.KINDS["text"].write(match, file := tmp_path / "train.npz")
    with np.load(file) as arrays:
        train, test, end = arrays["train"], arrays["test"], int(arrays["end"])
    assert end == 256
    assert train[-1] == test[-1] == end
    assert test.max() <= end
    assert len(train) > 5 * len(test) > 100_000
