"""What `genkit list` says."""

import pytest

from genkit import cli
from genkit.commands.list import describe, promised, run
from genkit.config.hydra.catalog import KINDS, Catalog
from genkit.config.hydra.words import Words

CATALOG = Catalog.of(Words())


def test_an_experiment_names_its_source_scores_and_time(subtests, capsys):
    assert run(["experiments"]) == 0
    shown = capsys.readouterr().out
    for experiment, file in CATALOG.options("experiment").items():
        with subtests.test(experiment):
            assert "\n# Source: " in file.read_text(encoding="utf-8")
            promise = promised(file)
            assert any(character.isdigit() for character in promise)
            assert "CPU" in promise
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
