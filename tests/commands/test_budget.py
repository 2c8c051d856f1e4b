"""`budget=`: the plan, its corrections and their records, by a clock that the tests turn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_cases import arguments, done, genkit, lines, refused, run_json

from genkit.stopwatch import Stopwatch
from genkit.training.module import GenerativeModule

WORDS = (*arguments("vae"), "checkpoint.every_n_steps=10")


class Clock:
    """Seconds that pass by steps and validations, and by nothing else.

    Attributes:
        now: The reading of the clock.
        step: Seconds of an optimizer step, a function of the step's number in its run; 1 in a trial.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.step: Callable[[int], float] = lambda step: 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    turned = Clock()
    take_step, validate = GenerativeModule.optimizer_step, GenerativeModule.on_validation_epoch_start

    def optimizer_step(self: GenerativeModule, *args: Any, **kwargs: Any) -> None:
        take_step(self, *args, **kwargs)
        turned.now += 1.0 if self.stopped == "tried out" else turned.step(self.global_step)

    def on_validation_epoch_start(self: GenerativeModule) -> None:
        turned.now += 2.0
        validate(self)

    monkeypatch.setattr(GenerativeModule, "optimizer_step", optimizer_step)
    monkeypatch.setattr(GenerativeModule, "on_validation_epoch_start", on_validation_epoch_start)
    monkeypatch.setattr(Stopwatch, "now", classmethod(lambda cls: cls(turned.now, turned.now)))
    for kind in ("wall", "cpu"):
        monkeypatch.setattr(Stopwatch, kind, lambda self: turned.now - self.monotonic)
    monkeypatch.setattr("genkit.assembly.trial.EXIT", 0.0)
    for module in ("assembly.trial", "commands.train"):
        monkeypatch.setattr(f"genkit.{module}.draw_losses", lambda *_: None)
    return turned


def planned(run: Path) -> dict[str, Any]:
    newest = sorted((run / "checkpoints").iterdir())[-1]
    found: dict[str, Any] = json.loads((newest / "config.json").read_text())["train"]
    return found


