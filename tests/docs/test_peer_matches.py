"""scripts/peers.py: its matches can be played, and its table says what is finished."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from genkit.config.hydra.app import composed

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "peers.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_every_match_is_between_a_preset_and_recipes_that_are_there(script: ModuleType) -> None:
    for match in script.MATCHES.values():
        config = composed("train", [f"experiment={match.experiment}", *match.words])
        assert config["data"]["_target_"].startswith(f"genkit.data.sources.{match.data}.")
        for peer in match.peers:
            assert (script.RECIPES / script.PEERS[peer].recipe).is_file()


def test_both_sides_of_a_match_without_labels_know_none(script: ModuleType) -> None:
    for name, match in script.MATCHES.items():
        if not match.labels:
            config = composed("train", [f"experiment={match.experiment}", *match.words])
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
