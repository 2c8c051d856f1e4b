"""The table of uses: the same for the classes, the verbs and the refusal of a model that cannot."""

import pytest

from genkit import cli
from genkit.assembly.uses import USES, families, family_words, models_that_can, require, rows
from genkit.config.hydra import catalog
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.words import Words
from genkit.config.settings import VERBS, UseSettings, keys_of
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.base import GenerativeModel

SHARED = dict(keys_of(UseSettings))


class Mute(GenerativeModel):
    """A model without abilities."""

    def losses(self, batch, phase): ...

    def draw(self, n, *, y=None, noise): ...


def test_every_model_is_in_a_family_once():
    names = [name for models in families().values() for name in models]
    assert sorted(names) == sorted(Catalog.of(Words()).options("model"))


def test_a_cell_says_all_some_or_none():
    heads = [family_words(family) for family in families()]
    assert [row[0] for row in rows(families())] == heads
    for family, models in families().items():
        for use, cell in zip(USES.values(), rows({family: models})[0][1:], strict=True):
            able = models_that_can(use, {family: models}).get(family_words(family), [])
            assert cell == ("yes" if len(able) == len(models) else ", ".join(able) or "–")


@pytest.mark.parametrize("use", USES)
def test_a_model_that_cannot_is_told_who_can(use):
    with pytest.raises(ConfigError) as raised:
        require(Mute(DataSpec((2,), "vector")), use)
    line = str(raised.value)
    assert "\n" not in line
    assert f"genkit {USES[use].command}: Mute cannot" in line
    assert all(family in line for family in models_that_can(USES[use], families()))


def test_the_list_names_every_use_and_every_model_that_can(capsys):
    assert cli.main(["list", "uses"]) == 0
    said = capsys.readouterr().out
    for use in USES.values():
        assert f"genkit {use.command}\n" in said
        assert all(name in said.split() for names in models_that_can(use, families()).values() for name in names)
    assert cli.main(["list", "use"]) == 2
    assert "try: genkit list uses" in capsys.readouterr().err


def test_a_verb_that_applies_a_checkpoint_is_known_everywhere():
    applying = {verb for verb, settings in VERBS.items() if issubclass(settings, UseSettings)}
    assert applying == set(catalog.USES)
    assert applying | {"augment"} == {verb for verb in USES if verb in cli.VERBS}  # it draws its own examples
    for verb in applying:
        assert SHARED.keys() - {"plugins"} <= {*Catalog.of(Words()).own_keys(verb), "data"}
