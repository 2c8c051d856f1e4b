"""Each tool's own reader finds what metrics.jsonl holds, each step once, whatever became of the run in between."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from logger_cases import Memory, RunCase, ToolCase, tools

from genkit.assembly.logged_run import delivery_of, logged_run
from genkit.cli import main
from genkit.errors import ConfigError, StorageError
from genkit.loggers.base import RunLogger
from genkit.loggers.mlflow import MLflow
from genkit.loggers.wandb import WandB

Story = Callable[[RunCase, Callable[[], RunLogger]], None]


def finished(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    run.train(1, 8)


def in_progress(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    """One process hands over while it trains, later ones hand over the rest."""
    live = delivery_of(run.path, logger())
    for step in range(1, 6):
        run.train(step, step)
        live.advance()
    live.close()
    run.train(6, 7)
    run.hand_over(logger())
    run.train(8, 8)


def killed_and_resumed(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    """The lines after the checkpoint were handed over, are cut off, and are written again as they were."""
    run.train(1, 6)
    run.hand_over(logger())
    run.log.truncate_after(3)
    live = delivery_of(run.path, logger())
    for step in range(4, 9):
        run.train(step, step)
        live.advance()
    live.close()


def resumed_another_way(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    run.train(1, 6)
    run.hand_over(logger())
    run.log.truncate_after(3)
    run.train(4, 8, scale=2.0)


def rolled_back(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    """And not trained again."""
    run.train(1, 6)
    run.hand_over(logger(), over=True)
    run.log.truncate_after(3)
    for step in (4, 6):
        (run.path / "samples" / f"step-{step:08d}.png").unlink()


def trained_further(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    run.train(1, 6)
    run.end()
    run.hand_over(logger(), over=True)
    run.folder.write_config((run.path / "config.yaml").read_text().replace("seed: 0", "seed: 1"))
    run.train(7, 8)


def journal_lost(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    run.train(1, 6)
    run.hand_over(logger())
    for journal in run.path.glob("*/journal*.jsonl"):
        journal.unlink()
    run.train(7, 8)


def failed(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    """The tool takes some of what it is handed over, and then raises."""
    run.train(1, 4)
    live = delivery_of(run.path, broken := logger())
    live.advance()
    run.train(5, 8)
    whole, taken = broken.scalars, itertools.count()

    def breaking(*line: object) -> None:
        if next(taken) == 3:
            broken.flush()
            raise OSError(28, "No space left on device")
        whole(*line)  # type: ignore[arg-type]

    broken.scalars = breaking  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="No space"):
        live.advance()
    live.abandon()


def not_finite(run: RunCase, logger: Callable[[], RunLogger]) -> None:
    run.log.append(1, {"train/loss": math.inf, "val/loss": -math.inf, "kind": "text", "none": None})


STORIES = (
    finished,
    in_progress,
    killed_and_resumed,
    resumed_another_way,
    rolled_back,
    trained_further,
    journal_lost,
    failed,
    not_finite,
)
QUICK = (killed_and_resumed, rolled_back, not_finite)  # the others are asked in the slow tests


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow's, whose tables take seconds to make."""
    from genkit.loggers.mlflow import connected

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connected(f"sqlite:///{path}")
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Where runs are made."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if "mlflow" in request.node.callspec.id:
        (tmp_path / "rates").mkdir()
        for folder in (tmp_path, tmp_path / "rates"):
            shutil.copyfile(request.getfixturevalue("database"), folder / "mlflow.db")
    return tmp_path


