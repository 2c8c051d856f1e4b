"""Short trainings on the digits log how many latents are used: most of them by default, none under a huge β."""

import json
from pathlib import Path

import pytest

from genkit.cli import main

QUICK = ["backbone=mlp", "trainer.max_steps=300", "trainer.val_every_n_steps=300", "samples.every_n_steps=0"]


def active_units(run: Path, *words: str) -> float:
    assert main(["train", "data=digits", *QUICK, *words, f"run_dir={run}"]) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["val/active_units"] for line in lines if "val/active_units" in line][-1]


@pytest.mark.slow
def test_a_huge_beta_uses_no_latent_and_the_bound_uses_several(tmp_path: Path) -> None:
    assert active_units(tmp_path / "vae", "model=vae") >= 5
    assert active_units(tmp_path / "beta", "model=beta_vae", "model.objective.beta=100") == 0
