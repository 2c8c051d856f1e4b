"""A run whose classes have moved since is used as if they had not: sampled, scored, verified, resumed, found."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from moved_run import move_back

from genkit.assembly.training_cost import configuration_hash
from genkit.checkpoint.read import find_checkpoint
from genkit.cli import main
from genkit.config import names

BEFORE = {
    "genkit.models.vae.vae.VAE": "genkit.models.before.Variational",
    "genkit.nn.mlp.MLP": "genkit.nets.Perceptron",
    "genkit.data.sources.toy.Toy": "genkit.toys.Toy",
    "genkit.training.options.TrainerOptions": "genkit.options.TrainerOptions",
}
BETWEEN = "genkit.models.between.Variational"  # the model moved twice
TRAIN = (
    *("train", "-m", "model=vae", "model.latent_dim=2", "backbone=mlp", "backbone.width=8", "backbone.depth=1"),
    *("data=toy", "data.n_train=200", "data.eval_n=60", "trainer=cpu", "trainer.max_steps=3"),
    *("data.batch_size=16", "samples.every_n_steps=0", "seed=1,2"),
)


def printed(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """What a command says that ends well."""
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def model_hash(folder: Path) -> str:
    return str(json.loads((folder / "results.json").read_text())["results"][0]["model"]["config"])


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The table of moves, empty until the test fills it."""
    table: dict[str, str] = {}
    monkeypatch.setattr(names, "MOVED", table)
    return table


@pytest.mark.slow
def test_an_old_run_is_used_as_a_new_one(
    tmp_path: Path, rows: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed(capsys, *TRAIN, "run_dir=sweep", "hydra/launcher=basic")
    first, second = sorted(path for path in Path("sweep").iterdir() if path.is_dir() and path.name != "logs")
    printed(capsys, "sample", f"ckpt={first}", "n=8", "out=now", "device=cpu")
    for run in (first, second):
        move_back(run, BEFORE)
    scored_then = configuration_hash(find_checkpoint(first).config())
    assert main(["sample", f"ckpt={first}", "n=8", "out=refused"]) == 4
    assert "genkit.models.before is no module" in capsys.readouterr().err

    rows |= {old: new for new, old in BEFORE.items()}
    model, old = "genkit.models.vae.vae.VAE", BEFORE["genkit.models.vae.vae.VAE"]
    rows |= {old: BETWEEN, BETWEEN: model}
    assert "intact" in printed(capsys, "verify", f"ckpt={first}")
    assert "bit-identical" in printed(capsys, "verify", f"ckpt={first}", "replay=3")
    printed(capsys, "sample", f"ckpt={first}", "n=8", "out=then", "device=cpu")
    assert np.array_equal(np.load("now/samples.npz")["x"], np.load("then/samples.npz")["x"])
    scored = ("metric=coverage", "floor_repeats=0", "bootstrap=0", "baselines=false", "neighbours=0")
    printed(capsys, "eval", f"ckpt={first}", "n=60", *scored, "device=cpu", "out=again")
    assert model_hash(Path("again")) == scored_then

    again = printed(capsys, *TRAIN, "run_dir=sweep", "hydra/launcher=basic")
    assert again.count("  skipped  ") == 2
    longer = printed(capsys, *TRAIN, "run_dir=sweep", "hydra/launcher=basic", "trainer.max_steps=5")
    assert longer.count("resuming at step 3 (not exact: horizon changed)") == 2
    typed = f"model._target_={old}"
    assert "(not exact: horizon changed)" in printed(
        capsys, "train", f"resume={first}", *TRAIN[2:-1], "trainer.max_steps=6", typed
    )
    info = json.loads((first / "run.json").read_text())
    assert not [key for each in info["history"] for key in each["changed"] if "_target_" in key]
    assert "_target_: genkit.models.before" not in (first / "config.yaml").read_text()


def test_a_file_of_the_users_may_name_a_class_by_its_earlier_path(
    tmp_path: Path, rows: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows["genkit.nets.Perceptron"] = "genkit.nn.mlp.MLP"
    (tmp_path / "own" / "backbone").mkdir(parents=True)
    (tmp_path / "own" / "backbone" / "mine.yaml").write_text("_target_: genkit.nets.Perceptron\nwidth: 8\ndepth: 1\n")
    words = (*TRAIN[:1], *TRAIN[2:4], "backbone=mine", *TRAIN[7:-1], "--config-dir", "own", "run_dir=run")
    printed(capsys, *words)
    assert "genkit.nets" not in (tmp_path / "run" / "config.yaml").read_text()
