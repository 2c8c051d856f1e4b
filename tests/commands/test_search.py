"""Searches of values: what is asked for is completed, whatever breaks, and nothing is trained twice."""

from __future__ import annotations

import csv
import json
import signal
import sys
from pathlib import Path

import pytest
from command_cases import MLP, QUICK, Child, arguments, digest, done, genkit, refused, run_json

optuna = pytest.importorskip("optuna")
pytest.importorskip("cmaes")

RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
SEARCH = ("train", "-m", "hydra/sweeper=genkit_optuna", "hydra/launcher=basic")
TINY = (*arguments("vae")[1:], "trainer.max_steps=2", "trainer.val_every_n_steps=1", "checkpoint.every_n_steps=1")
STEPS = (*arguments("vae")[1:], "trainer.max_steps=6", "trainer.val_every_n_steps=2", "checkpoint.every_n_steps=2")


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "sweep.csv").open()))


def trials(folder: Path, storage: optuna.storages.BaseStorage | None = None) -> list[optuna.trial.FrozenTrial]:
    found: list[optuna.trial.FrozenTrial] = optuna.load_study(
        study_name=folder.name, storage=storage or f"sqlite:///{folder / 'study.db'}"
    ).get_trials()
    return found


@pytest.mark.slow
def test_a_search_completes_what_was_asked_for_and_grows(work: Path) -> None:
    """Its table is that of a sweep; typed again it goes on, and a sampler does not repeat what it suggested."""
    line = (*SEARCH, *TINY, RATE, "backbone.width=range(8,33,8)", "run_dir=S")
    assert "genkit: 1 of 1 trials to run" in done(*line, "search.trials=1")
    kept = digest(work / "S" / rows(work / "S")[0]["folder"])
    said = done(*line, "search.trials=2")
    assert "genkit: 1 of 2 trials to run, 1 done before" in said
    assert "picture: S/sweep.png" in said
    found = rows(work / "S")
    assert [row["status"] for row in found] == ["done"] * 2
    assert len({row["lr"] for row in found}) == 2
    assert digest(work / "S" / found[0]["folder"]) == kept
    for row, trial in zip(found, trials(work / "S"), strict=True):
        record = run_json(work / "S" / row["folder"])
        assert trial.values == [record["best"]["value"]] == [float(row["val/loss"])]
        assert record["values"]["optimizer.lr"] == repr(trial.params["optimizer.lr"])
    best = min(found, key=lambda row: float(row["val/loss"]))
    assert f"best: lr={best['lr']},width={best['width']}, val/loss" in said
    assert f"  genkit eval ckpt=S/{best['folder']}" in said
    assert "0 of 1 trials to run, 2 done before" in done(*line, "search.trials=1")


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_where_it_was(work: Path) -> None:
    """The training that broke goes on with its values, in its folder, and as many are complete as were asked for."""
    line = [*SEARCH, *STEPS, RATE, "search.trials=2", "run_dir=S"]
    killed = Child(line, work, work.parent / "log", {5: [signal.SIGKILL]}).wait()
    assert killed.code == -signal.SIGKILL, killed.said
    (broken,) = [path.parent for path in (work / "S").glob("*/run.json")]
    assert run_json(broken)["status"] == "running"
    said = done(*line)
    assert "trial 0: its process is gone: it is taken over" in said
    assert f"{broken.name}: resuming at step 4 (" in said
    found = rows(work / "S")
    assert [row["status"] for row in found] == ["done"] * 2
    assert len({row["folder"] for row in found}) == len({row["lr"] for row in found}) == 2
    assert broken.name in {row["folder"] for row in found}
    assert [trial.state.name for trial in trials(work / "S")] == ["FAIL", "COMPLETE", "COMPLETE"]


