"""Whatever only shows something may fail: the run ends as it would have, with the same checkpoints, and says why."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from training_cases import Mean, Points, module_of, new, run_in

from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import step_folders
from genkit.training.aside import Aside
from genkit.training.callbacks import progress
from genkit.training.callbacks import sample_grids as pictures
from genkit.training.callbacks.quick_scores import Quick, QuickScores
from genkit.training.options import QuickOptions
from genkit.training.signals import StopNow


def broken(*args: object, **more: object) -> None:
    raise ValueError("no such colour")


BREAKAGES = {
    "the picture": (pictures, "draw"),
    "the samples": (pictures, "stream_samples"),
    "the variety": (pictures.VarietyWatch, "__call__"),
    "the progress": (progress.ProgressRow, "plain"),
}


def plan(folder: Path) -> str:
    return run_in(folder, module_of(new(Mean)), every=4, pictures=3, val_every_n_steps=5)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    plan(folder)
    return folder


@pytest.mark.parametrize("case", BREAKAGES)
def test_what_cannot_be_shown_costs_no_checkpoint(
    case: str, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*BREAKAGES[case], broken)
    said = plan(tmp_path / "run")
    assert said.count("warning: step") == 1  # the same reason is said once
    assert "ValueError: no such colour" in said
    found, other = (step_folders(folder) for folder in (tmp_path / "run", unbroken))
    assert [folder.name for folder in found] == [folder.name for folder in other]
    weights = [find_checkpoint(folders[0]).tensors("model.safetensors") for folders in (found, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_lost_terminal_ends_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: Console, *args: object, **more: object) -> None:
        raise OSError("the terminal is gone")

    monkeypatch.setattr(Console, "print", lost)
    plan(tmp_path / "run")
    assert find_checkpoint(tmp_path / "run").step == 12


def test_scores_that_cannot_be_taken_cost_no_checkpoint_and_are_no_terms(tmp_path: Path) -> None:
    class Evaluator:
        metrics = ("fid",)

        def compute_on(self, device: torch.device) -> None:
            pass

        def score_model(self, *args: object, **more: object) -> None:
            raise RuntimeError("out of memory")

    text = io.StringIO()
    scores = QuickScores(Quick(Evaluator(), QuickOptions(n=4)), Points(), Console(file=text, width=200))  # type: ignore[arg-type]
    module = module_of(new(Mean))
    run_in(tmp_path / "run", module, scores, val_every_n_steps=5)
    assert text.getvalue().splitlines() == ["warning: step 5: no quick scores: RuntimeError: out of memory"]
    assert find_checkpoint(tmp_path / "run").step == 12
    assert not [name for name in module.validated if name.startswith("quick/")]


def test_a_wish_to_end_passes_and_every_reason_is_said_once() -> None:
    text = io.StringIO()
    aside = Aside(Console(file=text, width=200), "picture")
    for reason in ("a", "b", "a"):
        with aside(7):
            raise RuntimeError(reason)
    assert text.getvalue().splitlines() == [f"warning: step 7: no picture: RuntimeError: {reason}" for reason in "ab"]
    for ending in (KeyboardInterrupt, SystemExit, StopNow):
        with pytest.raises(ending), aside(8):
            raise ending
