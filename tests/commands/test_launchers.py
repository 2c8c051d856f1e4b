"""Jobs of a sweep in the hands of other launchers: the same folders, matching and table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_cases import MLP, QUICK, genkit, run_json
from hydra.core.plugins import Plugins

LINE = ("train", "-m", "model=vae", *MLP, *QUICK, "trainer.max_steps=2", "trainer.gradient_clip=0", "run_dir=S")
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("hydra_plugins.hydra_submitit_launcher", "hydra/launcher=submitit_local"),
}


@pytest.mark.parametrize("plugin", LAUNCHERS)
def test_a_plugin_runs_what_is_missing_and_tells_of_failures(work: Path, plugin: str) -> None:
    package, *words = LAUNCHERS[plugin]
    pytest.importorskip(package, reason=f"pip install 'genkit-toolkit[{plugin}]'")
    answer = genkit(*LINE, *words, "optimizer.lr=1e-3,1e12")
    assert answer.code == 5, answer.err
    assert "job 1  exit 5  optimizer.lr=1000000000000.0: error: step 1: train/" in answer.err
    grown = genkit(*LINE, *words, "optimizer.lr=1e-3,2e-3")
    assert grown.code == 0, grown.err
    index = json.loads((work / "S" / "sweep.json").read_text())
    assert [job["status"] for job in index["jobs"][:2]] == ["skipped", "done"]
    assert {path.parent.name: run_json(path.parent)["status"] for path in (work / "S").glob("*/run.json")} == {
        "0-lr=0.001": "done", "1-lr=1000000000000.0": "failed", "2-lr=0.002": "done",
    }  # fmt: skip
    assert [path.name for path in work.iterdir()] == ["S"]


def test_a_launcher_that_loses_a_job_is_one_line_below_a_table(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As submitit does where the batch system ended a job."""

    def launch(self: object, job_overrides: object, initial_job_idx: int) -> None:
        raise RuntimeError("Job 7 (task: 0) not completed")

    # Hydra looks through its plugins once, and has a class of its own of each
    basic = Plugins.instance().class_name_to_class["hydra._internal.core_plugins.basic_launcher.BasicLauncher"]
    monkeypatch.setattr(basic, "launch", launch)
    answer = genkit(*LINE, "hydra/launcher=basic", "seed=1,2")
    assert answer.code == 1
    assert "hydra/launcher=basic: a job left no result (RuntimeError: Job 7 (task: 0) not completed)" in answer.err
    assert answer.err.count("\n") == 1
    assert answer.out.count("waiting") == (work / "S" / "sweep.csv").read_text().count("waiting") == 2
