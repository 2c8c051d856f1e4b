"""A kill, a full disk or a missing permission at any instant leaves every earlier checkpoint intact."""

import errno
import itertools
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_cases import in_child, leftovers, save

from genkit.checkpoint.read import find_checkpoint, open_checkpoint
from genkit.checkpoint.retention import point, pointed, prune, step_folders, sweep_run
from genkit.checkpoint.write import export_checkpoint, write_checkpoint
from genkit.errors import CheckpointError, ConfigError, StorageError


def test_what_is_written_is_read(run: Path) -> None:
    tied = torch.ones(3, 2)
    model = {"w": tied.T, "v": tied.T, "n": torch.tensor(4)}
    state = {"raw/w": torch.zeros(2, 3), "m": torch.empty(0)}
    config = {"model": {"width": 2}, "rates": [1e-3, 0.5], "none": None}
    training = {"step": 12, "best": -0.25}
    path = write_checkpoint(
        run / "checkpoints", 12, config=config, model=model, training_tensors=state, training=training
    )
    assert path.name == "step-00000012"
    assert sorted(entry.name for entry in path.iterdir()) == [
        "config.json", "manifest.json", "model.safetensors", "training.json", "training.safetensors",
    ]  # fmt: skip
    found = open_checkpoint(path)
    weights = found.model()
    assert (found.step, found.config(), found.notice) == (12, config, None)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.items())
    assert weights["w"] is weights["v"]
    tensors, counters = found.training()
    assert counters == training
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state.items())


def test_a_checkpoint_without_training_state_is_complete(run: Path) -> None:
    path = write_checkpoint(run / "checkpoints", 0, config={}, model={"w": torch.ones(1)})
    assert open_checkpoint(path).training() == ({}, {})


def test_an_intact_checkpoint_is_never_overwritten(run: Path) -> None:
    before = {entry.name: entry.read_bytes() for entry in save(run, 5).iterdir()}
    again = save(run, 5, shift=1.0)
    assert {entry.name: entry.read_bytes() for entry in again.iterdir()} == before


def test_a_damaged_checkpoint_gives_way_to_a_new_one(run: Path) -> None:
    (save(run, 5) / "model.safetensors").write_bytes(b"")
    assert torch.equal(open_checkpoint(save(run, 5)).model()["a.bias"], torch.ones(20))
    assert leftovers(run) == []


@pytest.mark.parametrize(
    "content",
    [
        {"config": {1: 2}},
        {"config": {"a": float("nan")}},
        {"model": {"w": 3}},
        {"training": {"f": {1}}},
        {"training_tensors": {"w": torch.eye(2).to_sparse()}},
    ],
)
def test_content_that_cannot_be_kept_exactly_leaves_nothing(run: Path, content: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        write_checkpoint(run / "checkpoints", 1, **({"config": {}, "model": {}} | content))
    assert list((run / "checkpoints").iterdir()) == []


def save_for_ever(run: Path, first: int) -> None:
    for step in itertools.count(first):
        save(run, step, pointers=("latest",))
        prune(run, keep=2)


def test_a_kill_at_any_instant_costs_nothing(run: Path) -> None:
    """A dozen kill -9 while a child saves, points and prunes without a pause."""
    moments = random.Random(0)
    point(run, "latest", save(run, 1).name)
    for _ in range(12):
        before = pointed(run, "latest")
        child = in_child(save_for_ever, run, find_checkpoint(run).step + 1)
        while pointed(run, "latest") == before and child.is_alive():
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.1))
        child.kill()
        child.join()
        assert_sound(run)
    assert find_checkpoint(run).step > 12


def assert_sound(run: Path) -> None:
    found = find_checkpoint(run)
    assert found.notice is None
    assert float(found.training()[0]["state/0/step"]) == found.step
    sweep_run(run)
    assert leftovers(run) == []
    assert all(open_checkpoint(folder) for folder in step_folders(run))


