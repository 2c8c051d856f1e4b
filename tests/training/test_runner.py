"""A run in its folder: what is written and when, and what a diverging loss leaves behind."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from rich.console import Console
from training_cases import Mean, Points, TinyGAN, averaged, module_of, new, run_in

from genkit.checkpoint.read import find_checkpoint, open_checkpoint
from genkit.checkpoint.retention import pointed, step_folders
from genkit.errors import ConfigError, NumericalError
from genkit.training.callbacks.checkpoint_writer import CheckpointWriter
from genkit.training.callbacks.metrics_writer import MetricsWriter
from genkit.training.callbacks.sample_grids import SampleGrids
from genkit.training.ema import EMA
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.runner import make_trainer
from genkit.training.signals import StopNow, StopSignal


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("term", ["loss", "square"])
def test_a_loss_that_is_not_finite_names_step_and_term_and_leaves_the_checkpoints(tmp_path: Path, term: str) -> None:
    with pytest.raises(
        NumericalError, match=rf"^step 7: train/{term} is not finite[^\n]*trainer.gradient_clip"
    ) as stop:
        run_in(tmp_path, module_of(new(Mean, 7, term)), every=3)
    assert stop.value.exit_code == 5
    assert names(tmp_path / "checkpoints") == ["step-00000003", "step-00000006"]
    assert find_checkpoint(tmp_path).step == 6


class Exploding(Mean):
    """Its loss is finite and its gradient is not, as at the square root of 0."""

    def losses(self, batch: Any, phase: str) -> Any:
        return {"loss": ((self.mean + 1) * (0.0 if self.step == 5 else 1.0)).abs().sqrt().sum()}


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_have_it(tmp_path: Path, clip: float) -> None:
    with pytest.raises(NumericalError, match=r"^step 5: the gradient of mean is not finite, [^\n]*optimizer.lr"):
        run_in(tmp_path, module_of(new(Exploding), max_steps=6), every=2, gradient_clip=clip)
    assert names(tmp_path / "checkpoints") == ["step-00000002", "step-00000004"]


class Overflowing(Mean):
    """Everything is finite but what the last step makes of the weights."""

    def losses(self, batch: Any, phase: str) -> Any:
        return {"loss": (4.0 if self.step == 5 else 0.0) * self.mean.sum()}


def test_weights_that_are_not_finite_are_never_stored(tmp_path: Path) -> None:
    module = module_of(
        new(Overflowing), max_steps=6, optimizer=lambda groups: torch.optim.SGD(groups, lr=1e38, foreach=False)
    )
    with pytest.raises(NumericalError, match=r"^step 6: the weight mean is not finite"):
        run_in(tmp_path, module, every=2, gradient_clip=0.0)
    assert names(tmp_path / "checkpoints") == ["step-00000002", "step-00000004"]


def test_what_a_run_writes(tmp_path: Path) -> None:
    module = module_of(new(Mean), ema=averaged(), max_steps=11)
    said = run_in(tmp_path, module, every=4, pictures=5, val_every_n_steps=6, log_every_n_steps=2)
    assert names(tmp_path) == ["best", "checkpoints", "latest", "metrics.jsonl", "samples"]
    assert names(tmp_path / "samples") == [f"step-{step:08d}.png" for step in (5, 10, 11)]
    # every four steps, after each better validation, at the end; the best one and the newest two are kept
    assert [folder.name for folder in step_folders(tmp_path)] == ["step-00000011", "step-00000008", "step-00000006"]
    assert pointed(tmp_path, "latest") == "step-00000011"
    assert pointed(tmp_path, "best") == "step-00000006"
    watched = [line for line in lines_of(tmp_path) if "samples/duplicates" in line]
    assert [line["step"] for line in watched] == [5, 10, 11]
    assert "samples at step 11: duplicates" in said
    lines = [line for line in lines_of(tmp_path) if line not in watched]
    assert [line["step"] for line in lines] == [2, 4, 6, 6, 8, 10, 11]  # every two steps, and the last one
    assert [("val/loss" in line) for line in lines] == [False, False, False, True, False, False, False]
    assert lines[0].keys() == {"step", "train/loss", "train/square", "lr/model"}
    assert "mean on points: 2 parameters on cpu" in said
    assert "first step" in said
    assert "ms a step" in said


def test_terms_of_several_phases_are_told_apart(tmp_path: Path) -> None:
    said = run_in(tmp_path, module_of(new(TinyGAN), max_steps=4), log_every_n_steps=1)
    first, second, *_ = lines_of(tmp_path)
    rates = {"lr/discriminator", "lr/generator"}
    assert first.keys() == {"step", "train/discriminator/loss", "train/discriminator/real"} | rates
    assert second.keys() == first.keys() | {"train/generator/loss"}
    assert "discriminator 33, generator 50" in said


def test_with_accumulation_steps_are_optimizer_steps(tmp_path: Path) -> None:
    module = module_of(new(Mean), accumulate=3, max_steps=6)
    run_in(tmp_path, module, every=2, pictures=4, val_every_n_steps=3, log_every_n_steps=1)
    assert module.micro_batch == 18
    assert [line["step"] for line in lines_of(tmp_path) if "val/loss" in line] == [3, 6]
    assert [line["step"] for line in lines_of(tmp_path) if "train/loss" in line] == [1, 2, 3, 4, 5, 6]
    assert names(tmp_path / "samples") == ["step-00000004.png", "step-00000006.png"]


def test_the_stored_weights_are_the_averaged_ones_and_the_live_ones_stand_beside(tmp_path: Path) -> None:
    module = module_of(new(Mean), ema=averaged(), max_steps=5)
    run_in(tmp_path, module)
    assert module.averaged is not None
    checkpoint = open_checkpoint(tmp_path / "checkpoints" / "step-00000005")
    assert torch.equal(checkpoint.model()["mean"], module.averaged.state_dict()["mean"])
    tensors, _ = checkpoint.training()
    assert torch.equal(tensors["raw.mean"], module.model.state_dict()["mean"])
    assert not torch.equal(tensors["raw.mean"], checkpoint.model()["mean"])


def test_without_an_average_the_weights_are_stored_once(tmp_path: Path) -> None:
    module = module_of(new(Mean), max_steps=5)
    run_in(tmp_path, module)
    checkpoint = open_checkpoint(tmp_path / "checkpoints" / "step-00000005")
    assert torch.equal(checkpoint.model()["mean"], module.model.state_dict()["mean"])
    assert not any(name.startswith("raw.") for name in checkpoint.training()[0])


class Signalling(Mean):
    """Sends its own process a signal in the middle of a step."""

    def losses(self, batch: Any, phase: str) -> Any:
        if self.training and self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().losses(batch, phase)


@pytest.fixture
def stop() -> Any:
    """Takes both signals over, as the command does, and gives them back."""
    stop = StopSignal()
    stop.install()
    yield stop
    stop.restore()


def test_a_signal_ends_at_the_step_boundary_with_a_checkpoint_and_no_picture(tmp_path: Path, stop: StopSignal) -> None:
    before = signal.getsignal(signal.SIGTERM)
    module = module_of(new(Signalling), accumulate=2)
    run_in(tmp_path, module, pictures=100)
    assert [folder.name for folder in step_folders(tmp_path)] == ["step-00000004"]
    assert module.micro_batch == 8
    assert not (tmp_path / "samples").exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_first_signal_is_remembered_and_a_second_sigint_is_immediate(stop: StopSignal) -> None:
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert (stop.received, stop.exit_code) == (signal.SIGTERM, 143)
    with pytest.raises(StopNow):
        signal.raise_signal(signal.SIGINT)
    assert stop.exit_code == 143


def test_handlers_are_given_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    stop = StopSignal()
    stop.install()
    stop.install()
    assert [signal.getsignal(number) for number in numbers] != before
    stop.restore()
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("first", [True, False])
def test_of_several_processes_the_first_alone_draws_and_writes(first: bool, tmp_path: Path) -> None:
    console, metrics = Console(file=io.StringIO()), MetricsWriter(tmp_path / "metrics.jsonl", 1)
    grids = SampleGrids(tmp_path / "samples", "mean", SampleGridOptions(n=4), Points(), console, metrics)
    trainer: Any = SimpleNamespace(global_step=3, is_global_zero=first, loggers=[])
    grids.draw(trainer, module_of(new(Mean)))
    metrics.write(trainer, {"loss": 1.0})
    assert {path.name for path in tmp_path.iterdir()} == ({"samples", "metrics.jsonl"} if first else set())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_here_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^trainer: accelerator=gpu cannot be used here[^\n]*$"):
        make_trainer(TrainerOptions(accelerator="gpu"), logger=False)


@pytest.mark.parametrize(
    ("mode", "score", "best", "better"),
    [
        ("min", 1.0, None, True),
        ("min", 1.0, 2.0, True),
        ("min", 2.0, 2.0, False),
        ("max", 3.0, 2.0, True),
        ("max", 1.0, 2.0, False),
        ("min", float("nan"), None, False),
        ("max", float("nan"), 1.0, False),
    ],
)
def test_what_is_better(mode: Any, score: float, best: float | None, better: bool) -> None:
    assert CheckpointOptions(mode=mode).better(score, best) == better


@pytest.mark.parametrize(
    ("stored", "best"),
    [
        ({"best": 2.0, "monitor": "val/loss", "mode": "min"}, 2.0),
        ({"best": 2.0}, 2.0),  # of a time when there was one monitor
        ({"best": 2.0, "monitor": "quick/fid", "mode": "min"}, None),
        ({"best": 2.0, "monitor": "val/loss", "mode": "max"}, None),
        ({"best": None, "monitor": "val/loss", "mode": "min"}, None),
    ],
)
def test_a_resumed_run_keeps_its_best_score_unless_it_is_of_something_else(
    stored: dict[str, Any], best: float | None, tmp_path: Path
) -> None:
    writer = CheckpointWriter(tmp_path, CheckpointOptions(monitor="val/loss", mode="min"), Points(), 3)
    writer.load_state_dict(stored)
    assert writer.best == best


class Counting(Mean):
    """Notes the steps at which it is prepared."""

    prepared: ClassVar[list[int]] = []

    def prepare(self, batches: Any) -> None:
        assert not self.training
        self.prepared.append(self.step)
        super().prepare(batches)


@pytest.mark.parametrize("ema", [None, averaged(0.5)], ids=["live", "averaged"])
def test_pictures_and_checkpoints_of_a_step_share_what_was_fitted(tmp_path: Path, ema: EMA | None) -> None:
    """Steps 4, 8 and 12 have a picture and a checkpoint, 8 a validation between them; 2, 6 and 10 a picture alone."""
    Counting.prepared.clear()
    module = module_of(new(Counting), ema=ema, max_steps=12)
    run_in(tmp_path, module, every=4, pictures=2, val_every_n_steps=8)
    assert len(Counting.prepared) == 6
    stored = open_checkpoint(tmp_path / "checkpoints" / "step-00000008").model()
    torch.testing.assert_close(stored["spread"], Points().split("train").x.std(0))


def test_buffers_are_copied_at_every_step(tmp_path: Path) -> None:
    module = module_of(new(TinyGAN), ema=averaged(0.99), max_steps=7)
    run_in(tmp_path, module)
    assert isinstance(module.averaged, TinyGAN)
    assert isinstance(module.model, TinyGAN)
    assert torch.equal(module.averaged.seen, module.model.seen)
    assert float(module.model.seen) == 7


def test_numbers_that_fade_become_zero() -> None:
    """The momentum of a row that is looked up once would cost eight times as much as zeros do."""
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        torch.set_flush_denormal(False)
        make_trainer(TrainerOptions(accelerator="cpu"), logger=False)
        assert float(torch.tensor([1e-38]) * 0.1) == 0.0
    finally:
        torch.set_flush_denormal(False)
