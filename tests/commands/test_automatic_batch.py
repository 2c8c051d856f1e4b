"""`data.batch_size=auto`: found before the run, recorded, kept to by a resumed run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_cases import arguments, done, refused

from genkit.assembly import batch_search
from genkit.assembly.identity import identity_of

WORDS = ("data.batch_size=auto", "trainer.max_steps=2")


def config(run: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(Path(run, "checkpoints/step-00000002/config.json").read_text())
    return found["train"]


@pytest.mark.slow
def test_a_batch_is_found_and_recorded(work: Path) -> None:
    said = done(*arguments("vae", *WORDS, "run_dir=run"))
    assert "data.batch_size=auto: 798 examples (the whole training split)" in said
    assert config("run")["data"]["batch_size"] == 798
    assert config("run")["planned"] == {"instead": {"data.batch_size": "auto"}}
    assert "finished at step 2" in done("train", "resume=run")
    assert "finished at step 2" in done("train", "resume=run", "data.batch_size=auto")
    assert "resuming at step 2 (not exact: horizon changed)" in done("train", "resume=run", "trainer.max_steps=3")
    assert "data.batch_size: 798 became 64" in refused(2, "train", "resume=run", "data.batch_size=64")


def test_less_memory_gives_a_smaller_one(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep that is typed again knows both runs by `auto`."""
    monkeypatch.setattr(batch_search, "_peak", lambda parts, settings, device, n: 2**30 + n * 2**22)
    monkeypatch.setattr(batch_search, "_limit", lambda device: 2**30 + 100 * 2**22)
    said = done(*arguments("vae", *WORDS, "run_dir=small"))
    assert "data.batch_size=auto: 96 examples: 1.4 GiB of 1.4 GiB that it may take" in said
    assert config("small")["data"]["batch_size"] == 96
    monkeypatch.setattr(batch_search, "_limit", lambda device: 2**30 + 50 * 2**22)
    done(*arguments("vae", *WORDS, "run_dir=smaller"))
    assert config("smaller")["data"]["batch_size"] == 48
    assert identity_of(Path("small")) == identity_of(Path("smaller"))


def test_other_words_and_other_verbs() -> None:
    assert "data.batch_size: 'automatic' is not" in refused(2, "train", "model=vae", "data.batch_size=automatic")
    assert "data.batch_size" in refused(2, "data", "show", "data=digits", "data.batch_size=auto")
