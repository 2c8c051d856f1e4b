"""What a command says at its end: the files are there, and what it says to type next works as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from command_cases import Child, arguments, done, run_json
from PIL import Image

from genkit.printing import pasteable

ODD = "it's [a] run=1, ü $HOME"
CURVE = ("trainer.max_steps=4", "trainer.log_every_n_steps=1", "trainer.val_every_n_steps=2")
FEW = ("metric=fid", "n=100", "bootstrap=0", "floor_repeats=0", "baselines=false")


@pytest.fixture(autouse=True)
def curves() -> None:
    """Curves of losses are drawn here, pixels and all."""


def made(said: str) -> dict[str, Path]:
    """Name -> path of the lines between the headline and "next:"."""
    lines = said.partition("\nnext:\n")[0].splitlines()
    found = [re.fullmatch(r"  (\S+(?: \S+)?)  +(/.*)", line) for line in lines]
    return {match[1]: Path(match[2]) for match in found if match is not None}


def next_commands(said: str) -> dict[str, list[str]]:
    """Verb -> the words of the lines after "next:", as a shell splits them."""
    split = [shlex.split(line) for line in said.partition("\nnext:\n")[2].splitlines()]
    assert all(words[0] == "genkit" for words in split)
    return {words[1]: words[1:] for words in split}


def test_the_commands_at_the_end_can_be_pasted_one_after_the_other(work: Path) -> None:
    command = arguments("gan", *CURVE, f"run_dir={ODD}")
    trained = done(*[word for word in command if word != "samples.every_n_steps=0"])
    assert "done: 4 steps\n" in trained
    run = work / ODD
    assert made(trained) == {
        "run folder": run,
        "samples": run / "samples" / "step-00000004.png",
        "losses": run / "loss.png",
        "report": run / "report.html",
    }
    assert all(path.exists() for path in made(trained).values())
    with Image.open(run / "loss.png") as picture:
        assert min(picture.size) > 300
        assert len(set(picture.convert("L").tobytes())) > 20  # lines, letters and their edges
    commands = next_commands(trained)
    assert commands.keys() == {"sample", "eval"}
    sampled = done(*commands["sample"], "n=4", f"out={ODD} samples")
    assert [path.name for path in made(sampled).values()] == ["grid.png", "samples.npz"]
    assert all(path.exists() for path in made(sampled).values())
    assert next_commands(sampled).keys() == {"eval"}
    scored = done(*commands["eval"], *FEW, f"out={ODD} scores")
    assert made(scored)["scores"].exists()
    assert "gan" in done(*next_commands(scored)["compare"])
    assert "fid" in done(*next_commands(sampled)["eval"], *FEW)


@pytest.mark.slow
def test_a_run_that_is_stopped_has_its_curve_and_its_command(work: Path) -> None:
    ended = Child(arguments("vae", *CURVE, "run_dir=run"), work, work / "log", {2: [15]}).wait()
    assert ended.code == 143, ended.said
    assert (work / "run" / "loss.png").is_file()
    assert "genkit train resume=" in (work / "run" / "report.html").read_text()
    words = shlex.split(ended.said.splitlines()[-1].partition("to continue: ")[2])
    assert "resuming at step 3 (exact)" in done(*words[1:])
    assert run_json(work / "run")["status"] == "done"


@pytest.mark.parametrize(
    "path", ["plain", "a b", "it's", "a\nb\tc", "\\ ' \x1b[31m", "$HOME `id` !x #y", "ü\u202e日本"]
)
def test_a_shell_reads_the_words_that_were_meant(path: str) -> None:
    line = pasteable("sample", f"ckpt={path}")
    assert line.isprintable()
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = f"genkit() {{ printf '%s\\0' \"$@\"; }}; {line}"
    said = subprocess.run(["bash", "-c", command], capture_output=True, check=True, env=environment).stdout
    assert said.decode() == f"sample\0ckpt={path}\0"
