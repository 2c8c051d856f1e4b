"""Every command and every Python example of the pages and of the help texts runs.

Each page is followed from top to bottom in one empty folder; trainings have a few steps. What is not run stands in
`NOT_RUN` with a reason.
"""

import functools

import pytest
from pages import PAGES, blocks, commands, name_of

from genkit import cli
from genkit.config.catalog import KINDS

NOT_RUN = {
    "make": "installs from the package index or runs what other tests and `make` itself run",
    "pip": "installs from the package index",
}
LANGUAGES = {"console", "python", ""}  # "": a formula or a layout, nothing to run
FOLLOWED = [page for page in PAGES if any(block.language for block in blocks(page)) and page.name != "extending.md"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_that_could_be_run_hides(page):
    """A command in another kind of block would never be tried."""
    for block in blocks(page):
        assert block.language in LANGUAGES
        assert block.language == "console" or "$ genkit" not in block.text
        if block.language == "console":
            assert all(words[0] == "genkit" or words[0] in NOT_RUN for words, _ in commands(block))


def test_what_is_not_run_is_needed():
    shown = {words[0] for page in PAGES for block in blocks(page) if block.language == "console"
             for words, _ in commands(block)}  # fmt: skip
    assert shown >= NOT_RUN.keys()


@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_a_page_can_be_followed(page, work, tiny_mnist, genkit):
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, name_of(page), "exec"), names)
        for words, code in commands(block) if block.language == "console" else ():
            if words[0] not in NOT_RUN:
                assert genkit(*words[1:]) == code, " ".join(words)


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


def test_the_usage_lines_of_plain_verbs_hold(work, genkit, capsys):
    assert genkit("train", "model=vae", "run_dir=run") == 0
    assert genkit("eval", "ckpt=run", "metric=fid", "out=scores") == 0
    capsys.readouterr()
    for verb in [name for name, verb in cli.VERBS.items() if not verb.hydra and name not in ("list", "completion")]:
        _, _, *words = help_of(verb, capsys=capsys).removeprefix("usage: ").split()
        places = {"RUN_OR_CHECKPOINT": "run", "FOLDER": "new", "RESULTS": "scores"}
        words = [word.strip("[]…") for word in words if not word.startswith("[") or "ckpt=" in word]
        filled = [functools.reduce(lambda word, name: word.replace(name, places[name]), places, word) for word in words]
        assert genkit(verb, *filled) == 0, filled
        capsys.readouterr()
    kinds = help_of("list", capsys=capsys).split()[3].split("|")
    assert kinds == list(KINDS)
    assert genkit("list", *kinds) == 0


@pytest.mark.parametrize("verb", [name for name, verb in cli.VERBS.items() if verb.hydra])
def test_the_flags_of_a_verbs_help_exist(verb, genkit, capsys):
    from genkit.config.words import parse

    text = help_of(verb, capsys=capsys).partition("\nflags\n")[2]
    flags = [line.split()[0].rstrip(",") for line in text.splitlines() if line.startswith("  -")]
    assert len(flags) > 3
    for flag in flags:
        parse([flag, {"--cfg": "job", "--info": "all"}.get(flag, "value")])
    assert genkit(verb, "seed=1" if verb in ("train", "check") else "ckpt=x", "--cfg", "job") == 0