@pytest.mark.slow
def test_two_objectives_make_a_pareto_set(work: Path) -> None:
    words = (RATE, "backbone.width=4,8,16,32", "search.objectives=[monitor,sampling_seconds]", "search.sampler=random")
    said = done(*SEARCH, *TINY, *words, "search.trials=3", "run_dir=S")
    found = rows(work / "S")
    points = [(float(row["val/loss"]), float(row["sampling_seconds"])) for row in found]
    best = {(a, b) for a, b in points if not any((c <= a and d <= b) and (c, d) != (a, b) for c, d in points)}
    assert {point for point, row in zip(points, found, strict=True) if row["pareto"] == "1"} == best
    assert [trial.values for trial in trials(work / "S")] == [list(point) for point in points]
    assert (work / "S" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert "Pareto set: S/pareto.png" in said
    index = json.loads((work / "S" / "sweep.json").read_text())
    assert (index["sweeper"], index["score"], index["mode"]) == ("genkit_optuna", "val/loss", "min")
    assert [job["costs"]["sampling_seconds"] for job in index["jobs"]] == [point[1] for point in points]


@pytest.mark.slow
def test_a_grid_is_searched_once_and_what_diverges_is_the_worst(work: Path) -> None:
    """A rate of 1e12 destroys the weights: its trial counts, with a value that no sampler takes for good."""
    words = ("optimizer.lr=1e12,1e-2", "trainer.gradient_clip=0", "search.sampler=grid", "search.trials=9")
    assert "genkit: 2 of 2 trials to run" in done(*SEARCH, *STEPS, *words, "run_dir=S")
    assert [row["status"] for row in rows(work / "S")] == ["exit 5", "done"]
    assert [trial.value == float("inf") for trial in trials(work / "S")] == [True, False]
    assert "0 of 2 trials to run, 2 done before" in done(*SEARCH, *STEPS, *words, "run_dir=S")


@pytest.mark.slow
def test_trials_that_fall_behind_are_pruned(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruned training ends at a validation, keeps its checkpoint, and counts."""

    def strict(name: str | None, least: int, most: int) -> optuna.pruners.BasePruner:
        assert (name, least, most) == ("median", 2, 6)
        return optuna.pruners.ThresholdPruner(upper=-1e9, n_warmup_steps=3)

    monkeypatch.setattr("genkit.config.hydra.search.study.make_pruner", strict)
    done(*SEARCH, *STEPS, RATE, "search.trials=1", "search.pruner=median", "run_dir=S", "search.storage=journal")
    (row,) = rows(work / "S")
    assert (row["status"], row["step"]) == ("pruned", "4")
    record = run_json(work / "S" / row["folder"])
    assert "search.trial" not in record["command"]
    assert record["stopped"].startswith("at step 4: pruned: val/loss")
    (trial,) = trials(work / "S", _journal(work / "S" / "study.log"))
    assert (trial.state.name, [*trial.intermediate_values]) == ("PRUNED", [2, 4])


def _journal(file: Path) -> optuna.storages.BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


@pytest.mark.slow
def test_a_model_without_a_validation_loss_is_judged_by_quick_scores(work: Path) -> None:
    words = (*arguments("gan")[1:], "trainer.max_steps=2", "trainer.val_every_n_steps=2", "quick.n=20")
    said = done(*SEARCH, *words, RATE, "search.trials=1", "run_dir=S")
    assert "genkit: metric=fid checkpoint.monitor=quick/fid checkpoint.mode=min, since no validation loss" in said
    assert [float(row["quick/fid"]) > 0 for row in rows(work / "S")] == [True]


@pytest.mark.slow
def test_a_search_of_failures_ends(work: Path) -> None:
    """What no check before the first training sees; three trials are enough to know."""
    words = ("model.latent_dim=range(1,9)", "checkpoint.monitor=val/nothing", "search.trials=20", "run_dir=S")
    answer = genkit(*SEARCH, *TINY, *words)
    assert answer.code == 2
    assert "error: search: 3 trials failed, the last one with: error: checkpoint.monitor=val/nothing" in answer.err
    assert len(rows(work / "S")) == 3


VAE = ("model=vae", *MLP, *QUICK, "trainer.max_steps=4", "trainer.val_every_n_steps=2")
M = ("-m", "hydra/sweeper=genkit_optuna")
REFUSALS = {
    "nothing to search": (2, (*M, *VAE, "optimizer.lr=1e-3")),
    "did you mean genkit_optuna?": (2, ("-m", "hydra/sweeper=optuna", *VAE, RATE)),
    "add -m": (2, ("hydra/sweeper=genkit_optuna", *VAE, "optimizer.lr=1e-3")),
    "which hydra/sweeper=genkit_optuna does": (2, ("-m", *VAE, "optimizer.lr=interval(1e-4,1e-1)")),
    "it is of a search: add hydra/sweeper=genkit_optuna": (2, ("-m", *VAE, "seed=1,2", "search.trials=3")),
    "search.sampler: 'annealing' is not": (2, (*M, *VAE, RATE, "search.sampler=annealing")),
    "search.trials: 0 is not": (2, (*M, *VAE, RATE, "search.trials=0")),
    "did you mean search.trials?": (2, (*M, *VAE, RATE, "search.trails=3")),
    "give it one value": (2, (*M, *VAE, RATE, "search.trials=3,4")),
    "leave it out": (2, (*M, *VAE, RATE, "++search.trial=3")),
    "optimizer.lr: -1": (2, (*M, *VAE, "optimizer.lr=choice(1e-3,-1)")),
    "cannot be compared": (2, (*M, *VAE[1:], "model=vae,autoencoder")),
    "has no val/loss then": (2, (*M, *VAE, RATE, "trainer.val_every_n_steps=9")),
    "add metric=kid": (2, (*M, *VAE, RATE, "checkpoint.monitor=quick/kid")),
    "no such storage here": (2, (*M, *VAE, RATE, "search.storage=nowhere://a/b")),
    "write journal, journal:///PATH": (2, (*M, *VAE, RATE, "search.storage=somewhere")),
    "/nowhere does not exist": (6, (*M, *VAE, RATE, "search.storage=sqlite:////nowhere/a.db")),
}


@pytest.mark.parametrize("said", REFUSALS)
def test_a_search_that_cannot_be_is_one_line_and_makes_nothing(work: Path, said: str) -> None:
    code, words = REFUSALS[said]
    assert said in refused(code, "train", *words)


def test_only_trainings_are_searched(work: Path) -> None:
    for verb in ("sample", "eval", "check"):
        assert "it searches trainings" in refused(2, verb, *M, "seed=1,2")


@pytest.mark.slow
def test_folders_and_studies_of_others_are_refused(work: Path) -> None:
    """A grid's folder, a study of another space, and what is no study."""
    own = (*SEARCH, *TINY, "search.trials=1")
    done(*own, RATE, "run_dir=S")
    said = refused(2, *own, "optimizer.lr=interval(1e-4,1e-1)", "run_dir=S")
    assert "study S: of another space: optimizer.lr had other values: name another run_dir=" in said
    assert "a search, and this is a grid" in refused(2, "train", "-m", *TINY, "seed=1,2", "run_dir=S")
    (work / "G").mkdir()
    (work / "G" / "sweep.json").write_text('{"schema": "genkit.sweep/1", "command": "", "keys": [], "jobs": []}')
    assert "a grid of values, and this is a search" in refused(2, *own, RATE, "run_dir=G")
    (work / "F").mkdir()
    (work / "F" / "study.db").write_bytes(b"no database at all" * 100)
    assert "file is not a database" in refused(6, *own, RATE, "run_dir=F")


def test_without_optuna_a_search_says_what_to_install(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'genkit-toolkit[optuna]'" in refused(2, "train", *M, *VAE, RATE)