@pytest.mark.parametrize("budget", [pytest.param("100s", marks=pytest.mark.slow), "100cpu_s"])
def test_a_plan_that_comes_true(clock: Clock, budget: str) -> None:
    said = done(*WORDS, f"budget={budget}", "run_dir=run")
    record, config = run_json(Path("run"))["budget"], planned(Path("run"))
    steps, between = config["trainer"]["max_steps"], config["trainer"]["val_every_n_steps"]
    assert record["corrections"] == config["planned"]["corrections"] == []
    assert record["spent"] == pytest.approx(100, abs=2)
    assert record["planned_steps"] == steps == run_json(Path("run"))["step"]
    assert sum("val/loss" in line for line in lines(Path("run"))) == -(-steps // between)
    assert config["lr_schedule"]["warmup_steps"] == steps // 20
    assert config["planned"]["instead"]["trainer.max_steps"] == 1000
    assert config["checkpoint"]["every_n_steps"] == 10  # typed
    assert f"budget: {steps} steps in the" in said
    assert "of 100.0" in said


def test_a_machine_that_becomes_slower(clock: Clock) -> None:
    """The rate goes on without a jump, the run ends in time and with a validation, and a replay is the same."""
    clock.step = lambda step: 1.0 if step < 30 else 2.5
    said = done(*WORDS, "budget=200s", "run_dir=run", "trainer.log_every_n_steps=1")
    record, config = run_json(Path("run"))["budget"], planned(Path("run"))
    assert record["spent"] == pytest.approx(200, rel=0.05)
    assert record["corrections"] == config["planned"]["corrections"]
    assert said.count("in place of") == len(record["corrections"]) > 0
    _, steps = record["corrections"][-1]
    assert steps == config["trainer"]["max_steps"] == run_json(Path("run"))["step"] < record["planned_steps"]
    assert "val/loss" in lines(Path("run"))[-1]
    rates = {line["step"]: line["lr/model"] for line in lines(Path("run")) if "lr/model" in line}
    falls = [rates[k] - rates[k + 1] for k in sorted(rates)[record["planned_steps"] // 20 : -1]]
    assert all(0 <= fall < 0.15 * max(rates.values()) for fall in falls)
    assert rates[steps] < 0.05 * max(rates.values())
    assert "bit-identical" in done("verify", "ckpt=run", "replay=30")


def test_a_run_that_is_stopped_goes_on_with_what_is_left(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.step = lambda step: 1.0 if step < 20 else 2.0
    words = (*WORDS, "budget=120s", "trainer.log_every_n_steps=1")
    done(*words, "run_dir=whole")
    corrections = run_json(Path("whole"))["budget"]["corrections"]
    last = corrections[-1][0]
    take_step, fails = GenerativeModule.training_step, last + 3

    def training_step(self: GenerativeModule, *args: Any) -> Any:
        if self.stopped != "tried out" and self.global_step == fails:
            raise OSError("the power is gone")
        return take_step(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(GenerativeModule, "training_step", training_step)
        assert "power" in refused_late(*words, "run_dir=broken")
    spent = run_json(Path("broken"))["budget"]["spent"]
    assert run_json(Path("broken"))["budget"]["corrections"] == corrections
    done("train", "resume=broken")
    again = run_json(Path("broken"))["budget"]
    assert again["corrections"][: len(corrections)] == corrections
    assert spent < again["spent"] == pytest.approx(120, rel=0.1)
    until = {path: [line for line in lines(Path(path)) if line["step"] <= last] for path in ("whole", "broken")}
    assert until["broken"] == until["whole"]


def refused_late(*argv: str) -> str:
    answer = genkit(*argv)
    assert answer.code != 0
    return answer.err


@pytest.mark.slow
def test_more_time_takes_a_run_further(clock: Clock) -> None:
    done(*WORDS, "budget=60s", "run_dir=run")
    steps = run_json(Path("run"))["step"]
    assert "budget= takes it further" in done("train", "resume=run")
    assert "not exact: horizon changed" in done("train", "resume=run", "budget=2min")
    assert run_json(Path("run"))["step"] > 1.5 * steps
    assert run_json(Path("run"))["budget"]["spent"] == pytest.approx(120, rel=0.1)
    assert "only be given more" in refused(2, "train", "resume=run", "budget=60s")
    assert "by the same clock" in refused(2, "train", "resume=run", "budget=500cpu_s")
    assert "decides its steps" in refused(2, "train", "resume=run", "trainer.max_steps=9000")


def test_a_run_without_a_budget_is_given_none(vae: Path, tmp_path: Path) -> None:
    assert "trainer.max_steps= takes it further" in refused(2, "train", f"resume={vae}", "budget=2min")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("budget=2min trainer.max_steps=9", "both say how long"),
        ("budget=90", "Give a unit"),
        ("budget=soon", "no length of time"),
        ("budget=3s", "are too short"),
    ],
)
def test_what_is_refused(clock: Clock, words: str, said: str) -> None:
    assert said in refused(2, *WORDS, *words.split())


@pytest.mark.slow
def test_the_jobs_of_a_sweep_are_found_again(clock: Clock) -> None:
    """A configuration counts as it was typed, whatever the budget made of it."""
    from genkit.assembly.identity import identity_of
    from genkit.assembly.training_cost import configuration_hash

    done(*WORDS, "budget=60s", "seed=1", "run_dir=a")
    clock.step = lambda step: 1.5
    done(*WORDS, "budget=60s", "seed=2", "run_dir=b")
    hashes = [
        json.loads((next(iter(sorted(Path(run, "checkpoints").iterdir()))) / "config.json").read_text()) for run in "ab"
    ]
    assert hashes[0]["train"]["trainer"] != hashes[1]["train"]["trainer"]
    assert configuration_hash(hashes[0]) == configuration_hash(hashes[1])
    done(*WORDS, "budget=60s", "seed=1", "run_dir=c")
    assert identity_of(Path("a")) == identity_of(Path("c")) != identity_of(Path("b"))


def test_a_plain_run_has_no_part_of_it(vae: Path) -> None:
    config = planned(vae)
    assert config["budget"] is None
    assert "planned" not in config
    assert "budget" not in run_json(vae)
