"""What is kept, what is deleted, and that pointers name what exists."""

import shutil
from pathlib import Path

import pytest
from checkpoint_cases import in_child, leftovers, save

from genkit.checkpoint.retention import is_step_name, point, pointed, prune, step_folders, step_name, sweep_run
from genkit.errors import CheckpointError
from genkit.storage.atomic import temporary_beside


def steps(run: Path) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in step_folders(run)]


@pytest.mark.parametrize(
    ("keep", "latest", "best", "left"),
    [
        (1, 5, None, [5]),
        (2, 5, 2, [5, 4, 2]),
        (2, 5, 4, [5, 4]),
        (1, 3, 1, [5, 3, 1]),
        (0, None, None, [5]),
        (-1, 5, 5, [5]),
        (9, 5, 1, [5, 4, 3, 2, 1]),
    ],
)
def test_the_newest_and_the_named_are_kept(
    run: Path, keep: int, latest: int | None, best: int | None, left: list[int]
) -> None:
    for step in range(1, 6):
        save(run, step)
    if latest is not None:
        point(run, "latest", step_name(latest))
    if best is not None:
        point(run, "best", step_name(best))
    gone = prune(run, keep)
    assert steps(run) == left
    assert sorted(int(folder.name[5:]) for folder in gone) == sorted({1, 2, 3, 4, 5} - set(left))
    assert leftovers(run) == []


def test_a_damaged_checkpoint_neither_counts_nor_goes(run: Path) -> None:
    for step in (1, 2, 3):
        save(run, step)
    (run / "checkpoints" / step_name(3) / "model.safetensors").unlink()
    prune(run, 1)
    assert steps(run) == [3, 2]


@pytest.mark.parametrize("name", ["", "step-1", "step-00000009", "../run", "/etc", "step-00000001\n", "step-000000001"])
def test_a_pointer_names_a_checkpoint_that_exists(run: Path, name: str) -> None:
    save(run, 1)
    point(run, "best", step_name(1))
    with pytest.raises(CheckpointError, match=r"^[^\n]*no such checkpoint$"):
        point(run, "best", name)
    assert pointed(run, "best") == step_name(1)
    assert (run / "best").read_text() == "step-00000001\n"


def test_a_pointer_that_leads_out_is_none(run: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(step_name(1))
    (run / "latest").symlink_to(tmp_path / "outside")
    assert pointed(run, "latest") is None
    assert pointed(run, "best") is None


@pytest.mark.parametrize("step", [0, 7, 99_999_999, 100_000_000, 10**12])
def test_names_of_steps(step: int) -> None:
    assert is_step_name(step_name(step))
    assert not is_step_name(step_name(step) + "0" * 18)
    assert not is_step_name(f"step-0{step:08d}")


def leave_temporaries(run: Path) -> None:
    for target in (run / "latest", run / "checkpoints" / step_name(8), run / "samples" / "step-00000008.png"):
        temporary_beside(target).mkdir()
        temporary_beside(target).write_text("half")


def test_sweep_deletes_what_the_dead_left_and_nothing_else(run: Path) -> None:
    save(run, 1)
    (run / "samples").mkdir()
    (run / ".mine.tmp").write_text("a user's file")
    child = in_child(leave_temporaries, run)
    child.join()
    own = temporary_beside(run / "checkpoints" / step_name(2))
    own.mkdir()
    assert len(leftovers(run)) == 8
    assert len(sweep_run(run)) == 6
    assert leftovers(run) == [run / ".mine.tmp", own]
    shutil.rmtree(own)
    assert steps(run) == [1]
