"""scripts/reproduce.py: each table of a page names the command that makes it, and that command makes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from script import SCRIPTS, script_named

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = SCRIPTS / "reproduce.py"
NAMED = {  # table -> the page that says how to make it, and words that stand in both
    "first_run": ("README.md", ("fid[digits]", "diffusion", "pixel Gaussian", "real data")),
    "reading": ("docs/scores.md", ("fid[digits]", "coverage[digits]", "vae", "pixel Gaussian", "real data")),
    "families": ("docs/scores.md", ("autoencoder", "vae", "gan", "flow", "pixelcnn", "energydiffusion", "real data",
                                    "training copies", "pixel mixture", "pixel Gaussian", "pixel marginals",
                                    "real against real")),
    "uses": ("README.md", ("autoregressive", "masked diffusion", "`compress`")),
}  # fmt: skip
TINY = ["trainer.max_steps=4", "trainer.val_every_n_steps=3", "data.batch_size=16", "samples.n=4"]
FEW = ["--eval", "n=70", "bootstrap=2", "floor_repeats=2"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_named("reproduce")


@pytest.fixture
def typed(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The command lines of tables, which are not run."""
    lines: list[tuple[str, ...]] = []

    def take(*words: str) -> str:
        lines.append(words)
        return "scores\n"

    monkeypatch.setattr(script, "genkit", take)
    return lines


@pytest.mark.parametrize("name", NAMED)
def test_a_page_names_the_command_of_its_table(name: str, script: ModuleType) -> None:
    page, words = NAMED[name]
    text = (ROOT / page).read_text(encoding="utf-8")
    assert f"`python scripts/reproduce.py OUT {name}`" in text
    assert all(word in text for word in words)
    assert page in script.TABLES[name].page


def test_the_first_run_is_what_make_does(
    script: ModuleType, typed: list[tuple[str, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main([str(tmp_path), "first_run", *TINY, *FEW])
    assert [line[:2] for line in typed] == [
        ("train", "experiment=digits_diffusion"),
        ("sample", f"ckpt={tmp_path}/first_run/diffusion"),
        ("eval", f"ckpt={tmp_path}/first_run/diffusion"),
    ]
    assert set(TINY) <= set(typed[0])
    assert set(FEW[1:]) <= set(typed[2])
    assert (tmp_path / "first_run" / "table.txt").read_text() == "scores\n"
    assert (tmp_path / "first_run" / "cost.txt").read_text().startswith("diffusion ")
    made = [line.removeprefix("\t$(GENKIT) ") for line in (ROOT / "Makefile").read_text().splitlines()]
    assert [line for line in made if line.startswith(("train", "sample", "eval"))] == [
        "train experiment=digits_diffusion",
        "sample",
        "eval",
    ]


def test_a_row_of_the_experiments_is_an_experiment(
    script: ModuleType, typed: list[tuple[str, ...]], tmp_path: Path
) -> None:
    script.main([str(tmp_path), "digits_cgan"])
    assert typed[0] == ("train", "experiment=digits_cgan", f"run_dir={tmp_path}/digits_cgan/digits_cgan")
    assert typed[1][0] == "eval"


def test_what_others_make_is_there(script: ModuleType) -> None:
    for command in script.ELSEWHERE.values():
        assert (ROOT / command.split()[0]).is_file()
    for words in script.SEVEN.values():
        named = [word.removeprefix("experiment=") for word in words if word.startswith("experiment=")]
        assert all((ROOT / "conf" / "experiment" / f"{name}.yaml").is_file() for name in named)


def test_an_unknown_table_is_refused_before_anything_runs(
    script: ModuleType, typed: list[tuple[str, ...]], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="familys: there is no such table or experiment; did you mean families"):
        script.main([str(tmp_path / "out"), "uses", "familys"])
    with pytest.raises(SystemExit, match="which table"):
        script.main([str(tmp_path / "out")])
    assert typed == []
    assert not (tmp_path / "out").exists()


def test_the_table_of_uses(script: ModuleType, tmp_path: Path) -> None:
    script.main([str(tmp_path), "uses"])
    assert (tmp_path / "uses" / "table.md").read_text() in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMED if name != "uses"])
def test_a_table_is_made(name: str, tmp_path: Path) -> None:
    """With a few steps and samples: the rows are those of the page, the scores are not."""
    environment = os.environ | {"GENKIT_CACHE": str(tmp_path / "cache")}
    words = [sys.executable, str(SCRIPT), str(tmp_path), name, *TINY, *FEW]
    subprocess.run(words, check=True, env=environment, stdout=subprocess.PIPE)
    table = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / name).glob("table.*"))
    assert [word for word in NAMED[name][1] if word not in table] == []
    assert (tmp_path / name / "digits.png").is_file() == (name == "families")
