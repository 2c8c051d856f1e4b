"""The classes of the verbs' settings and the YAML of the verbs name the same keys."""

from dataclasses import FrozenInstanceError

import pytest

from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import DRAWING, Catalog
from genkit.config.hydra.words import Words
from genkit.config.sampling_arguments import declared
from genkit.config.settings import VERBS, SampleSettings, TrainSettings, keys_of, settings_of
from genkit.errors import ConfigError

CATALOG = Catalog.of(Words())
# groups that an interpolation of another group takes up, so that no setting is called so
TAKEN_UP = {"backbone", "schedule", "sampler", "latent_density", "quantizer", "code_prior", "experiment"}
WRONG = [
    ("train", "seed", -1, "seed: -1 is not an integer ≥ 0"),
    ("train", "run_dir", 3, "run_dir: 3 is not text"),
    ("train", "optimizer_overrides", {"a": 1}, "optimizer_overrides.a: 1 is not a mapping to"),
    ("sample", "n", 0, "n: 0 is not an integer ≥ 1"),
    ("sample", "show", "x", "show: 'x' is not one of interpolation, reconstruction"),
    ("sample", "guidance", {"scale": -1}, "guidance.scale: -1 is not a finite number in [0, 1e+06]"),
    ("sample", "truncation", 0, "truncation: 0 is not a finite number > 0"),
    ("eval", "ckpt", 3, "ckpt: 3 is not text or a list of text or null"),
    ("eval", "baselines", "all", "baselines: 'all' is not true or false or a list of text"),
    ("data show", "near", 2, "near: 2 is not a finite number in [0, 1]"),
    ("eval", "sweep", {"sampler": {"steps": 0}}, "sweep.sampler.steps: 0 is not a list of an integer ≥ 1"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_settings_are_the_keys_of_its_yaml(verb):
    keys = {*CATALOG.own_keys(verb), *CATALOG.defaults(verb)} - TAKEN_UP
    derived = {key.partition(".")[0] for key in declared()} | {"sweep"}
    assert {key for key, _ in keys_of(VERBS[verb])} == keys - (derived if verb in DRAWING else {"sweep", "search"})


@pytest.mark.parametrize("verb", VERBS)
def test_they_are_read_once_and_stay(verb):
    config = composed(verb, [])
    settings = settings_of(verb, config)
    with pytest.raises(FrozenInstanceError):
        settings.debug = True
    other = settings.replaced(debug=True)
    assert (other.debug, other.config["debug"], settings.debug) == (True, True, False)


@pytest.mark.parametrize(("verb", "key", "value", "reason"), WRONG)
def test_a_value_of_another_type_is_refused_with_what_is_allowed(verb, key, value, reason):
    config = composed(verb, [])
    with pytest.raises(ConfigError) as refusal:
        settings_of(verb, {**config, key: value})
    assert str(refusal.value).startswith(reason)


def test_what_changes_the_sampling_is_kept_by_key_without_nulls():
    config = composed("sample", ["guidance.scale=2", "guidance.interval=[1,2]", "sampler=heun", "sampler.steps=4"])
    settings = settings_of("sample", config)
    assert isinstance(settings, SampleSettings)
    found = dict(settings.sampling)
    assert found.pop("sampler") == {key: value for key, value in config["sampler"].items() if value is not None}
    assert found == {"guidance.scale": 2.0, "guidance.interval": (1.0, 2.0)}
    assert not settings_of("sample", composed("sample", [])).sampling
    assert isinstance(settings_of("check", composed("train", [])), TrainSettings)
