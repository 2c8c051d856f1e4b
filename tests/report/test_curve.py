"""Curves: what metrics.jsonl says, panel by panel, and one line for a file that says something else."""

import json
from pathlib import Path

import pytest
from PIL import Image

from genkit.errors import DataError
from genkit.report.curve import panels_of, read_series, save_curves


def write(path: Path, *rows: dict, tail: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def test_series_hold_every_finite_number(tmp_path: Path) -> None:
    path = write(
        tmp_path / "metrics.jsonl",
        {"step": 1, "train/loss": 2.0, "phase": "model", "flag": True},
        {"step": 2, "train/loss": 1, "val/loss": 1.5, "train/kl": float("nan")},
        {"step": 3, "train/kl": 0.25},
        tail='{"step": 4, "train/lo',
    )
    series = read_series(path)
    assert series == {"train/loss": [(1, 2.0), (2, 1.0)], "val/loss": [(2, 1.5)], "train/kl": [(3, 0.25)]}
    assert panels_of(series) == {
        "loss": {"train": [(1, 2.0), (2, 1.0)], "val": [(2, 1.5)]},
        "kl": {"train": [(3, 0.25)]},
    }


def test_curves_are_a_picture(tmp_path: Path) -> None:
    rows = [{"step": i, "train/loss": 1 / i, "train/kl": i, "val/loss": 2 / i, "lr": 0.1} for i in range(1, 9)]
    save_curves(tmp_path / "curves.png", write(tmp_path / "metrics.jsonl", *rows))
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (3 * 480, 360)


@pytest.mark.parametrize("text", ["no json\n{}\n", '[1]\n{"step": 1}\n', '{"loss": 1}\n{"step": 1}\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="line 1"):
        read_series(path)


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing: give the metrics"):
        save_curves(tmp_path / "a.png", tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match="no logged values"):
        save_curves(tmp_path / "a.png", write(tmp_path / "metrics.jsonl"))
