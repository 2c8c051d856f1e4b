"""Every family through all suites of images: it gets what it has a right to, and each "n/a" says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_cases import arguments, done, mostly_slow

SUITES = "metric=[suite/digits8,suite/mnist28,suite/natural,suite/recon,elbo,iwae]"
SMALL = ("n=260", "bootstrap=0", "floor_repeats=0", "baselines=false", "neighbours=0", "metric.ndb.bins=10")
RECONSTRUCTION = {"mse", "psnr", "ssim", "rfid"}
LIKELIHOOD, BOUND = {"bits_per_dim"}, {"elbo", "iwae"}
LACKS = {  # family -> metrics that it has no right to
    "autoencoder": LIKELIHOOD | BOUND,
    "vae": set(),
    "gan": LIKELIHOOD | BOUND | RECONSTRUCTION,
    "flow": BOUND | RECONSTRUCTION,
    "diffusion": LIKELIHOOD | BOUND | RECONSTRUCTION,
}
REASONS = (" gives no ", "its likelihood takes hundreds of evaluations")


@pytest.mark.parametrize("family", mostly_slow(LACKS, "vae", "gan"))
def test_a_family_has_the_scores_that_it_has_a_right_to(family: str, work: Path) -> None:
    short = ("trainer.max_steps=2", "checkpoint.monitor=null", "run_dir=run")
    steps = ("sampler.steps=3",) if family == "diffusion" else ()
    done(*arguments(family, *steps, *short))
    done("eval", "ckpt=run", SUITES, *SMALL, "out=out")
    records = {record["metric"]: record for record in json.loads(Path("out/results.json").read_text())["results"]}
    lacking = {name for name, record in records.items() if record["status"].startswith("n/a: ")}
    assert lacking == LACKS[family]
    assert all(any(reason in records[name]["status"] for reason in REASONS) for name in lacking)
    assert len(records) >= 20
    assert all(record["value"] is not None for name, record in records.items() if name not in lacking)