@pytest.mark.parametrize(
    "story",
    [pytest.param(story, marks=() if story in QUICK else pytest.mark.slow, id=story.__name__) for story in STORIES],
)
@pytest.mark.parametrize("tool", tools())
def test_what_is_logged_is_what_metrics_jsonl_holds(tool: ToolCase, story: Story, place: Path) -> None:
    run = RunCase(place / "run")
    story(run, tool.logger)
    run.end()
    run.hand_over(tool.logger(), over=True)
    assert run.hand_over(tool.logger(), over=True).lines == 0
    read = tool.read(run)
    assert read.scalars == run.scalars()
    pictures = sorted(run.path.glob("samples/*.png"))
    assert read.pictures == [("samples", int(path.stem[-8:])) for path in pictures]
    assert float(read.parameters["model.latent_dim"]) == 4
    assert read.scores == {"best/val/loss": 2.0}
    assert read.runs == 1
    assert not [path for path in run.path.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("tool", tools())
def test_a_run_in_progress_lacks_its_last_step_at_most(tool: ToolCase, place: Path) -> None:
    run = RunCase(place / "run")
    run.train(1, 5)
    run.hand_over(tool.logger())
    assert tool.read(run).scalars == run.scalars(below=5 if tool.logger().whole_steps else None)


@pytest.mark.parametrize("tool", tools())
def test_jobs_of_a_sweep_are_one_group(tool: ToolCase, place: Path) -> None:
    runs = [RunCase(place / "rates" / f"{i}-lr=0.{i}", values={"optimizer.lr": f"0.{i}"}) for i in (0, 1)]
    for run in runs:
        run.train(1, 2)
        run.folder.close()
    assert main(["log", str(place / "rates"), f"to={tool.logger().folder}"]) == 0
    for run in runs:
        assert tool.read(run).scalars == run.scalars()
        assert logged_run(run.path).group == "rates"


def test_a_line_that_is_handed_over_again_has_its_first_time(tmp_path: Path) -> None:
    run, failing = RunCase(tmp_path / "run"), Memory(fails_at=3)
    run.train(1, 4)
    with pytest.raises(ConnectionError):
        run.hand_over(failing)
    run.train(5, 5)
    run.hand_over(later := Memory())
    first, again = failing.of("scalars"), later.of("scalars")
    assert [line[0] for line in first] == [1, 2, 2]
    assert [line[0] for line in again] == [1, 2, 2, 3, 4, 4, 5]
    assert again[:3] == first
    assert again[5][-1] == first[0][-1] < again[6][-1]
    assert [after for _, after in later.of("open")] == [None]


def test_a_resumed_run_waits_until_it_is_where_it_was(tmp_path: Path) -> None:
    run = RunCase(tmp_path / "run")
    run.train(1, 6)
    run.hand_over(Memory())
    run.log.truncate_after(2)
    live = delivery_of(run.path, logger := Memory())
    for step in (3, 4, 5, 6):
        run.train(step, step)
        assert live.advance().lines == 0
    assert logger.calls == []
    run.train(7, 7)
    assert live.advance().lines == 1
    live.close()


def test_another_way_is_seen_at_its_first_line(tmp_path: Path) -> None:
    run = RunCase(tmp_path / "run")
    run.train(1, 6)
    run.hand_over(first := Memory())
    run.log.truncate_after(2)
    run.train(3, 3, scale=2.0)
    sent = run.hand_over(second := Memory())
    assert (sent.taken_back, sent.lines, sent.step) == (2, 4, 3)
    key = first.of("open")[0][0]
    assert second.of("discard") == [(key,), (f"{key}-2",)]
    assert second.of("open") == [(f"{key}-2", 0)]


def test_pictures_stand_between_the_lines_of_their_steps(tmp_path: Path) -> None:
    run, logger = RunCase(tmp_path / "run"), Memory()
    run.train(1, 4)
    run.hand_over(logger)
    kinds = [(call[0], call[1]) for call in logger.calls if call[0] in ("scalars", "picture")]
    assert kinds == [("scalars", 1), ("scalars", 2), ("scalars", 2), ("picture", 2), ("scalars", 3),
                     ("scalars", 4), ("scalars", 4), ("picture", 4)]  # fmt: skip


def test_two_processes_do_not_hand_one_run_over(tmp_path: Path) -> None:
    run = RunCase(tmp_path / "run")
    run.train(1, 2)
    live = delivery_of(run.path, Memory())
    live.advance()
    with pytest.raises(StorageError, match="memory: "):
        run.hand_over(Memory())
    live.close()
    run.hand_over(Memory())


@pytest.mark.parametrize("torn", [b"", b'{"repeats": true, "li', b"\0\0"])
def test_a_journal_that_was_torn_goes_on(torn: bytes, tmp_path: Path) -> None:
    run = RunCase(tmp_path / "run")
    run.train(1, 2)
    run.hand_over(Memory())
    journal = run.path / "memory" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + torn)
    run.train(3, 3)
    assert run.hand_over(Memory()).lines == 1
    assert run.hand_over(Memory()).lines == 0


@pytest.mark.parametrize(
    "line", [b"[]", b'{"repeats": true}', b'{"schema": "genkit.journal/9", "generation": 0}', b"3"]
)
def test_a_damaged_journal_is_one_line(line: bytes, tmp_path: Path) -> None:
    run = RunCase(tmp_path / "run")
    (run.path / "memory").mkdir()
    (run.path / "memory" / "journal.jsonl").write_bytes(line + b"\n")
    with pytest.raises(StorageError, match="damaged in line 1: delete it"):
        run.hand_over(Memory())


def test_a_logger_writes_into_its_own_run_alone(tmp_path: Path) -> None:
    run = RunCase(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    (run.path / "memory").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="leads out of"):
        run.hand_over(Memory())
    assert not [*(tmp_path / "elsewhere").iterdir()]


@pytest.mark.parametrize("uri", ["runs/db", "file:///tmp/x", "mlflow.db"])
def test_mlflow_is_not_asked_to_write_into_folders(uri: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///FILE"):
        MLflow(uri)


def test_loggers_that_send_data_away_are_not_local() -> None:
    assert [WandB().local, WandB(online=True).local] == [True, False]
    assert [MLflow().local, MLflow("http://localhost:5000").local] == [True, False]
