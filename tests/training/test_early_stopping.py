"""When early stopping stops, and that a resumed run stops at the same place."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from genkit.cli import main
from genkit.training.callbacks.early_stopping import EarlyStopping
from genkit.training.options import CheckpointOptions

TINY = ["model=autoencoder", "data=toy", "backbone=mlp", "backbone.width=8", "trainer.val_every_n_steps=2"]


@pytest.mark.parametrize(
    ("mode", "values", "waited"),
    [("min", [3, 2, 2.5, 1], 0), ("min", [1, 2, 1, 1.5], 3), ("max", [1, 2, 1.9, 1.8], 2), ("max", [3], 0)],
)
def test_it_counts_validations_without_improvement(mode, values, waited):
    stopping = EarlyStopping(mode=mode)
    for value in values:
        stopping.count(value)
    assert stopping.waited == waited
    restored = EarlyStopping(mode=mode)
    restored.load_state_dict(stopping.state_dict())
    assert (restored.best, restored.waited) == (stopping.best, waited)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_of_any_values_is_the_best_finite_one(mode):
    """Also for the checkpoint called best; a value that is not finite never ends the wait for the first one."""
    for values in itertools.product([NAN, INF, -INF, 2.0, 1.0], repeat=3):
        finite = [value for value in values if math.isfinite(value)]
        expected = None if not finite else min(finite) if mode == "min" else max(finite)
        stopping, options, best = EarlyStopping(mode=mode), CheckpointOptions(mode=mode), None
        for value in values:
            stopping.count(value)
            best = value if options.better(value, best) else best
        assert stopping.best == best == expected, values
        assert stopping.waited == (len(values) - 1 - values.index(expected) if finite else 0), values


@pytest.mark.parametrize("old", [NAN, INF, None])
def test_a_best_that_is_not_finite_in_an_old_checkpoint_is_none(old):
    stopping = EarlyStopping()
    stopping.load_state_dict({"best": old, "waited": 0})
    stopping.count(3.0)
    assert stopping.best == 3.0
    assert CheckpointOptions().better(3.0, old)


def test_a_gain_below_min_delta_is_none():
    stopping = EarlyStopping(min_delta=0.5)
    for value in (3.0, 2.8, 2.6):
        stopping.count(value)
    assert (stopping.best, stopping.waited) == (3.0, 2)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_it_ends_a_run_that_no_longer_improves_and_says_so(tmp_path, capsys):
    """At once on the console, in run.json and in a last picture; a resume says it again and writes nothing more."""
    run = tmp_path / "run"
    patient = ["callbacks.early_stopping.patience=2", "callbacks.early_stopping.min_delta=1000000"]
    words = ["train", *TINY, "callbacks=early_stopping", *patient, "trainer.max_steps=40", "samples.n=4"]
    assert main([*words, f"run_dir={run}"]) == 0
    written = lines(run)
    assert written[-1]["step"] == 6  # the first validation sets the mark, two more bring nothing
    best = next(line["val/loss"] for line in written if "val/loss" in line)
    reason = f"at step 6: val/loss has not improved for 2 validations (best {best:.4g} at step 2)"
    assert f"stopped {reason}\n" in capsys.readouterr().out
    assert json.loads((run / "run.json").read_text())["stopped"] == reason
    pictures = sorted(path.name for path in (run / "samples").iterdir())
    assert pictures == ["step-00000006-reconstruction.png", "step-00000006.png"]
    assert main(["train", f"resume={run}", "trainer.max_steps=60"]) == 0
    said = capsys.readouterr().out
    assert f"stopped {reason}: that ended this run, not trainer.max_steps; ++callbacks.early_stopping.pati" in said
    assert lines(run) == written
    assert json.loads((run / "run.json").read_text())["stopped"] == reason
    further = ["++callbacks.early_stopping.patience=4", "allow=[callbacks.early_stopping.patience]"]
    assert main(["train", f"resume={run}", *further]) == 0
    assert "stopped at step 10: val/loss has not improved for 4 validations" in capsys.readouterr().out
