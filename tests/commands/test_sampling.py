"""`genkit sample`: the samples depend on (seed, i) and the checkpoint alone; what is written beside them is true."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import digest, done, refused

import genkit as package
from genkit.commands import sample as command
from genkit.noise import SampleNoise


def sample(run: Path, out: str, *more: str) -> dict[str, np.ndarray]:
    done("sample", f"ckpt={run}", f"out={out}", *more)
    with np.load(Path(out) / "samples.npz") as file:
        return dict(file)


def test_what_is_written(diffusion: Path, work: Path) -> None:
    arrays = sample(diffusion, "a", "n=12")
    assert sorted(path.name for path in (work / "a").iterdir()) == ["grid.png", "samples.json", "samples.npz"]
    assert (arrays["x"].shape, arrays["x"].dtype) == ((12, 8, 8, 1), np.uint8)
    assert arrays["x"].max() <= 16
    assert arrays["y"].tolist() == [*range(10), 0, 1]
    facts = json.loads((work / "a" / "samples.json").read_text())
    weights = diffusion / "checkpoints" / "step-00000004" / "model.safetensors"
    assert facts["schema"] == "genkit.samples/1"
    assert facts["command"] == f"genkit sample ckpt={diffusion} out=a n=12"
    assert facts["model"] == {
        "ckpt": str(weights.parent),
        "ckpt_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "step": 4,
        "pointer": "latest",
        "weights": "ema",
    }
    assert (facts["n"], facts["seed"], facts["y"]) == (12, 0, None)


def test_points_come_with_a_scatter_plot(flow: Path, work: Path) -> None:
    arrays = sample(flow, "a", "n=7")
    assert (arrays["x"].shape, arrays["x"].dtype) == ((7, 2), np.float32)
    assert (work / "a" / "scatter.png").stat().st_size > 0


def test_the_picture_is_of_the_first_samples(diffusion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    monkeypatch.setattr(command, "PICTURED", 6)
    monkeypatch.setattr(command, "draw", lambda path, x, spec, **options: drawn.append(spec.unscale(x)))
    arrays = sample(diffusion, "a", "n=11", "batch_size=4")
    (shown,) = drawn
    assert np.array_equal(shown.movedim(1, -1).numpy(), arrays["x"][:6])


def test_twice_is_the_same_and_another_seed_another(diffusion: Path) -> None:
    first, again, other = (sample(diffusion, *words) for words in (("a",), ("b",), ("c", "seed=1")))
    assert first["x"].tobytes() == again["x"].tobytes()
    assert (first["x"] != other["x"]).any()
    assert len(first["x"]) == 64


def test_the_best_is_named_by_its_pointer(diffusion: Path, work: Path) -> None:
    """Everywhere a checkpoint is named; the files say which one it was."""
    best = diffusion / "checkpoints" / (diffusion / "best").read_text().strip()
    assert best.name != (diffusion / "latest").read_text().strip()
    named, pointed = sample(diffusion / "checkpoints" / "step-3", "a"), sample(diffusion / "best", "b")
    assert named["x"].tobytes() == pointed["x"].tobytes()
    facts = json.loads((work / "b" / "samples.json").read_text())["model"]
    assert (facts["ckpt"], facts["step"], facts["pointer"]) == (str(best), 3, "best")
    loaded = package.load(diffusion / "best").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in package.load(best).state_dict().items())
    guided = sample(diffusion / "latest", "c", f"guidance.weak={diffusion}/best", "guidance.scale=2")
    assert (guided["x"] != pointed["x"]).any()
    for name in ("best", "latest"):
        assert done("verify", diffusion / name).count("intact: ") == 1
    done("export", f"ckpt={diffusion}/best", "out=e")
    assert (work / "e" / "model.safetensors").read_bytes() == (best / "model.safetensors").read_bytes()


def test_batch_size_and_n_change_no_sample(flow: Path) -> None:
    whole = sample(flow, "whole", "n=64", "batch_size=64")["x"]
    for out, more in {"ones": ("n=64", "batch_size=1"), "sevens": ("n=64", "batch_size=7"), "few": ("n=9",)}.items():
        x = sample(flow, out, *more)["x"]
        np.testing.assert_allclose(x, whole[: len(x)], rtol=0, atol=1e-5)


def test_one_label_for_all(diffusion: Path) -> None:
    assert sample(diffusion, "a", "n=5", "y=3")["y"].tolist() == [3] * 5


CHANGES: dict[str, tuple[str, ...]] = {
    "raw weights": ("weights=raw",),
    "more steps": ("sampler.steps=7",),
    "another sampler": ("sampler=euler", "sampler.steps=4"),
    "a sampler with noise": ("sampler=dpm_solver_sde", "sampler.steps=3"),
    "guidance": ("guidance.scale=8",),
    "guidance at some levels": ("guidance.scale=8", "guidance.interval=[0.1,20]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_the_checkpoints_settings_change_the_samples(diffusion: Path, work: Path, change: str) -> None:
    before, after = sample(diffusion, "a", "n=32"), sample(diffusion, "b", "n=32", *CHANGES[change])
    assert (before["x"] != after["x"]).any()
    facts = json.loads((work / "b" / "samples.json").read_text())
    assert (facts["model"]["weights"] == "raw") == (change == "raw weights")
    assert (facts["guidance"]["scale"] == 8) == change.startswith("guidance")
    expected = {"more steps": 13, "another sampler": 4, "a sampler with noise": 3, "guidance": 14, "raw weights": 7}
    assert facts["evaluations"] == expected.get(change, facts["evaluations"])
    assert 7 <= facts["evaluations"] < 14 or change in expected


def test_a_weaker_checkpoint_guides(diffusion: Path, work: Path) -> None:
    weak = min((diffusion / "checkpoints").iterdir())
    alone = sample(diffusion, "alone", "n=32")
    one, two = (sample(diffusion, f"{w}", "n=32", f"guidance.weak={weak}", f"guidance.scale={w}") for w in (1, 9))
    assert (one["x"] == alone["x"]).all()
    assert (two["x"] != alone["x"]).any()
    facts = json.loads((work / "9" / "samples.json").read_text())
    sha = hashlib.sha256((weak / "model.safetensors").read_bytes()).hexdigest()
    origin = {"ckpt": str(weak), "ckpt_sha256": sha, "step": int(weak.name[-8:]), "pointer": None}
    assert facts["model"]["weak"] == origin
    assert facts["evaluations"] == 14


def test_the_checkpoints_own_settings_change_nothing(diffusion: Path) -> None:
    before, after = (
        sample(diffusion, "a"),
        sample(diffusion, "b", "sampler=heun", "sampler.steps=4", "guidance.scale=1"),
    )
    assert (before["x"] == after["x"]).all()


def test_temperature_scales_the_noise(flow: Path) -> None:
    narrow, wide = (sample(flow, out, f"temperature={t}")["x"] for out, t in (("a", 0.1), ("b", 1)))
    assert narrow.std() < 0.5 * wide.std()


def test_python_gives_the_same_model(diffusion: Path, vae: Path) -> None:
    x = sample(diffusion, "a", "n=6", "y=2")["x"]
    for path in (diffusion, diffusion / "checkpoints" / "step-00000004"):
        model = package.load(path)
        assert not model.training
        drawn = model.sample(6, y=torch.full((6,), 2), noise=SampleNoise(0, range(6)))
        assert (model.spec.unscale(drawn).movedim(1, -1).numpy() == x).all()
    raw, ema = package.load(vae, weights="raw").state_dict(), package.load(vae).state_dict()
    assert any((raw[name] != ema[name]).any() for name in raw)


def test_without_out_it_goes_into_a_stamped_folder(vae: Path, work: Path) -> None:
    said = done("sample", f"ckpt={vae}", "n=2")
    (folder,) = (work / "outputs" / "sample").iterdir()
    assert folder.name.endswith("-vae-digits")
    assert str(folder) in said


def test_a_taken_folder_is_refused_and_kept(vae: Path, work: Path) -> None:
    (work / "out").mkdir()
    sample(vae, "out", "n=2")
    for verb in ("sample", "eval"):
        assert "a new or empty folder for out=" in refused(2, verb, f"ckpt={vae}", "out=out")


def test_an_export_samples_the_same(diffusion: Path, work: Path) -> None:
    assert done("export", f"ckpt={diffusion}", "out=shared").strip() == str(work / "shared")
    assert sorted(digest(work / "shared")) == ["config.json", "manifest.json", "model.safetensors"]
    assert (sample(work / "shared", "a")["x"] == sample(diffusion, "b")["x"]).all()
    assert "in use" in refused(2, "export", f"ckpt={diffusion}", "out=shared")
    assert "an export has no training state" not in done("verify", "ckpt=shared")
    assert refused(4, "train", "resume=shared")


def test_verify_looks_at_every_checkpoint(diffusion: Path, work: Path) -> None:
    said = done("verify", f"ckpt={diffusion}").splitlines()
    assert len(said) == 2
    assert all(line.startswith("intact: ") for line in said)
    done("export", f"ckpt={diffusion}", "out=shared")
    file = work / "shared" / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "shared/model.safetensors: damaged" in refused(4, "verify", "ckpt=shared")
    assert "shared/model.safetensors: damaged" in refused(4, "sample", "ckpt=shared")


def test_no_lightning_is_imported(vae: Path) -> None:
    """By sampling, and by scoring after it: one process for both."""
    sample = ["sample", f"ckpt={vae}", "n=2"]
    score = ["eval", f"ckpt={vae}", "n=2", "metric=mse", "bootstrap=0"]
    code = f"""
import sys
from genkit.cli import main
code = main({sample}) or main({score})
print(code, sorted(name for name in sys.modules if name.partition(".")[0] in ("lightning", "pytorch_lightning")))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert answer.stdout.splitlines()[-1] == "0 []", answer.stderr
