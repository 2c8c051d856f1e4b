"""Loggers in a training that is killed, stopped, resumed or rolled back, and `genkit log` beside and after it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_cases import Child, arguments, done, genkit, lines, refused, run_json

PLAN = (
    "trainer.max_steps=8",
    "trainer.log_every_n_steps=1",
    "trainer.val_every_n_steps=4",
    "checkpoint.every_n_steps=3",
    "checkpoint.monitor=null",
    "trainer.threads=1",
    "samples.every_n_steps=4",
    "samples.n=4",
)
FAILING = '''
from genkit.loggers.base import RunLogger


class Failing(RunLogger):
    """Takes lines into a file, and none of step 3 while there is a file `down`."""

    folder = "failing"

    def open(self, run, after):
        import pathlib

        self.file, self.down = open(run.path / "failing" / "taken", "a"), pathlib.Path("down")

    def scalars(self, step, values, time):
        if step == 3 and self.down.exists():
            raise ConnectionError("the server is gone")
        self.file.write(f"{step}\\n")

    def close(self, whole):
        self.file.close()
'''


def event_steps(run: Path) -> dict[str, list[int]]:
    """Tag -> the steps of its values, as TensorBoard shows them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.plugin_event_accumulator")
    events = accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    found = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        if plugin == "images" or (plugin == "scalars" and not tag.startswith("best/")):
            found[tag] = [event.step for event in events.Tensors(tag)]
    return found


def logged_steps(run: Path) -> dict[str, list[int]]:
    """The same of metrics.jsonl and samples/."""
    found: dict[str, list[int]] = {}
    for line in lines(run):
        for tag in line.keys() - {"step"}:
            found.setdefault(tag, []).append(line["step"])
    for path in sorted((run / "samples").glob("*.png")):
        tag = "samples/reconstruction" if path.stem.endswith("-reconstruction") else "samples"
        found.setdefault(tag, []).append(int(path.stem[5:13]))
    return found


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_is_logged_once(work: Path) -> None:
    pytest.importorskip("tensorboard")
    killed = Child(
        arguments("vae", *PLAN, "logger=tensorboard", "run_dir=run"), work, work / "log", {5: [signal.SIGKILL]}
    ).wait()
    assert killed.code == -signal.SIGKILL, killed.said
    run = work / "run"
    assert event_steps(run)["train/loss"] == [1, 2, 3, 4, 5]
    assert "resuming at step 3 (exact)" in done("train", "resume=run")
    assert event_steps(run) == logged_steps(run)
    assert len([*run.glob("tensorboard/events*")]) == 2
    assert "nothing new for tensorboard" in done("log", "run")
    said = done("train", "resume=run/checkpoints/step-6", "optimizer.lr=1e-5", "allow=[optimizer.lr]")
    assert "going back" in said
    assert "warning" not in said
    assert event_steps(run) == logged_steps(run)


def test_a_run_that_was_not_logged_is_handed_over_once(work: Path) -> None:
    pytest.importorskip("tensorboard")
    done(*arguments("vae", *PLAN, "run_dir=run"))
    count = len(lines(work / "run"))
    assert f"run: {count} lines up to step 8 and 4 pictures for tensorboard" in done("log", "run", "to=tensorboard")
    assert event_steps(work / "run") == logged_steps(work / "run")
    assert "nothing new for tensorboard, which has all up to step 8" in done("log", "ckpt=run", "logger=tensorboard")


@pytest.fixture
def failing(work: Path) -> Iterator[tuple[str, ...]]:
    """The words of a logger that may fail."""
    (work / "failing.py").write_text(FAILING)
    (work / "conf" / "logger").mkdir(parents=True)
    (work / "conf" / "logger" / "failing.yaml").write_text("_target_: failing.Failing\n")
    yield "--config-dir", "conf", "plugins=[failing]"
    sys.modules.pop("failing", None)


def test_a_logger_that_fails_costs_a_line(work: Path, failing: tuple[str, ...]) -> None:
    (work / "down").touch()
    answer = genkit(*arguments("vae", *PLAN, *failing, "logger=failing", "run_dir=run"))
    assert answer.code == 0, answer.err
    said = [line for line in (answer.out + answer.err).splitlines() if "warning" in line]
    again = f"genkit log ckpt={work / 'run'} to=failing"
    reason = "ConnectionError: the server is gone"
    assert said == [f"warning: step 3: no more for failing, until you type {again}: {reason}"]
    assert run_json(work / "run")["status"] == "done"
    taken = work / "run" / "failing" / "taken"
    assert taken.read_text().split() == ["1", "2"]
    answer = genkit("log", "run", "to=failing", *failing)
    assert (answer.code, answer.out) == (6, "")
    assert answer.err == (
        "genkit: error: failing: ConnectionError: the server is gone: type the command again for the rest\n"
    )
    (work / "down").unlink()
    assert "lines up to step 8" in done("log", "run", "to=failing", *failing)
    assert taken.read_text().split() == [str(line["step"]) for line in lines(work / "run")]


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_what_it_was_logged_by(work: Path, failing: tuple[str, ...]) -> None:
    done(*arguments("vae", *PLAN, *failing, "logger=failing", "run_dir=run"))
    assert "choose it again with logger=" in refused(2, "train", "resume=run", "trainer.max_steps=9", *failing[2:])
    done("train", "resume=run", "trainer.max_steps=9", "logger=failing", *failing)
    taken = work / "run" / "failing" / "taken"
    assert taken.read_text().split() == [str(line["step"]) for line in lines(work / "run")]
    assert "nothing new" in done("log", "run", "to=failing", *failing)


REFUSED = {
    "log nowhere to=tensorboard": (4, "no such folder"),
    "log run/checkpoints/step-2 to=tensorboard": (4, "a checkpoint, which has no metrics: name its run"),
    "log run/best to=tensorboard": (4, "a checkpoint, which has no metrics: name its run"),
    "log run to=tensorbord": (2, "did you mean tensorboard?"),
    "log run to=csv": (2, "there is no such option of logger"),
    "log run to=": (2, "the value is missing"),
    "log run to=mlflow logger.uri=elsewhere": (2, "sqlite:///FILE"),
    "log damaged to=tensorboard": (4, "run.json: not valid JSON"),
    "log newer to=tensorboard": (4, "newer"),
    "log run other": (2, "unknown key"),
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_logged(work: Path, command: str) -> None:
    pytest.importorskip("tensorboard")
    run = work / "run"
    (run / "checkpoints" / "step-00000002").mkdir(parents=True)
    (run / "best").write_text("step-00000002\n")
    info = {"schema": "genkit.run/1", "status": "done", "wall_time": 1.0}
    newer = info | {"schema": "genkit.run/9"}
    for name, text in {"run": json.dumps(info), "damaged": "{", "newer": json.dumps(newer)}.items():
        (work / name).mkdir(exist_ok=True)
        (work / name / "run.json").write_text(text)
    code, part = REFUSED[command]
    assert part in refused(code, *command.split())
