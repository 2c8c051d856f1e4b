"""The experiments reach what they promise, through the command line: short real trainings, about a minute each."""

import json
from pathlib import Path

import pytest

from genkit.cli import main
from genkit.commands.list import promised
from genkit.config.build import build
from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.words import Words
from genkit.data.dataset import Dataset
from genkit.models.base import GenerativeModel

PROMISES = {  # experiment -> metric -> (least, greatest); margins of several seeds' spread; the floor of fid is 0.143
    "toy_flow": {"log_likelihood_gap": (-0.02, 0.05), "high_quality": (0.9, 1.0)},
    "language_gpt": {"log_likelihood_gap": (-0.02, 0.1)},  # of 17 tokens at most
    "pydoc_gpt": {"bits_per_byte": (1.65, 1.87)},  # the best n-gram has 1.92
    "language_lstm": {"log_likelihood_gap": (-0.02, 0.1)},
    "toy_diffusion": {"mode_coverage": (8, 8), "high_quality": (0.9, 1.0)},
    "toy_drifting": {"mode_coverage": (8, 8), "high_quality": (0.85, 1.0)},
    "toy_r3gan": {"mode_coverage": (8, 8), "high_quality": (0.9, 1.0)},
    "toy_wgan_gp": {"mode_coverage": (8, 8), "high_quality": (0.9, 1.0)},
    "digits_r3gan": {"fid": (0.0, 1.3), "coverage": (0.75, 1.0), "precision": (0.8, 1.0)},
    "digits_sngan": {"fid": (0.0, 1.3), "coverage": (0.7, 1.0), "precision": (0.75, 1.0)},
    "digits_drifting": {"fid": (0.0, 0.71), "coverage": (0.85, 1.0), "precision": (0.8, 1.0)},
    "digits_diffusion": {"fid": (0.0, 0.71), "coverage": (0.8, 1.0), "precision": (0.7, 1.0)},
    "digits_vae": {"fid": (0.0, 1.2), "coverage": (0.85, 1.0), "precision": (0.8, 1.0)},
    "digits_flow": {"fid": (0.0, 0.9), "coverage": (0.8, 1.0), "bits_per_dim": (1.8, 1.98)},
    "digits_pixel_cnn": {"bits_per_dim": (1.7, 1.9)},
    "digits_vq_vae": {"fid": (0.0, 1.2), "coverage": (0.8, 1.0), "precision": (0.75, 1.0)},
}


WITHOUT_FILES = [
    name for name in Catalog.of(Words()).options("experiment") if not name.startswith(("mnist_", "cifar10_"))
]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", WITHOUT_FILES)
def test_an_experiment_has_the_parameters_that_it_states(experiment: str) -> None:
    config = composed("train", [f"experiment={experiment}", "--resolve"])
    node = {key: value for key, value in config["data"].items() if key != "root"}
    spec = build(node, at="data", expect=Dataset).spec
    model = build(config["model"], at="model", expect=GenerativeModel, spec=spec)
    stated = promised(Catalog.of(Words()).options("experiment")[experiment])
    assert f" {sum(p.numel() for p in model.parameters()):,} parameters: " in stated


@pytest.mark.slow
@pytest.mark.parametrize("experiment", PROMISES)
def test_an_experiment_reaches_its_scores(experiment: str, tmp_path: Path) -> None:
    run, scores = tmp_path / "run", tmp_path / "scores"
    assert main(["train", f"experiment={experiment}", f"run_dir={run}", "samples.every_n_steps=0"]) == 0
    assert (
        main(["eval", f"ckpt={run}", f"out={scores}", f"metric=[{','.join(PROMISES[experiment])}]", "bootstrap=0"]) == 0
    )
    results = json.loads((scores / "results.json").read_text())["results"]
    records = {record["metric"]: record for record in reversed(results)}  # the model's own, not a baseline's
    for name, (least, greatest) in PROMISES[experiment].items():
        assert least <= records[name]["value"] <= greatest, (name, records[name]["value"])
