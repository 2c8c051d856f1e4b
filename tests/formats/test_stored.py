"""Runs that earlier versions wrote, one folder for each form of a checkpoint: loaded, verified, sampled, resumed.

`scripts/store_checkpoints.py` made them. A run that cannot be used any more is a promise broken: mend the reader (a row
of `MOVED`, a step of `STEPS`), never the folder.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from moved_run import move_back
from script import script_named

from genkit.assembly.restore import restore
from genkit.cli import main
from genkit.config import names

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "machine.json").is_file())
RUNS = [pytest.param(HERE / version / name.name, id=f"{version}-{name.name}")
        for version in VERSIONS for name in sorted((HERE / version).iterdir()) if name.is_dir()]  # fmt: skip
DIFFERENT = 0.002  # share of the stored values that another machine may round elsewhere


SCRIPT = script_named("store_checkpoints")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(threads)


def same_samples(run: Path, stored: Path) -> None:
    """The samples are those that the writing version drew: to the bit where this machine calculates as that one."""
    then, now = dict(np.load(stored / "expected.npz")), SCRIPT.expected(run)
    assert then.keys() == now.keys()
    if json.loads((stored.parent / "machine.json").read_text()) == SCRIPT.machine():
        for key, values in then.items():
            assert values.dtype == now[key].dtype
            assert values.tobytes() == now[key].tobytes(), key
        return
    np.testing.assert_allclose(now["model"], then["model"], rtol=1e-4, atol=1e-4)
    assert (now["stored"] != then["stored"]).mean() <= DIFFERENT
    assert np.array_equal(now.get("y"), then.get("y"))


def use(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Resume a copy for two more steps; what was said."""
    assert main(["verify", f"ckpt={run}"]) == 0
    code = main(["train", f"resume={run}", "trainer.max_steps=6"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert (run / "checkpoints" / "step-00000006" / "manifest.json").is_file()
    assert "resuming at step 4" in out
    return out


def test_every_version_has_every_family() -> None:
    assert VERSIONS
    assert {path.name for path in (HERE / VERSIONS[-1]).iterdir() if path.is_dir()} == set(SCRIPT.STORED)


@pytest.mark.parametrize("stored", RUNS)
def test_a_stored_run_is_sampled_verified_and_resumed(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(stored, tmp_path / stored.name)
    same_samples(run, stored)
    use(run, capsys)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_run_outlives_one_more_move(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if today's class had had, when it was stored, a path that is gone."""
    stored = HERE / version / "vae"
    run = shutil.copytree(stored, tmp_path / "vae")
    config = json.loads(next((run / "checkpoints").glob("*/config.json")).read_text())
    target = config["model"]["_target_"]
    move_back(run, {target: "genkit.models.gone.Once"})
    monkeypatch.setattr(names, "MOVED", {**names.MOVED, "genkit.models.gone.Once": target})
    same_samples(run, stored)
    assert restore(run).config["model"]["_target_"] == names.current(target)
    assert "_target_" not in use(run, capsys)
