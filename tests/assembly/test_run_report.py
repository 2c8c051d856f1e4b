"""Reports of runs: any run folder has one, whatever is missing or damaged in it, and a long run has a small one."""

from __future__ import annotations

import inspect
import io
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from genkit.assembly.comparison_report import content_of, differing, write_comparison
from genkit.assembly.config_differences import differences
from genkit.assembly.run_facts import facts_of
from genkit.assembly.run_report import duration, page_of, write_report
from genkit.config.hydra.default_values import default_values
from genkit.config.resolve import resolve

STORED = Path(__file__).parent.parent / "formats" / "v1"
FAMILIES = sorted(path.name for path in STORED.iterdir() if (path / "run.json").is_file())
MIB = 2**20


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of the first format, to be changed."""
    shutil.copytree(STORED / "vae", tmp_path / "vae", copy_function=shutil.copyfile)
    return tmp_path / "vae"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_of_an_earlier_version_has_a_report(family: str, tmp_path: Path) -> None:
    page = write_report(STORED / family, tmp_path / "report.html").read_text()
    assert "4 of 4" in page or "step" in page
    assert not page_of(facts_of(STORED / family)).notes
    assert '<svg class="plot"' in page
    assert "genkit train" in page


def damage(name: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes(b"\x00{" * 9)


def without(name: str) -> Callable[[Path], object]:
    return lambda run: shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()


FILES = ("run.json", "config.yaml", "metrics.jsonl", "checkpoints", "latest")


@pytest.mark.parametrize("name", FILES)
def test_a_run_without_a_file_has_a_report(name: str, run: Path) -> None:
    without(name)(run)
    assert not page_of(facts_of(run)).notes
    assert "<h1>" in write_report(run).read_text()


@pytest.mark.parametrize("name", FILES[:3])
def test_what_is_damaged_is_said(name: str, run: Path) -> None:
    damage(name)(run)
    notes = page_of(facts_of(run)).notes
    assert "<h1>" in write_report(run).read_text()
    assert name == "metrics.jsonl" or any(name in note for note in notes)


def test_an_empty_folder_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "<h1>empty</h1>" in write_report(tmp_path / "empty").read_text()


def test_a_link_out_of_the_run_is_not_followed(run: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n" + b"secret")
    (run / "samples").mkdir()
    (run / "samples" / "step-00000004.png").symlink_to(secret)
    assert not page_of(facts_of(run)).samples


def test_hostile_files_change_no_tag(run: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    info = json.loads((run / "run.json").read_text())
    info |= {"label": hostile, "status": hostile, "device": hostile, "values": {hostile: hostile}}
    info["best"] = {"monitor": hostile, "value": 1.0, "step": 1, "mode": hostile}
    info["history"] = [
        {"step": 0, "command": hostile, "changed": {hostile: [hostile, hostile]}, "versions": {hostile: hostile}}
    ] * 2
    (run / "run.json").write_text(json.dumps(info))
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 5, f"train/{hostile}": 1.0, hostile: "nan"}) + "\n")
    named = tmp_path / "<b>"
    run.rename(named)
    for page in (write_report(named), write_comparison([named], tmp_path / "all.html", tmp_path, command=hostile)):
        text = page.read_text()
        assert text.count("<script>") == 1
        assert "<b>/" not in text
        assert "\x1b" not in text
        assert "&lt;script&gt;" in text


def test_a_long_run_has_a_small_report(run: Path) -> None:
    """10,000 steps of twenty terms, each logged, and forty pictures of a quarter of a megabyte."""
    draw = random.Random(0)
    rows = [",".join(f'"train/term {i}": {draw.random()}' for i in range(20)) for _ in range(100)]
    with (run / "metrics.jsonl").open("w") as file:
        file.writelines(f'{{"step": {step}, {rows[step % 97]}}}\n' for step in range(1, 10_001))
    (run / "samples").mkdir()
    picture = io.BytesIO()
    Image.frombytes("RGB", (300, 300), draw.randbytes(270_000)).save(picture, "PNG")
    for step in range(250, 10_001, 250):
        (run / "samples" / f"step-{step:08d}.png").write_bytes(picture.getvalue())
    page = write_report(run)
    assert page.stat().st_size < 5 * MIB
    text = page.read_text()
    assert text.count('<svg class="plot"') == 20
    assert "step 10,000" in text
    assert len(re.findall("data:image/", text)) > 4


def test_a_resumed_run_tells_its_history(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    info["history"] = [
        {"step": 0, "time": "then", "command": "genkit train model=vae", "changed": {}},
        {"step": 4, "time": "later", "command": "genkit train resume=vae", "changed": {"optimizer.lr": [0.1, 0.01]}},
    ]
    (run / "run.json").write_text(json.dumps(info))
    first, second = page_of(facts_of(run)).history
    assert (first.began, first.command) == (0, "genkit train model=vae")
    assert list(second.changed) == [("optimizer.lr", "0.1", "0.01")]
    assert "From step 4, later" in write_report(run).read_text()


def test_numbers_that_are_not_finite_are_said_and_not_drawn(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        for step, value in ((7, '"nan"'), (8, '"inf"'), (9, "1e999")):
            file.write(f'{{"step": {step}, "train/loss": {value}}}\n')
    facts = facts_of(run)
    assert facts.broken["train/loss"] == 7
    assert all(step < 7 for step, _ in facts.series["train/loss"])
    assert "train/loss was not finite at step 7" in page_of(facts).notes


@pytest.mark.parametrize(
    "target",
    ["genkit.models.vae.vae.VAE", "genkit.training.options.TrainerOptions", "genkit.training.ema.EMA",
     "genkit.data.sources.digits.Digits", "torch.optim.AdamW", "genkit.training.lr_schedule.CosineLR"],
)  # fmt: skip
def test_defaults_read_from_source_are_those_of_the_class(target: str) -> None:
    parameters = inspect.signature(resolve(target, at="model")).parameters
    found = default_values(target)
    assert found
    for name, value in found.items():
        default = parameters[name].default
        assert value == (list(default) if isinstance(default, tuple) else default)


def test_only_what_differs_from_its_default_is_listed() -> None:
    config = {
        "seed": 3,
        "plugins": ["x"],
        "run_dir": "runs/vae",
        "ema": {"_target_": "genkit.training.ema.EMA", "decay": 0.5},
        "trainer": {"_target_": "genkit.training.options.TrainerOptions", "max_steps": 7, "accumulate": 1},
        "unknown": {"_target_": "elsewhere.Class", "key": 1},
    }
    assert differences(config) == [
        ("seed", "3", "0"),
        ("ema.decay", "0.5", "null"),
        ("trainer.max_steps", "7", "1000"),
        ("unknown.key", "1", "none"),
    ]


def test_runs_side_by_side(tmp_path: Path) -> None:
    for family in ("vae", "gan"):
        shutil.copytree(STORED / family, tmp_path / family, copy_function=shutil.copyfile)
    write_report(tmp_path / "vae")
    runs = [tmp_path / "vae", tmp_path / "gan"]
    content = content_of(runs, tmp_path / "report.html", tmp_path, (), "genkit train -m")
    assert [run.link for run in content.runs] == ["vae/report.html", ""]
    assert content.tiles["done"] == "2 of 2"
    assert any(key.startswith("model.") for key, _ in content.differences)
    page = write_comparison(runs, tmp_path / "report.html", tmp_path).read_text()
    assert '<a href="./vae/report.html">' in page


def test_keys_that_differ() -> None:
    assert differing([{"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": None}}]) == [
        ("b.c", ["2", "3"]),
        ("b.d", ["", "null"]),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.25, "0.2 s"), (47, "47 s"), (133, "2 min 13 s"), (7980, "2 h 13 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
