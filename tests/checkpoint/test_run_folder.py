"""Run folders appear whole, one per run, and have one owner."""

import errno
import json
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from checkpoint_cases import FORK, in_child, leftovers, save

from genkit.checkpoint import run_folder
from genkit.checkpoint.lock import owner_of
from genkit.checkpoint.run_folder import RunFolder
from genkit.errors import CheckpointError, ConfigError, StorageError
from genkit.storage.atomic import temporary_beside
from genkit.storage.process import current

CONFIG = "model:\n  width: 3  # ü\n"


def create(path: Path | None = None, **more: Any) -> RunFolder:
    info = {"command": ["genkit", "train"], "seed": 0, "device": "cpu", "versions": {"lightning": "2.6.6"}}
    return RunFolder.create(path, "train", "vae-digits", config=CONFIG, info=info, **more)


def test_a_new_folder_has_everything_in_it(tmp_path: Path) -> None:
    with create(root=tmp_path / "outputs") as run:
        assert run.path.parent == tmp_path / "outputs" / "train"
        assert run.path.name.endswith("-vae-digits")
        assert sorted(e.name for e in run.path.iterdir()) == [".lock", "checkpoints", "config.yaml", "run.json"]
        assert (run.path / "config.yaml").read_text("utf-8") == CONFIG
        assert owner_of(run.path) == current()
    record = json.loads((run.path / "run.json").read_text())
    assert (record["status"], record["exit_code"], record["seed"], record["verb"]) == ("running", None, 0, "train")
    assert {"genkit", "python", "torch", "lightning"} == set(record["versions"])
    assert owner_of(run.path) is None
    assert leftovers(tmp_path) == []


def test_updates_are_added(tmp_path: Path) -> None:
    with create(tmp_path / "run") as run:
        run.update(status="done", exit_code=0, wall_time=1.5)
    with RunFolder.open(tmp_path / "run") as again:
        assert (again.info["status"], again.info["exit_code"], again.info["seed"]) == ("done", 0, 0)


def test_runs_of_one_second_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder.time, "strftime", lambda *arguments: "20260101-000000")
    names = [create(root=tmp_path).path.name for _ in range(3)]
    assert names == [f"20260101-000000-vae-digits{suffix}" for suffix in ("", "-2", "-3")]


def create_together(root: Path, start: Barrier) -> None:
    run_folder.time.strftime = lambda *arguments: "20260101-000000"  # type: ignore[assignment]
    start.wait()
    run = create(root=root)
    run.update(pid=os.getpid())


def test_eight_processes_at_the_same_instant_get_eight_folders(tmp_path: Path) -> None:
    start = FORK.Barrier(8)
    children = [in_child(create_together, tmp_path, start) for _ in range(8)]
    for child in children:
        child.join()
    records = [json.loads((folder / "run.json").read_text()) for folder in (tmp_path / "train").iterdir()]
    assert sorted(record["pid"] for record in records) == sorted(child.pid or 0 for child in children)
    assert leftovers(tmp_path) == []


def test_a_label_cannot_lead_out_of_the_root(tmp_path: Path) -> None:
    run = RunFolder.create(None, "train", "../a=b/ü c", config="", info={}, root=tmp_path)
    assert run.path.parent == tmp_path / "train"
    assert "=" not in run.path.name


@pytest.mark.parametrize("kind", ["new", "nested", "empty", "link to empty", "a b=ü,[1]"])
def test_the_users_folder_may_be_new_or_empty(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "nested" / "deep" if kind == "nested" else tmp_path / kind
    if kind == "empty":
        path.mkdir()
    elif kind == "link to empty":
        (tmp_path / "real").mkdir()
        path.symlink_to(tmp_path / "real")
    with create(path):
        assert (path / "run.json").is_file()


@pytest.mark.parametrize("kind", ["folder in use", "file", "run"])
def test_the_users_folder_is_refused_when_in_use(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "taken"
    if kind == "file":
        path.write_text("mine")
    elif kind == "run":
        create(path).close()
    else:
        path.mkdir()
        (path / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=r"^[^\n]*taken: in use[^\n]*$"):
        create(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EACCES])
def test_an_empty_mount_point_is_filled_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "mount").mkdir()
    monkeypatch.setattr(os, "rename", refuse)
    with create(tmp_path / "mount") as run:
        assert sorted(e.name for e in run.path.iterdir()) == [".lock", "checkpoints", "config.yaml", "run.json"]
    with pytest.raises(StorageError, match=r"^[^\n]+$"):
        create(tmp_path / "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mount"]


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"^[^\n]*No space left[^\n]*$"):
        create(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_not_opened_and_not_touched(tmp_path: Path) -> None:
    for name, text in (("nothing", None), ("foreign", "{}"), ("damaged", '{"schema": ')):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "run.json").write_text(text)
        before = sorted((tmp_path / name).iterdir())
        with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
            RunFolder.open(tmp_path / name)
        assert sorted((tmp_path / name).iterdir()) == before


def die_while_saving(path: Path) -> None:
    run = create(path)
    save(path, 1)
    temporary_beside(run.path / "checkpoints" / "step-00000002").mkdir()
    os.kill(os.getpid(), 9)


def test_a_run_whose_process_was_killed_is_taken_over_and_swept(tmp_path: Path) -> None:
    in_child(die_while_saving, tmp_path / "run").join()
    assert len(leftovers(tmp_path)) == 1
    with RunFolder.open(tmp_path / "run") as run:
        assert owner_of(run.path) == current()
        assert leftovers(tmp_path) == []
        with pytest.raises(StorageError, match="open already"):
            RunFolder.open(tmp_path / "run")
