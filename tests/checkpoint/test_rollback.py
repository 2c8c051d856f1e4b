"""Going back in a run: what came after is kept, and a kill at any instant leaves the old state or the new one."""

import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoint_cases import in_child, leftovers, save

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.read import find_checkpoint, open_checkpoint
from genkit.checkpoint.retention import pointed, step_folders, sweep_run
from genkit.checkpoint.rollback import is_at, is_unfinished, set_aside
from genkit.checkpoint.run_folder import read_info
from genkit.errors import CheckpointError
from genkit.storage.atomic import replace_file

EMPTY = {"schema": "genkit.run/1", "status": "done", "wall_time": 0.0}
CHANGES = ("mkdir", "fsync", "rename", "unlink", "rmdir")  # functions of os that change the disk


@pytest.fixture
def trained(run: Path) -> Path:
    for step in (2, 4, 6, 8):
        save(run, step, shift=step, pointers=("latest",))
    (run / "best").write_text("step-00000006\n")
    (run / "metrics.jsonl").write_text("".join(f'{{"step": {step}, "val/loss": 1.0}}\n' for step in (2, 4, 6, 8)))
    (run / "run.json").write_text(json.dumps(EMPTY | {"step": 8}))
    (run / "samples").mkdir()
    for step in (4, 8):
        (run / "samples" / f"step-{step:08d}-reconstruction.png").write_bytes(b"png")
    return run


def steps(run: Path) -> list[int]:
    return [open_checkpoint(folder).step for folder in reversed(step_folders(run))]


def logged(run: Path) -> list[int]:
    return [line["step"] for line in MetricsLog(run / "metrics.jsonl").records()]


def test_what_came_after_is_a_run_of_its_own(trained: Path) -> None:
    kept = set_aside(trained, 4, best="step-00000002")
    assert kept is not None
    assert kept.parent == trained / "aside"
    assert (steps(trained), steps(kept)) == ([2, 4], [6, 8])
    assert (find_checkpoint(trained).step, find_checkpoint(trained / "best").step) == (4, 2)
    assert (find_checkpoint(kept).step, find_checkpoint(kept / "best").step) == (8, 6)
    assert (logged(trained), logged(kept)) == ([2, 4], [2, 4, 6, 8])
    pictures = [[path.name[5:13] for path in (run / "samples").iterdir()] for run in (trained, kept)]
    assert pictures == [["00000004"], ["00000008"]]
    assert set_aside(trained, 4) is None  # nothing comes after any more
    assert len(list((trained / "aside").iterdir())) == 1


def test_an_earlier_best_stays_and_one_that_is_gone_is_none(trained: Path) -> None:
    set_aside(trained, 6, best="step-00000002")
    assert pointed(trained, "best") == "step-00000006"
    set_aside(trained, 2)
    assert pointed(trained, "best") is None


def test_a_link_out_of_the_run_is_not_followed(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (trained / "aside").symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="leads out of"):
        set_aside(trained, 4)
    assert steps(trained) == [2, 4, 6, 8]
    assert not any((tmp_path / "outside").iterdir())


def noted(run: Path) -> None:
    """Writes into run.json what the log then says."""
    replace_file(run / "run.json", json.dumps(EMPTY | {"step": max(logged(run))}).encode())


def die_at_change(run: Path, number: int) -> None:
    """Goes back to step 4; is killed just before its `number`-th call that changes the disk."""
    calls = itertools.count(1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    set_aside(run, 4, best="step-00000004", note=lambda: noted(run))
    os._exit(0)


def test_a_kill_between_any_two_changes_of_the_disk_leaves_the_old_state_or_the_new_one(
    trained: Path, tmp_path: Path
) -> None:
    seen = []
    for number in itertools.count(1):
        copy = shutil.copytree(trained, tmp_path / str(number))
        child = in_child(die_at_change, copy, number)
        child.join()
        found = find_checkpoint(copy)
        assert found.notice is None
        seen.append(found.step)
        everywhere = [*step_folders(copy), *(path for kept in copy.glob("aside/*") for path in step_folders(kept))]
        assert sorted(open_checkpoint(folder).step for folder in everywhere) == [2, 4, 6, 8]
        assert find_checkpoint(copy / "best").step in (4, 6)
        assert is_unfinished(copy, found.step) == (found.step == 4 and not is_at(copy, 4))
        sweep_run(copy)
        assert leftovers(copy) == []
        set_aside(copy, 4, best="step-00000004", note=lambda copy=copy: noted(copy))  # as the next resume does
        assert read_info(copy / "run.json")["step"] == 4
        assert logged(copy) == [2, 4]
        (kept,) = copy.glob("aside/*")  # one folder, however often it was begun
        assert (steps(kept), logged(kept)) == ([6, 8], [2, 4, 6, 8])
        assert (steps(copy), find_checkpoint(copy / "best").step, is_at(copy, 4)) == ([2, 4], 4, True)
        shutil.rmtree(copy)
        if child.exitcode == 0:
            break
    assert seen == sorted(seen, reverse=True)  # once it is at the new step it never goes back
    assert {8, 4} == set(seen)
