"""Curves: what metrics.jsonl says, panel by panel, and one line for a file that says something else."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from genkit.errors import DataError
from genkit.report import curve
from genkit.report.curve import panels_of, read_series, save_loss_curves


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


def test_losses_of_both_players_share_their_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training as a line and validation as points, of one colour for each phase; what is no loss is left out."""
    saved: list[Figure] = []
    monkeypatch.setattr(curve, "save_figure", lambda path, figure: saved.append(figure))
    row = {"train/critic/real": 1.0, "train/critic/loss": 1.0, "train/generator/loss": 3.0, "lr/critic": 0.1}
    rows = [{"step": i} | {key: value * 10**i for key, value in row.items()} for i in (1, 2, 3)]
    rows.append({"step": 2, "val/critic/loss": 1.5, "val/generator/loss": 2.5, "samples/classes": 9, "quick/fid": 4.0})
    metrics = write(tmp_path / "metrics.jsonl", *rows)
    assert save_loss_curves(tmp_path / "loss.png", metrics, "gan on digits, step 3")
    (figure,) = saved
    assert figure.get_suptitle() == "gan on digits, step 3"
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "real"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"step"}
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    assert lines.keys() == {f"{who} {when}" for who in ("critic", "generator") for when in ("training", "validation")}
    assert lines["critic training"].get_color() == lines["critic validation"].get_color()
    assert lines["critic training"].get_color() != lines["generator training"].get_color()
    assert list(lines["generator training"].get_ydata()) == [30.0, 300.0, 3000.0]
    assert list(lines["generator validation"].get_xdata()) == [2]
    assert figure.axes[0].get_yscale() == "log"


def test_one_step_is_a_point_and_none_no_picture(tmp_path: Path) -> None:
    metrics = write(tmp_path / "metrics.jsonl", {"step": 1, "val/loss": 1.0})
    assert not save_loss_curves(tmp_path / "loss.png", metrics)
    assert not (tmp_path / "loss.png").exists()
    assert save_loss_curves(tmp_path / "loss.png", write(metrics, {"step": 1, "train/loss": 2.0}))
    with Image.open(tmp_path / "loss.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20


@pytest.mark.parametrize("text", ["no json\n{}\n", '[1]\n{"step": 1}\n', '{"loss": 1}\n{"step": 1}\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="line 1"):
        read_series(path)


def test_a_missing_file_is_refused_and_an_empty_one_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing: give the metrics"):
        save_loss_curves(tmp_path / "a.png", tmp_path / "nowhere.jsonl")
    assert not save_loss_curves(tmp_path / "a.png", write(tmp_path / "metrics.jsonl"))
