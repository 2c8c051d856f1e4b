"""The lines at the end of a training name the checkpoint that its validations speak for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from genkit.assembly.closing_lines import close_training


@pytest.mark.parametrize(("best", "suggested"), [(None, "run"), (1000, "run"), (600, "run"), (500, "run/best")])
def test_a_best_checkpoint_of_the_first_half_is_what_is_sampled(best: int | None, suggested: str, tmp_path: Path):
    run = tmp_path / "run"
    for step in (500, 600, 1000):
        (run / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    (run / "latest").write_text("step-00001000\n")
    if best is not None:
        (run / "best").write_text(f"step-{best:08d}\n")
    said = io.StringIO()
    close_training(Console(file=said), run, [])
    assert f"genkit sample ckpt={tmp_path}/{suggested}\n" in said.getvalue()
    assert ("no validation since step 500" in said.getvalue()) == (suggested != "run")
