"""What `ckpt=` may name, and what stands in for a latest that cannot be read."""

import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from checkpoint_cases import save

from genkit.checkpoint.manifest import MODEL
from genkit.checkpoint.read import find_checkpoint, open_checkpoint
from genkit.checkpoint.retention import point
from genkit.errors import CheckpointError, StorageError


@pytest.fixture
def trained(run: Path) -> Path:
    for step in (90, 100, 1000):
        save(run, step, shift=step)
    point(run, "latest", "step-00001000")
    return run


def test_a_run_means_its_latest(trained: Path) -> None:
    point(trained, "latest", "step-00000100")
    assert find_checkpoint(trained).path == trained / "checkpoints" / "step-00000100"
    assert find_checkpoint(trained).notice is None


def test_a_checkpoint_means_itself(trained: Path) -> None:
    assert find_checkpoint(trained / "checkpoints" / "step-00000090").step == 90


def test_a_run_that_was_moved_is_found_from_anywhere(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.move(trained, tmp_path / "a b=ü,[1]")
    monkeypatch.chdir(tmp_path)
    found = find_checkpoint(Path(moved).name)
    monkeypatch.chdir("/")
    assert float(found.model()["a.weight"][0, 0]) == 1000


@pytest.mark.parametrize(
    "damage", ["pointer missing", "pointer foreign", "pointer outside", "folder missing", "weights"]
)
def test_a_latest_that_cannot_be_read_is_replaced_aloud(trained: Path, damage: str) -> None:
    latest = trained / "checkpoints" / "step-00001000"
    if damage == "pointer missing":
        (trained / "latest").unlink()
    elif damage == "pointer foreign":
        (trained / "latest").write_bytes(os.urandom(5000))
    elif damage == "pointer outside":
        (trained / "latest").write_text("../../elsewhere/step-00000001")
    elif damage == "folder missing":
        shutil.rmtree(latest)
    else:
        data = bytearray((latest / MODEL).read_bytes())
        data[-5] ^= 1
        (latest / MODEL).write_bytes(data)
    found = find_checkpoint(trained)
    assert found.step == (1000 if damage.startswith("pointer") else 100)
    assert found.notice is not None
    assert "\n" not in found.notice
    assert found.path.name in found.notice


def test_age_is_the_step_not_the_time_stamp(trained: Path) -> None:
    (trained / "latest").unlink()
    os.utime(trained / "checkpoints" / "step-00001000", (1, 1))
    assert find_checkpoint(trained).step == 1000


def test_a_link_in_place_of_a_checkpoint_is_not_followed(trained: Path, tmp_path: Path) -> None:
    latest = trained / "checkpoints" / "step-00001000"
    latest.rename(tmp_path / "outside")
    latest.symlink_to(tmp_path / "outside")
    assert find_checkpoint(trained).step == 100


def test_all_damaged_is_refused_and_nothing_is_touched(trained: Path) -> None:
    for folder in (trained / "checkpoints").iterdir():
        (folder / MODEL).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"^[^\n]*every checkpoint[^\n]*$"):
        find_checkpoint(trained)
    assert len(list((trained / "checkpoints").iterdir())) == 3


def test_a_run_without_checkpoints_is_refused(run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^[^\n]*no checkpoint yet[^\n]*$"):
        find_checkpoint(run)


def test_a_file_changed_after_it_was_verified_is_not_used(trained: Path) -> None:
    found = find_checkpoint(trained)
    path = found.path / MODEL
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match="damaged"):
        found.model()
    assert found.config()["spec"] == {"shape": [1, 8, 8]}


def test_tensors_own_their_memory(trained: Path) -> None:
    found = find_checkpoint(trained)
    first, second = found.model(), found.model(torch.device("cpu"))
    first["a.bias"].zero_()
    assert torch.equal(second["a.bias"], torch.ones(20))


def test_permission_is_a_matter_of_the_disk(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **keywords: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match=r"^[^\n]*cannot read \(Permission denied\)[^\n]*$"):
        open_checkpoint(trained / "checkpoints" / "step-00000100")


@pytest.fixture
def best(trained: Path) -> Path:
    point(trained, "best", "step-00000090")
    return trained


@pytest.mark.parametrize(
    ("name", "step", "pointer"),
    [
        ("", 1000, "latest"),
        ("latest", 1000, "latest"),
        ("best", 90, "best"),
        ("best/", 90, "best"),
        ("checkpoints/step-00000100", 100, None),
        ("checkpoints/step-100", 100, None),
        ("checkpoints/../best", 90, "best"),
    ],
)
def test_a_checkpoint_of_a_run_is_named_by_pointer_or_step(best: Path, name: str, step: int, pointer: str) -> None:
    found = find_checkpoint(f"{best}/{name}")
    assert (found.step, found.pointer, found.notice) == (step, pointer, None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("checkpoints", "a folder of checkpoints: name the run, {run}, or {run}/checkpoints/step-00001000"),
        ("checkpoints/step-7", "no such checkpoint: this run has step-00000090, step-00000100, step-00001000"),
        ("..", "a folder of runs: name one of them: "),
        ("best/best", "no such folder"),
        ("bset", "no such folder"),
    ],
)
def test_what_is_no_checkpoint_says_what_to_name(best: Path, name: str, said: str) -> None:
    (best / "run.json").write_text("{}")
    with pytest.raises(CheckpointError, match=re.escape(said.format(run=best))):
        find_checkpoint(best / name)


@pytest.mark.parametrize("how", ["none", "foreign", "gone", "damaged"])
def test_nothing_stands_in_for_a_best(best: Path, how: str) -> None:
    """Unlike the latest, of which an older one is a part: a best that cannot be had is refused."""
    if how == "none":
        (best / "best").unlink()
    elif how == "foreign":
        (best / "best").write_text("../../elsewhere")
    elif how == "gone":
        shutil.rmtree(best / "checkpoints" / "step-00000090")
    else:
        (best / "checkpoints" / "step-00000090" / MODEL).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"best|damaged"):
        find_checkpoint(best / "best")


def test_copied_checkpoints_without_their_run(best: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(best / "checkpoints", tmp_path / "copied")
    assert find_checkpoint(copied / "step-00000100").step == 100
    with pytest.raises(CheckpointError, match="name one of them: step-00000090, step-00000100"):
        find_checkpoint(copied)