def die_at_call(run: Path, number: int) -> None:
    """Saves and prunes; is killed just before its `number`-th call that changes the disk."""
    calls = itertools.count(1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return call

    for name in ("mkdir", "fsync", "rename", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    save(run, 2, pointers=("latest",))
    prune(run, keep=1)
    os._exit(0)


def test_a_kill_between_any_two_changes_of_the_disk_costs_nothing(run: Path, tmp_path: Path) -> None:
    point(run, "latest", save(run, 1).name)
    ends: list[tuple[int | None, int]] = []
    for number in itertools.count(1):
        copy = shutil.copytree(run, tmp_path / str(number))
        child = in_child(die_at_call, copy, number)
        child.join()
        ends.append((child.exitcode, find_checkpoint(copy).step))
        assert_sound(copy)
        point(copy, "latest", save(copy, 2).name)  # the resumed run gets there again
        prune(copy, keep=1)
        assert [folder.name for folder in step_folders(copy)] == ["step-00000002"]
        if child.exitcode == 0:
            break
    assert len(ends) > 15
    assert [step for _, step in ends] == sorted(step for _, step in ends)
    assert {step for _, step in ends} == {1, 2}


def test_pointers_follow_whether_the_checkpoint_is_new_or_stands(run: Path) -> None:
    save(run, 1, pointers=("latest", "best"))
    save(run, 2, pointers=("latest",))
    assert (pointed(run, "latest"), pointed(run, "best")) == ("step-00000002", "step-00000001")
    save(run, 2, pointers=("latest", "best"))
    assert pointed(run, "best") == "step-00000002"
    assert leftovers(run) == []


def test_all_content_is_durable_before_the_first_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the checkpoint's name before those that refer to it; the disk is flushed three times."""
    log: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        log.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.split(".")[-1]))
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        log.append(("rename", target.name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    save(run, 1, pointers=("latest", "best"))
    content = {("fsync", kind) for kind in ("json", "safetensors", "tmp")}
    assert {*log[:8]} == content  # five files, their folder, the new `latest` and `best`
    first, last = [("rename", "step-00000001"), ("fsync", "checkpoints")], ("fsync", run.name)
    assert log[8:] == [*first, ("rename", "latest"), ("rename", "best"), last]


def save_with_little_space(run: Path, report: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    try:
        save(run, 2)
    except StorageError as error:
        os.write(os.open(report, os.O_CREAT | os.O_WRONLY), str(error).encode())
        os._exit(StorageError.exit_code)


def test_a_full_disk_is_reported_and_costs_nothing(run: Path, tmp_path: Path) -> None:
    point(run, "latest", save(run, 1).name)
    child = in_child(save_with_little_space, run, tmp_path / "report")
    child.join()
    assert child.exitcode == 6
    said = (tmp_path / "report").read_text()
    assert "step-00000002" in said
    assert "bytes needed" in said
    assert "\n" not in said
    assert find_checkpoint(run).step == 1
    assert [folder.name for folder in (run / "checkpoints").iterdir()] == ["step-00000001"]


@pytest.mark.parametrize("call", ["mkdir", "fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_any_step_costs_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    save(run, 1)

    def refuse(*arguments: object, **keywords: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match=r"^[^\n]*step-00000002[^\n]*$") as refusal:
            save(run, 2)
    assert ("bytes needed" in str(refusal.value)) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert [folder.name for folder in (run / "checkpoints").iterdir()] == ["step-00000001"]
    assert open_checkpoint(run / "checkpoints" / "step-00000001").step == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the test above simulates the refusal")
def test_a_folder_that_is_not_writable_is_reported(run: Path) -> None:
    (run / "checkpoints").chmod(0o555)
    with pytest.raises(StorageError, match="permissions"):
        save(run, 1)


def test_an_export_holds_the_model_alone(run: Path, tmp_path: Path) -> None:
    point(run, "latest", save(run, 9).name)
    out = export_checkpoint(run, tmp_path / "a b=ü,[1]" / "export")
    assert sorted(entry.name for entry in out.iterdir()) == ["config.json", "manifest.json", "model.safetensors"]
    shared, source = find_checkpoint(out), find_checkpoint(run)
    assert (shared.step, shared.manifest.kind, shared.config()) == (9, "export", source.config())
    assert all(torch.equal(tensor, shared.model()[name]) for name, tensor in source.model().items())
    with pytest.raises(CheckpointError, match="no training state"):
        shared.training()
    assert export_checkpoint(out, tmp_path / "again").is_dir()


def test_an_export_never_writes_into_a_folder_in_use(run: Path, tmp_path: Path) -> None:
    source = save(run, 9)
    (tmp_path / "empty").mkdir()
    assert export_checkpoint(source, tmp_path / "empty") == tmp_path / "empty"
    (tmp_path / "file").write_text("mine")
    for taken in ("empty", "file"):
        with pytest.raises(ConfigError, match=r"^[^\n]*in use[^\n]*out=[^\n]*$"):
            export_checkpoint(source, tmp_path / taken)
    assert (tmp_path / "file").read_text() == "mine"
    assert leftovers(tmp_path) == []


def test_an_export_to_a_full_disk_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = save(run, 9)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"^[^\n]*out: [^\n]*[0-9] bytes needed[^\n]*$"):
        export_checkpoint(source, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_tied_weights_stay_tied_in_an_export(run: Path, tmp_path: Path) -> None:
    weight = torch.ones(2, 2)
    path = write_checkpoint(run / "checkpoints", 1, config={}, model={"a": weight, "b": weight})
    model = open_checkpoint(export_checkpoint(path, tmp_path / "out")).model()
    assert model["a"] is model["b"]
