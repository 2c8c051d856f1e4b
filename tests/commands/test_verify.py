"""`genkit verify`: what is intact, what is damaged, and whether recorded steps can be trained again to the last bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_cases import TOY, arguments, digest, done, genkit, refused

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.write import write_checkpoint


@pytest.mark.parametrize(
    ("steps", "span"),
    [(2, "steps 5 to 6, compared with step-00000006"), (6, "steps 5 to 6"), (1, None)],
)
def test_a_window_between_checkpoints(vae: Path, steps: int, span: str | None) -> None:
    before = digest(vae)
    if span is None:
        assert "replay=1: nothing was recorded within so few steps" in refused(2, "verify", vae, f"replay={steps}")
    else:
        assert f"bit-identical: {span}" in done("verify", vae, f"replay={steps}")
    assert digest(vae) == before


@pytest.mark.slow
@pytest.mark.parametrize(("family", "data"), [("gan", ("trainer.accumulate=2",)), ("flow", TOY)])
def test_windows_of_lines_with_pictures_between(work: Path, family: str, data: tuple[str, ...]) -> None:
    options = ("trainer.max_steps=8", "trainer.val_every_n_steps=3", "trainer.log_every_n_steps=2", "samples.n=2")
    command = [word for word in arguments(family, *data, *options) if not word.startswith("samples.every")]
    done(*command, "samples.every_n_steps=3", "checkpoint.every_n_steps=7", "checkpoint.keep=1", "run_dir=run")
    said = done("verify", "run", "replay=8")
    assert "bit-identical: steps 1 to 8" in said or "bit-identical: steps 7 to 8" in said
    shutil.rmtree(work / "run" / "checkpoints")
    (work / "run" / "checkpoints").mkdir()
    assert "this run has no checkpoint" in refused(4, "verify", "run", "replay=8")


def test_a_window_does_not_reach_over_a_change_of_the_run(work: Path) -> None:
    """A longer run has the last picture of the shorter one, which the longer one alone would not have drawn."""
    plan = ("lr_schedule=constant", "trainer.log_every_n_steps=1", "trainer.val_every_n_steps=3", "samples.n=2")
    command = [word for word in arguments("autoencoder", *plan) if not word.startswith("samples.every")]
    done(*command, "checkpoint.keep=1", "checkpoint.monitor=null", "trainer.max_steps=4", "run_dir=run")
    done("train", "resume=run", "trainer.max_steps=7")
    assert "nothing was recorded within so few steps" in refused(2, "verify", "run", "replay=9")
    done("train", "resume=run", "checkpoint.keep=2", "trainer.max_steps=9")
    assert "bit-identical: steps 8 to 9" in done("verify", "run", "replay=9")


def other(run: Path, step: int, name: str) -> None:
    """One weight of a checkpoint another, with a manifest that says nothing of it."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    old = open_checkpoint(folder)
    config, model, (tensors, training) = old.config(), old.model(), old.training()
    model[name].view(-1)[0] += 1e-3
    shutil.rmtree(folder)
    write_checkpoint(folder.parent, step, config=config, model=model, training_tensors=tensors, training=training)


def test_it_says_where_it_differs(vae: Path, work: Path) -> None:
    run = work / "run"
    shutil.copytree(vae, run, copy_function=shutil.copyfile)
    name = min(open_checkpoint(run / "checkpoints" / "step-00000006").model())
    other(run, 6, name)
    line = refused(4, "verify", run, "replay=2")
    assert "replaying steps 5 to 6 differs" in line
    assert f"{name} by up to 0.001" in line


def test_a_line_that_was_edited_is_found(vae: Path, work: Path) -> None:
    run = work / "run"
    shutil.copytree(vae, run, copy_function=shutil.copyfile)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines[-1]["val/loss"] += 1.0
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "step 6: val/loss was" in refused(4, "verify", run, "replay=2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("replay=0", "replay=0: a number of steps"),
        ("replay=many", "replay=many"),
        ("replay=-1", "replay=-1"),
        ("repaly=3", "did you mean replay?"),
    ],
)
def test_wrong_arguments(vae: Path, words: str, said: str) -> None:
    assert said in refused(2, "verify", vae, words)


def test_a_checkpoint_alone_cannot_be_replayed(vae: Path) -> None:
    assert "is no run folder" in refused(2, "verify", vae / "checkpoints" / "step-00000006", "replay=2")


def linked_out(run: Path) -> None:
    for folder in list((run / "checkpoints").iterdir()):
        folder.rename(run.with_name(f"moved-{folder.name}"))
        folder.symlink_to(run.with_name(f"moved-{folder.name}"))


def emptied(run: Path) -> None:
    for folder in (run / "checkpoints").iterdir():
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("harm", "name", "said"),
    [
        (linked_out, "", "nothing was verified: every checkpoint is a link out of the run"),
        (linked_out, "latest", "nothing was verified: every checkpoint is a link out of the run"),
        (linked_out, "best", "is a link out of the run"),
        (emptied, "", "this run has no checkpoint"),
        (emptied, "latest", "step-00000006"),
        (lambda run: (run / "best").write_text("step-00000009\n"), "", "best: names step-00000009, which is missing"),
        (lambda run: (run / "latest").write_text("nothing\n"), "", "latest: names no checkpoint"),
    ],
)
def test_nothing_passes_that_was_not_looked_at(
    harm: Callable[[Path], object], name: str, said: str, vae: Path, work: Path
) -> None:
    shutil.copytree(vae, work / "run", copy_function=shutil.copyfile)
    (work / "run" / "best").write_text("step-00000004\n")
    harm(work / "run")
    assert said in refused(4, "verify", f"ckpt={work / 'run' / name}")


def test_every_damaged_checkpoint_is_named(vae: Path, work: Path) -> None:
    shutil.copytree(vae, work / "run", copy_function=shutil.copyfile)
    for file in (work / "run").glob("checkpoints/*/model.safetensors"):
        file.write_bytes(file.read_bytes() + b" ")
    answer = genkit("verify", f"ckpt={work / 'run'}")
    assert answer.code == 4
    lines = [line for line in (answer.out + answer.err).splitlines() if "model.safetensors: damaged" in line]
    assert [line.partition("step-")[2][:8] for line in sorted(lines)] == ["00000004", "00000006"]
