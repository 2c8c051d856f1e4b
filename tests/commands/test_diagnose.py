"""`genkit diagnose`: a diagnosis in sentences, on the terminal, at the end of a training and in the report."""

from __future__ import annotations

import json
from pathlib import Path

from command_cases import TOY, arguments, done, genkit, refused

from genkit.assembly.run_again import again_with
from genkit.assembly.run_facts import RunFacts

COLLAPSED = ("model.objective={_target_: genkit.models.vae.objective.ELBO, beta: 1000}", "trainer.val_every_n_steps=8")
FEW = ("trainer.max_steps=24", "trainer.log_every_n_steps=2", "optimizer.lr=1e-2")


def test_a_fault_is_told_at_the_end_in_the_report_and_by_the_verb(work: Path) -> None:
    trained = done(*arguments("vae", *TOY, *FEW, *COLLAPSED, "run_dir=run"))
    assert "posterior collapse, sure: At the last validation, 0 latents are active" in trained
    assert trained.index("posterior collapse") < trained.index("done: ")
    assert "posterior collapse" in (work / "run" / "report.html").read_text()
    said = done("diagnose", "run", "n=100")
    assert "posterior collapse (sure)\n  seen: At the last validation" in said
    assert "not measured" not in said
    measured = json.loads((work / "run" / "diagnosis.json").read_text())
    assert measured["measured"]["copies/n"] == 100


def test_the_command_with_a_change_is_that_of_the_run() -> None:
    command = "genkit train model=vae 'plugins=[a,b]' optimizer.lr=9 +seed=1 run_dir=x"
    facts = RunFacts(Path("x"), {"command": command})
    typed = again_with(facts, ("optimizer.lr=0.1", "seed=2"))
    assert typed == "genkit train model=vae 'plugins=[a,b]' optimizer.lr=0.1 seed=2"
    assert again_with(facts, ()) is None
    for other in ("pytest", "genkit train -m seed=1,2", "genkit train 'x", None, 3):
        assert again_with(RunFacts(Path("x"), {"command": other}), ("seed=2",)) is None


def test_a_run_that_cannot_be_measured_is_diagnosed_all_the_same(vae: Path, work: Path) -> None:
    said = done("diagnose", str(vae), "n=0")
    assert "(" in said or "nothing to remark" in said
    (work / "bare").mkdir()
    (work / "bare" / "run.json").write_bytes((vae / "run.json").read_bytes())
    (work / "bare" / "metrics.jsonl").write_bytes((vae / "metrics.jsonl").read_bytes())
    assert "not measured" not in done("diagnose", "bare")


def test_what_cannot_be_diagnosed_is_one_line(vae: Path) -> None:
    assert "n=many: the number of samples" in refused(2, "diagnose", str(vae), "n=many")
    assert "did you mean" in refused(2, "diagnose", str(vae), "scoes=x")
    assert "device=tpu9" in refused(2, "diagnose", str(vae), "device=tpu9")
    assert "no finished run" in refused(2, "diagnose")
    assert "nowhere" in refused(4, "diagnose", "nowhere")
    assert "usage: genkit diagnose" in genkit("diagnose", "--help").out
