"""`genkit sample prompt=…`: text that goes on from a beginning."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import pytest
from command_cases import done, genkit, refused
from rich.console import Console

from genkit.data.text.kind import Text

TINY = ("model.network.features=16", "model.network.depth=1", "model.network.ngram_rows=64", "ema=null")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small transformer on lines of a few characters."""
    folder = tmp_path_factory.mktemp("prompts")
    lines = [f"{a} and {b} make {a + b}" for a in range(30) for b in range(30)]
    (folder / "lines.txt").write_text("\n".join(lines))
    words = ("data=lines", f"data.root={folder / 'lines.txt'}", "trainer=cpu", "trainer.max_steps=3")
    done("train", "model=gpt", *words, *TINY, "samples.every_n_steps=0", f"run_dir={folder / 'run'}")
    return folder / "run"


def drawn(folder: str) -> list[str]:
    return [json.loads(line)["text"] for line in Path(folder, "samples.jsonl").read_text().splitlines()]


def test_samples_go_on_from_a_prompt(texts: Path, work: Path) -> None:
    done("sample", f"ckpt={texts}", "prompt=7 and 1", "n=5", "out=one")
    assert all(text.startswith("7 and 1") for text in drawn("one"))
    assert len(set(drawn("one"))) > 1
    assert json.loads(Path("one/samples.json").read_text())["prompt"] == "7 and 1"
    done("sample", f"ckpt={texts}", "prompt=7 and 1", "n=5", "batch_size=2", "out=again")
    assert drawn("one") == drawn("again")


@pytest.mark.parametrize("prompt", ["7", "1 and 2, 3", "null and", "[1]", "'1", "${oc.env:HOME}", "a=b", "true"])
def test_a_prompt_is_taken_literally(prompt: str, texts: Path, work: Path) -> None:
    answer = genkit("sample", f"ckpt={texts}", f"prompt={prompt}", "n=2", "out=literal")
    if set(prompt) <= set("0123456789 andmke"):
        assert all(text.startswith(prompt) for text in drawn("literal"))
    else:  # outside of the alphabet, which is said of this very text
        assert answer.code == 2
        assert answer.err.startswith(f"genkit: error: prompt={prompt}: ")


def test_prompts_of_a_file_come_in_turn(texts: Path, work: Path) -> None:
    Path("prompts.txt").write_text("1 and\n\n22 and 3\n")
    done("sample", f"ckpt={texts}", "prompts=prompts.txt", "n=5", "top_k=1", "out=turns")
    begins = [text.startswith(prompt) for text, prompt in zip(drawn("turns"), ["1 and", "22 and 3"] * 3, strict=False)]
    assert begins == [True] * 5
    assert drawn("turns")[0] == drawn("turns")[2]  # top_k=1 leaves nothing to chance


def test_a_sample_may_be_longer_than_an_example(texts: Path, work: Path) -> None:
    done("sample", f"ckpt={texts}", f"prompt={'1' * 60}", "n=2", "length=90", "out=long")
    assert all(text.startswith("1" * 60) for text in drawn("long"))
    note = json.loads(Path("long/samples.json").read_text())
    assert (note["length"], note["spec"]["shape"]) == (90, [90])


def test_one_text_is_shown_on_a_terminal_while_it_is_drawn(
    texts: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And stays there as a whole; two of them, or one in a pipe, are shown when they are complete."""
    told: list[int] = []
    texts_of = Text.texts
    monkeypatch.setattr(Text, "texts", lambda self, x: told.append(x.shape[1]) or texts_of(self, x))

    def said(*words: str) -> str:
        screen = io.StringIO()
        monkeypatch.setattr("genkit.commands.sample.make_console", lambda: Console(file=screen, **terminal))
        done("sample", f"ckpt={texts}", *words)
        return screen.getvalue()

    terminal = {"force_terminal": True, "force_interactive": True, "width": 60, "height": 20}
    screen = said("n=1", "prompt=7 and", "out=live")
    grown = [k for k, after in itertools.pairwise(told) if after == k + 1]
    assert grown[:3] == [1, 2, 3]
    assert drawn("live")[0] in screen
    told.clear()
    said("n=2", "out=two")
    terminal = {"force_terminal": False, "width": 60}
    assert "\x1b" not in said("n=1", "out=pipe")
    assert not [k for k, after in itertools.pairwise(told) if after == k + 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prompt=Ωμέγα",), "prompt=Ωμέγα"),
        ((f"prompt={'1' * 90}",), "90 tokens, and a sample has"),
        (("prompts=missing.txt",), "prompts=missing.txt: cannot be read as UTF-8"),
        (("prompt=1", "prompts=missing.txt"), "prompt= and prompts= both say what samples begin with"),
        (("prompt=1", "show=interpolation"), "prompt= says what samples begin with, and show= draws none"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(words: tuple[str, ...], message: str, texts: Path, work: Path) -> None:
    code = 3 if "missing.txt" in words[0] else 2
    assert message in refused(code, "sample", f"ckpt={texts}", *words, "out=no")


def test_a_model_of_images_takes_no_prompt(vae: Path, work: Path) -> None:
    assert "trained on image data and not on text" in refused(2, "sample", f"ckpt={vae}", "prompt=1", "out=no")


def test_complete_goes_on_from_a_prompt(texts: Path, work: Path) -> None:
    said = done("complete", f"ckpt={texts}", "prompt=7 and 1", "draws=4", "out=one")
    assert "4 texts, prompt 7 and 1" in said
    assert len(drawn("one")) == 4
    assert all(text.startswith("7 and 1") for text in drawn("one"))
    assert "goes with examples" in refused(2, "complete", f"ckpt={texts}", "prompt=7", "known=0.5", "out=two")
