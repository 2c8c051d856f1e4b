"""Every command and every Python example of the pages and of the help texts runs, and prints what the pages show.

Each page is followed from top to bottom in one empty folder, in this process. `conftest.shortened` makes trainings,
samples and scores small; `shown.agrees` masks the numbers, so that what is printed can be compared all the same. `make`
runs the recipe of its target in the Makefile. What is not run stands in `NOT_RUN` with a reason.
"""

import functools
import io
from contextlib import redirect_stderr, redirect_stdout

import pytest
from conftest import SAMPLES, SHOWN
from pages import PAGES, ROOT, Command, blocks, commands, name_of
from shown import agrees, masked

from genkit import cli
from genkit.commands import doctor
from genkit.config.hydra.catalog import DRAWING, KINDS

NOT_RUN = {
    "pip": "installs from the package index",
    "tensorboard": "serves a page until it is stopped",
    "docker": "needs a daemon and the package index",
}
FOLLOWED_ELSEWHERE = {"extending.md", "life_of_a_step.md"}  # by tests of their own
LANGUAGES = {"console", "python", ""}  # "": a formula or a layout, nothing to run
FOLLOWED = [
    page for page in PAGES if any(block.language for block in blocks(page)) and page.name not in FOLLOWED_ELSEWHERE
]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_that_could_be_run_hides(page):
    """A command in another kind of block would never be tried."""
    for block in blocks(page):
        assert block.language in LANGUAGES
        assert block.language == "console" or "$ genkit" not in block.text
        if block.language == "console":
            assert all(command.words[0] in {"genkit", "make", *NOT_RUN} for command in commands(block))


def test_what_is_not_run_is_needed():
    shown = {command.words[0] for page in PAGES for block in blocks(page) if block.language == "console"
             for command in commands(block)}  # fmt: skip
    assert shown >= NOT_RUN.keys()


def recipe(target: str = "main") -> list[str]:
    """The lines below a target of the Makefile, variables replaced."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    body = text.partition(f"\n{target}:")[2].partition("\n\n")[0].splitlines()[1:]
    return [line.strip().replace("$(GENKIT)", ".venv/bin/genkit") for line in body]


def answer(command: Command, genkit) -> tuple[int, str]:
    """Exit code and output, in the order of printing; of `make` the lines of its recipe too."""
    make = command.words == ("make",)
    output, code = io.StringIO(), 0
    with redirect_stdout(output), redirect_stderr(output):
        for words in [tuple(line.split()) for line in recipe()] if make else [command.words]:
            if make:
                print(*words)
            if command.code:  # a refusal may repeat the words, so they stay as they are
                return cli.main(list(words[1:])), output.getvalue()
            if code := genkit(*words[1:], n=SHOWN if command.shown else SAMPLES):
                break
    return code, output.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_a_page_can_be_followed(page, work, tiny_mnist, photos, genkit):
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, name_of(page), "exec"), names)
        for command in commands(block) if block.language == "console" else ():
            line = " ".join(command.words)
            if command.words[0] in NOT_RUN or (command.words[0] == "make" and command.words != ("make",)):
                continue  # the other targets run the tests, or install
            code, printed = answer(command, genkit)
            assert code == command.code, f"{line}: {printed}"
            if command.shown:
                assert agrees(command.shown, printed, str(work)), (
                    f"{line}\n--- shown\n{masked(command.shown)}\n--- printed\n{masked(printed)}\n\n{printed}"
                )


def help_of(*argv, capsys) -> str:
    assert cli.main([*argv, "--help"]) == 0
    return capsys.readouterr().out


def test_the_examples_of_the_help_text_run(work, genkit, capsys):
    lines = [line[2:].partition("   ")[0].split() for line in help_of(capsys=capsys).splitlines()]
    examples = [words for words in lines if words[:1] == ["genkit"]]
    assert {words[1] for words in examples} >= {"train", "sample", "eval", "list"}
    for _, *words in examples:
        run = next(iter(sorted(work.glob("outputs/train/*"))), None)
        assert genkit(*(word.replace("outputs/train/…", str(run)) for word in words)) == 0, words


OTHERS = ("list", "completion", "data clear")  # their usage lines say what there is to choose from


def test_the_usage_lines_of_plain_verbs_hold(work, genkit, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "imports", lambda: iter(()))  # of every package, in a process of its own
    assert genkit("train", "model=vae", "run_dir=run") == 0
    assert genkit("eval", "ckpt=run", "metric=fid", "out=scores") == 0
    capsys.readouterr()
    for verb in [name for name, verb in cli.VERBS.items() if not verb.hydra and name not in OTHERS]:
        first, *_ = help_of(verb, capsys=capsys).splitlines()
        words = first.removeprefix(f"usage: genkit {verb}").split()
        places = {"RUN_OR_CHECKPOINT": "run", "FOLDER": "new", "RESULTS": "scores", "RUN": "run"}
        words = [word.strip("[]…") for word in words if word[0] != "[" or "ckpt=" in word or word.startswith("[RUN")]
        filled = [functools.reduce(lambda word, name: word.replace(name, places[name]), places, word) for word in words]
        assert genkit(*verb.split(), *filled) == 0, filled
        capsys.readouterr()
    kinds = help_of("list", capsys=capsys).split()[3].split("|")
    assert kinds == [*KINDS, "uses"]
    assert genkit("list", *kinds) == 0


@pytest.mark.slow
def test_the_doctor_finds_nothing_broken_here(genkit, capsys):
    assert genkit("doctor") == 0
    assert "broken" not in capsys.readouterr().out


@pytest.mark.parametrize("verb", [name for name, verb in cli.VERBS.items() if verb.hydra])
def test_the_flags_of_a_verbs_help_exist(verb, genkit, capsys):
    from genkit.config.hydra.words import parse

    text = help_of(*verb.split(), capsys=capsys).partition("\nflags\n")[2]
    flags = [line.split()[0].rstrip(",") for line in text.splitlines() if line.startswith("  -")]
    assert len(flags) > 3
    for flag in flags:
        parse([flag, {"--cfg": "job", "--info": "all"}.get(flag, "value")])
    assert genkit(*verb.split(), "ckpt=x" if verb in DRAWING else "debug=true", "--cfg", "job") == 0
