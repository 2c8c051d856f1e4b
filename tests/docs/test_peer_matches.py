"""scripts/peers.py: its matches can be played, and its table says what is finished."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from script import script_named

from genkit.config.hydra.app import composed


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_named("peers")


def test_every_match_can_be_played_and_without_labels_neither_side_knows_them(script: ModuleType) -> None:
    for name, match in script.MATCHES.items():
        config = composed("train", [f"experiment={match.experiment}", *match.words])
        assert config["data"]["_target_"].startswith(f"genkit.data.sources.{match.data}.")
        for peer in match.peers:
            assert (script.RECIPES / script.PEERS[peer].recipe).is_file()
        if not match.labels:
            assert not config["model"].get("conditional"), name


def test_the_table_has_the_seeds_that_all_sides_have_finished(script: ModuleType, tmp_path: Path) -> None:
    def finish(side: str, seed: int, distance: float) -> None:
        folder = tmp_path / "digits_flow" / str(seed) / side
        folder.mkdir(parents=True)
        scores = {"fid": distance, "precision": 0.5, "recall": 0.5, "coverage": 0.5}
        result = {"seconds": 50.0, "scores": {"shipped": scores, "independent": scores}}
        (folder / "result.json").write_text(json.dumps(result))

    assert script.table(tmp_path) == script.HEAD
    finish("genkit", 0, 2.0)
    assert script.table(tmp_path) == script.HEAD
    finish("zuko-NSF", 0, 8.0)
    finish("genkit", 1, 4.0)
    ours, theirs = script.table(tmp_path).removeprefix(script.HEAD).splitlines()
    assert ours.startswith("| `digits_flow` | genkit | 1 | 50 | 2.00 |")
    assert theirs.startswith("|  | zuko NSF | 1 | 50 | 8.00 | 0.25 |")
    finish("zuko-NSF", 1, 8.0)
    ours, theirs = script.table(tmp_path).removeprefix(script.HEAD).splitlines()
    assert "| 2 | 50 | 3.00 (2.00–4.00) |" in ours
    assert "| 0.38 |" in theirs
    place = tmp_path / "digits_flow" / "0" / "genkit" / "scores-independent"
    place.mkdir()
    rows = [{"metric": metric, "floor": {"mean": 0.9}} for metric in ("fid", "precision", "recall", "coverage")]
    (place / "results.json").write_text(json.dumps({"results": rows}))
    assert script.table(tmp_path).splitlines()[-1].endswith("| 1.00 | | 1.00 | | 0.90 | 0.90 | 0.90 |")
