"""What `ckpt=` may name, and what stands in for a latest that cannot be read."""

import os
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
