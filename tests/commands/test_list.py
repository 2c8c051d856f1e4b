"""What `genkit list` says."""

import pytest

from genkit.commands.list import describe, promised
from genkit.config.catalog import Catalog
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
