"""The promise: a run that was killed ends, resumed, bit for bit where the uninterrupted one would have."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from command_cases import TOY, Child, arguments, digest, lines, run_json

STEPS, KILLED, KEPT = 200, 90, 80
PLAN = (
    "checkpoint.every_n_steps=40",
    "checkpoint.keep=9",
    "trainer.val_every_n_steps=60",
    f"trainer.max_steps={STEPS}",
)

# Micro-batches in an epoch: 798 // 32 = 24 of digits, 25 of the toy; 80 and 90 steps are the middle of one.
QUICK = [("flow", 2, TOY)]  # the others are not quick
# Spectral norms are buffers that training moves; pictures also say in metrics.jsonl how varied the samples are.
SPECTRAL = ("model.spectral_discriminator=true", "model.spectral_generator=true", "samples.every_n_steps=50")
SLOW = [("vae", 1, ()), ("vae", 2, ()), ("flow", 1, TOY), ("flow", 2, ())]
SLOW += [(family, accumulate, ()) for family in ("gan", "diffusion", "autoencoder") for accumulate in (1, 2)]
SLOW += [("flow", 1, ()), ("gan", 1, SPECTRAL), ("pcd_ebm", 2, TOY), ("jem", 1, ())]  # with buffers of chains

SLOW += [("pix2pix", 1, ()), ("image_diffusion", 2, ()), ("cycle_gan", 1, ()), ("inpainting_diffusion", 2, ())]


@pytest.mark.parametrize(
    ("family", "accumulate", "data"),
    [pytest.param(*case, marks=marks) for cases, marks in ((QUICK, ()), (SLOW, pytest.mark.slow)) for case in cases],
    ids=lambda value: {TOY: "toy", (): "digits", SPECTRAL: "spectral"}[value] if isinstance(value, tuple) else None,
)
def test_killed_and_resumed_elsewhere_is_the_same_to_the_last_bit(
    tmp_path: Path, family: str, accumulate: int, data: tuple[str, ...]
) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    command = arguments(family, *data, *PLAN, f"trainer.accumulate={accumulate}")
    whole = Child([*command, f"run_dir={straight}"], here, tmp_path / "straight.log")
    part = Child([*command, "run_dir=../killed"], here, tmp_path / "killed.log", {KILLED: [signal.SIGKILL]})
    assert whole.wait().code == 0, whole.log.read_text()
    assert part.wait().code == -signal.SIGKILL, part.log.read_text()
    assert run_json(killed)["status"] == "running"
    assert max(line["step"] for line in lines(killed)) > KEPT  # there is something to cut off
    done = Child(["train", "resume=../killed"], elsewhere, tmp_path / "resumed.log").wait()
    assert done.code == 0, done.said
    assert f"resuming at step {KEPT} (exact)" in done.said
    assert (killed / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()
    assert digest(killed / "checkpoints") == digest(straight / "checkpoints")
    assert (run_json(killed)["status"], run_json(killed)["exit_code"]) == ("done", 0)
    assert not any(elsewhere.iterdir())
