"""What `genkit list` says."""

import pytest

from genkit import cli
from genkit.commands.list import describe, promised
from genkit.config.catalog import KINDS, Catalog
from genkit.config.words import Words

CATALOG = Catalog.of(Words())


@pytest.mark.parametrize("experiment", CATALOG.options("experiment"))
def test_an_experiment_names_its_source_scores_and_time(experiment, capsys):
    from genkit.commands.list import run

    file = CATALOG.options("experiment")[experiment]
    text = file.read_text(encoding="utf-8")
    assert "\n# Source: " in text
    promise = promised(file)
    assert any(character.isdigit() for character in promise)
    assert "CPU" in promise
    assert run(["experiments"]) == 0
    shown = capsys.readouterr().out
    assert describe(file, "experiment") in shown
    assert promise in shown


@pytest.mark.parametrize("group", [*KINDS.values(), "lr_schedule", "logger", "quantizer"])
def test_every_option_has_a_sentence(group):
    """Words of its own: not the names of files that it is put together from."""
    for name, file in CATALOG.options(group).items():
        text = describe(file, group)
        if not name.startswith("suite/"):
            assert len(text.split()) >= 2, name
        assert "_self_" not in text


def test_a_name_leads_to_its_list(capsys):
    assert cli.main(["list", "vae"]) == 2
    assert "try: genkit list models" in capsys.readouterr().err
