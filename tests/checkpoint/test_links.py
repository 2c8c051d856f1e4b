"""Whatever lies in a run folder as a link: nothing that it leads to is changed, and through the run nothing is read."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_cases import save

from genkit.checkpoint import lock
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import point, prune
from genkit.checkpoint.run_folder import RunFolder
from genkit.errors import GenkitError


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def resume(run: Path) -> None:
    with RunFolder.open(run) as folder:
        folder.update(status="running")
        MetricsLog(run / "metrics.jsonl").truncate_after(1)


WRITES: list[Callable[[Path], object]] = [
    lambda run: save(run, 1, shift=1.0, pointers=("latest", "best")),
    lambda run: save(run, 2, pointers=("latest", "best")),
    lambda run: save(run, 9, pointers=("latest", "best")),
    lambda run: point(run, "best", "step-00000001"),
    lambda run: prune(run, 1),
    lambda run: MetricsLog(run / "metrics.jsonl").append(9, {"loss": 1.0}),
    lambda run: MetricsLog(run / "metrics.jsonl").truncate_after(0),
    lock.acquire,
    lock.release,
    resume,
]
ENTRIES = ["checkpoints", "checkpoints/step-00000002", "metrics.jsonl", "run.json", "latest", "best", ".lock"]


def make(tmp_path: Path) -> Path:
    with RunFolder.create(tmp_path / "run", "train", "a", config="", info={}) as folder:
        for step in (1, 2, 3):
            save(folder.path, step, pointers=("latest", "best"))
            MetricsLog(folder.path / "metrics.jsonl").append(step, {"loss": 1.0})
    return folder.path


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_is_changed_through_a_link(entry: str, tmp_path: Path) -> None:
    original = make(tmp_path)
    for number, write in enumerate(WRITES):
        run, outside = tmp_path / f"run-{number}", tmp_path / f"outside-{number}"
        shutil.copytree(original, run)
        (run / entry).rename(outside)
        (run / entry).symlink_to(outside)
        before = outside.read_bytes() if outside.is_file() else content(outside)
        with contextlib.suppress(GenkitError):
            write(run)
        assert before == (outside.read_bytes() if outside.is_file() else content(outside)), write


def test_a_checkpoint_moved_to_another_disk_is_read_where_it_is_named_and_replaced_where_it_is_saved_again(
    tmp_path: Path,
) -> None:
    run, disk = make(tmp_path), tmp_path / "disk"
    step = run / "checkpoints" / "step-00000003"
    step.rename(disk)
    step.symlink_to(disk)
    assert find_checkpoint(step).step == 3
    found = find_checkpoint(run)
    assert found.step == 2
    assert "step-00000003, its latest, is a link out of the run" in str(found.notice)
    with RunFolder.open(run):
        save(run, 3, shift=5.0, pointers=("latest",))
    assert not step.is_symlink()
    assert find_checkpoint(disk).model()["a.weight"][0, 0] == 0.0
    assert find_checkpoint(run).model()["a.weight"][0, 0] == 5.0
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    step.symlink_to(disk)
    with pytest.raises(GenkitError, match="is a link out of this run, not followed: name it itself"):
        find_checkpoint(run)


def test_a_run_that_is_reached_through_a_link_is_a_run(tmp_path: Path) -> None:
    run = make(tmp_path)
    way = tmp_path / "way"
    way.symlink_to(run)
    resume(way)
    save(way, 4, pointers=("latest",))
    assert find_checkpoint(way).step == find_checkpoint(run).step == 4


def test_a_lock_that_is_another_file_too_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".lock").hardlink_to(tmp_path / "elsewhere")
    with pytest.raises(GenkitError, match="one file under several names"):
        lock.acquire(tmp_path)
    assert (tmp_path / "elsewhere").read_bytes() == b""
