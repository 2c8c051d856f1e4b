"""A run that began on another machine, here on a CPU: its model samples and is scored; resuming says what differs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import QUICK, arguments, done, refused, run_json

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.write import write_checkpoint

GPU = "cuda (NVIDIA H100 80GB HBM3)"


@pytest.fixture
def copied(vae: Path, work: Path) -> Path:
    return shutil.copytree(vae, work / "run", copy_function=shutil.copyfile)


def begun_elsewhere(run: Path, dtype: torch.dtype = torch.float32, **record: object) -> None:
    """As if a GPU had trained this run up to step 4: what its files would say, and the numbers that they would hold."""
    checkpoint = open_checkpoint(run / "checkpoints" / "step-00000004")
    config, model, (tensors, training) = checkpoint.config(), checkpoint.model(), checkpoint.training()
    config["train"]["trainer"] |= {"accelerator": "gpu", "precision": "bf16-mixed"}
    for state in (model, tensors):
        state |= {name: value.to(dtype) for name, value in state.items() if value.is_floating_point()}
    shutil.rmtree(run / "checkpoints")
    write_checkpoint(
        run / "checkpoints",
        4,
        config=config,
        model=model,
        training_tensors=tensors,
        training=training,
        pointers=("latest",),
    )
    record = {**run_json(run), "status": "interrupted", "device": GPU, "precision": "bf16-mixed", **record}
    (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_of_a_gpu_is_used_on_a_cpu(copied: Path, dtype: torch.dtype) -> None:
    begun_elsewhere(copied, dtype)
    done("sample", f"ckpt={copied}", "n=4", "out=samples")
    assert np.isfinite(np.load("samples/samples.npz")["x"]).all()
    done("eval", f"ckpt={copied}", "n=20", "metric=fid", "baselines=false", "out=scores")
    done("export", f"ckpt={copied}", "out=export")
    done("verify", f"ckpt={copied}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_run_of_a_gpu_goes_on_on_a_cpu_where_that_is_accepted(copied: Path) -> None:
    begun_elsewhere(copied)
    here = "accelerator=gpu cannot be used here: No supported gpu backend found: choose trainer.accelerator=cpu"
    assert here in refused(2, "train", f"resume={copied}")
    change = "trainer.accelerator=cpu"
    assert "accept them with allow=[trainer.accelerator]" in refused(2, "train", f"resume={copied}", change)
    said = done("train", f"resume={copied}", change, "allow=[trainer.accelerator]")
    assert f"(not exact: trainer.accelerator: 'gpu' became 'cpu'; device: '{GPU}' became 'cpu')" in said
    assert (run_json(copied)["status"], run_json(copied)["device"]) == ("done", "cpu")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"device": GPU}, f"device: '{GPU}' became 'cpu'"),
        ({"threads": 4096}, "threads: 4096 became "),
        ({"versions": {"torch": "1.0"}}, "versions.torch: '1.0' became "),
    ],
)
def test_what_a_run_depends_on_besides_its_configuration(copied: Path, record: dict[str, object], said: str) -> None:
    shutil.rmtree(copied / "checkpoints" / "step-00000006")
    (copied / "latest").write_text("step-00000004\n")
    before = run_json(copied)
    versions = {**before["versions"], **record.pop("versions", {})}  # type: ignore[dict-item]
    (copied / "run.json").write_text(json.dumps({**before, **record, "versions": versions}))
    told = done("train", f"resume={copied}")
    assert "resuming at step 4 (not exact: " + said in told
    shutil.rmtree(copied / "checkpoints" / "step-00000006")
    (copied / "latest").write_text("step-00000004\n")
    assert "resuming at step 4 (exact)" in done("train", f"resume={copied}")  # the same machine as last time
    assert run_json(copied)["versions"] == before["versions"]


def test_a_replay_that_differs_says_that_the_machine_does(copied: Path) -> None:
    begun_elsewhere(copied, torch.bfloat16)  # rounded weights, as no CPU has them
    settings = json.loads((copied / "checkpoints" / "step-00000004" / "config.json").read_text())
    settings["train"]["trainer"] |= {"accelerator": "cpu", "precision": "32-true"}
    checkpoint = open_checkpoint(copied / "checkpoints" / "step-00000004")
    shutil.move(copied / "checkpoints", copied / "old")
    old = open_checkpoint(copied / "old" / checkpoint.path.name)
    write_checkpoint(copied / "checkpoints", 4, config=settings, model=old.model())
    shutil.rmtree(copied / "old")
    said = refused(4, "verify", f"ckpt={copied}", "replay=20")
    assert f"it was trained under other conditions: device: '{GPU}' became 'cpu'" in said


def test_an_augmentation_that_drew_otherwise_is_no_damage(copied: Path, work: Path) -> None:
    """Of an earlier version, whose runs did not note how they drew; without augmentation nothing was drawn."""
    moved, quick = work / "moved", ("trainer.max_steps=4", "checkpoint.every_n_steps=2", "lr_schedule=constant")
    done(*arguments("autoencoder", "data.shift=1", *quick, f"run_dir={moved}"))
    for run in (moved, copied):
        record = run_json(run)
        assert record.pop("views") == record["history"][0].pop("views")
        os.chmod(run / "run.json", 0o644)
        (run / "run.json").write_text(json.dumps(record))
    why = "the augmentation's random stream changed in genkit since"
    assert f"steps 3 to 4 cannot be replayed: {why}" in refused(2, "verify", f"ckpt={moved}", "replay=2")
    assert "bit-identical" in done("verify", f"ckpt={copied}", "replay=2")
    assert f"resuming at step 4 (not exact: {why})" in done("train", f"resume={moved}", "trainer.max_steps=6")
    assert "bit-identical: steps 5 to 6" in done("verify", f"ckpt={moved}", "replay=4")  # as they are drawn now
    assert "resuming at step 6 (exact)" in done("train", f"resume={moved}", "trainer.max_steps=8")


@pytest.mark.slow
def test_a_run_of_a_time_when_models_had_flags_and_validations_drew_by_batch(work: Path) -> None:
    """Its weights are replayed and go on; that its validation losses differ is said, and is no damage."""
    run = work / "flagged"
    quick = ("trainer.max_steps=4", "trainer.val_every_n_steps=2", "checkpoint.every_n_steps=2", "lr_schedule=constant")
    done("train", "model=vq_vae", *QUICK, *quick, f"run_dir={run}")
    flag, steps = {"quantizer.initialised": torch.tensor(True)}, run / "checkpoints"
    for step in (2, 4):
        old = open_checkpoint(steps / f"step-{step:08}")
        config, model, (tensors, training) = old.config(), old.model() | flag, old.training()
        if any(name.startswith("raw.") for name in tensors):
            tensors |= {f"raw.{name}": value for name, value in flag.items()}
        shutil.rmtree(steps / f"step-{step:08}")
        write_checkpoint(steps, step, config=config, model=model, training_tensors=tensors, training=training)
    (run / "latest").write_text("step-00000004\n")
    record = run_json(run)
    assert record.pop("noise") == record["history"][0].pop("noise")
    os.chmod(run / "run.json", 0o644)
    (run / "run.json").write_text(json.dumps(record))
    done("sample", f"ckpt={run}", "n=4", "out=flagged_samples")
    assert "bit-identical" in done("verify", f"ckpt={run}", "replay=2")  # the flag is none of the weights
    why = "noise: a validation's was drawn by batch and is drawn by example, so its losses change"
    assert f"resuming at step 4 (not exact: {why})" in done("train", f"resume={run}", "trainer.max_steps=6")
    assert "resuming at step 6 (exact)" in done("train", f"resume={run}", "trainer.max_steps=8")
