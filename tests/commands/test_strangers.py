"""A run folder whose every text is hostile: no verb prints a control character, fails on markup, or fills a screen."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_cases import genkit

from genkit.checkpoint.manifest import Entry, Manifest, parse_manifest

HOSTILE = "\x1b]0;x\x07[red]\x9b2J\u202e[/x]" + "a" * 100_000
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069]")


def hostile(value: Any, kept: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: item if key in kept else hostile(item, kept) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, kept) for item in value]
    return HOSTILE if isinstance(value, str) else value


def rewrite(run: Path, kept: tuple[str, ...]) -> None:
    """Every text of every file, but the keys `kept`."""
    for path in (run / "run.json", *run.glob("checkpoints/*/*.json")):
        if path.name != "manifest.json":
            path.write_text(json.dumps(hostile(json.loads(path.read_text()), (*kept, "schema"))))
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, HOSTILE: HOSTILE}) + "\n")
    for folder in run.glob("checkpoints/*"):
        old = parse_manifest((folder / "manifest.json").read_bytes(), folder)
        contents = {name: (folder / name).read_bytes() for name in old.files}
        files = {name: Entry(len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()}
        (folder / "manifest.json").write_bytes(Manifest(old.kind, old.step, files, old.aliases, old.genkit).render())


@pytest.mark.slow
@pytest.mark.parametrize("kept", [(), ("_target_", "modality"), ("_target_", "modality", "train", "state")])
def test_words_of_a_run_folder_are_text_alone(kept: tuple[str, ...], vae: Path, work: Path) -> None:
    run = work / "run"
    shutil.copytree(vae, run, copy_function=shutil.copyfile)
    rewrite(run, kept)
    for words in (
        ("sample", f"ckpt={run}", "n=1", "out=samples"),
        ("verify", f"ckpt={run}"),
        ("verify", f"ckpt={run}", "replay=3"),
        ("export", f"ckpt={run}", "out=export"),
        ("eval", f"ckpt={run}", "n=20", "metric=mse", "floor_repeats=0", "bootstrap=0", "out=scores"),
        ("train", f"resume={run}", "trainer.max_steps=7"),
    ):
        answer = genkit(*words)
        said = answer.out + answer.err
        assert "internal error" not in said, words
        assert not CONTROL.search(said), words
        assert len(said) < 20_000, words
        if answer.code:
            assert answer.err.count("\n") == 1, words


def test_a_path_is_printed_as_it_is(vae: Path, work: Path) -> None:
    run = work / "a[b]c :smile: [/x]"
    shutil.copytree(vae, run)
    for words in (("train", f"resume={run}"), ("sample", f"ckpt={run}", "n=1", "out=s[i]d")):
        answer = genkit(*words)
        assert answer.code == 0
        assert "a[b]c :smile: [/x]" in answer.out or "s[i]d" in answer.out
