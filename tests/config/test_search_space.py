"""The space of a search in Hydra's grammar, and what a search is checked for before anything of it is made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from genkit.config.hydra.search.options import SearchOptions
from genkit.config.hydra.search.space import (
    IntegerDimension,
    RealDimension,
    Space,
    WordDimension,
    shown_values,
    space_of,
    words_of,
)
from genkit.errors import ConfigError

DIMENSIONS = {
    "a=interval(1e-4,1e-1)": RealDimension(1e-4, 1e-1),
    "a=interval(1,4)": RealDimension(1.0, 4.0),
    "a=tag(log,interval(1e-4,1e-1))": RealDimension(1e-4, 1e-1, log=True),
    "a=int(interval(1,64))": IntegerDimension(1, 64),
    "a=tag(log,int(interval(1,64)))": IntegerDimension(1, 64, log=True),
    "a=range(16,129,16)": IntegerDimension(16, 128, 16),
    "a=range(1,10,4)": IntegerDimension(1, 9, 4),
    "a=range(3)": IntegerDimension(0, 2),
    "a=tag(log,range(1,257))": IntegerDimension(1, 256, log=True),
    "a=range(0.1,0.5,0.1)": RealDimension(0.1, 0.4, 0.1),
    "a=choice(x,y)": WordDimension(("x", "y")),
    "a=x,y,x": WordDimension(("x", "y")),
    "a=1,2.5,'b c'": WordDimension(("1", "2.5", "'b c'")),
}
REFUSED = {
    "a=interval(4,1)": "from a number to a larger one",
    "a=interval(2,2)": "from a number to a larger one",
    "a=interval(0,inf)": "from a number to a larger one",
    "a=tag(log,interval(0,1))": "numbers above 0",
    "a=tag(log,range(0,9))": "numbers above 0",
    "a=tag(log,range(1,9,2))": "a logarithm has no steps",
    "a=tag(log,choice(1,2))": "a choice has no logarithm",
    "a=tag(big,interval(1,2))": "tag big",
    "a=range(9,1,-1)": "goes upwards",
    "a=range(4,4)": "goes upwards",
}


def space(*words: str) -> tuple[Space, list[str]]:
    return space_of(OverridesParser.create().parse_overrides(list(words)))


@pytest.mark.parametrize("word", DIMENSIONS)
def test_a_word_is_a_dimension(word: str) -> None:
    """The values that it lists are those that Hydra's own sweeper runs, where it can run them."""
    found, fixed = space(word, "b=[1,2]")
    assert fixed == ["b=[1,2]"]
    dimension, wanted = found.dimensions["a"], DIMENSIONS[word]
    assert type(dimension) is type(wanted)
    assert {
        key: pytest.approx(value) if isinstance(value, float) else value for key, value in vars(wanted).items()
    } == (vars(dimension))
    (override,) = OverridesParser.create().parse_overrides([word])
    if override.is_discrete_sweep():
        values = [float(value) for value in dimension.values() or ()] if dimension.is_number else dimension.values()
        ran = list(dict.fromkeys(override.sweep_string_iterator()))
        assert list(values or ()) == (pytest.approx([float(value) for value in ran]) if dimension.is_number else ran)


@pytest.mark.parametrize("word", REFUSED)
def test_what_is_no_dimension_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[word]) as refusal:
        space(word)
    assert str(refusal.value).startswith(word)


@pytest.mark.parametrize("word", DIMENSIONS)
def test_optuna_draws_from_the_same_values(word: str) -> None:
    optuna = pytest.importorskip("optuna")
    dimension = space(word)[0].dimensions["a"]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [study.ask({"a": dimension.distribution()}).params["a"] for _ in range(30)]
    if (values := dimension.values()) is not None:
        assert all(any(one == pytest.approx(value) for value in values) for one in drawn)
        assert len(set(drawn)) > 1
    else:
        low, high = dimension.ends()
        assert all(float(low) <= one <= float(high) for one in drawn)


def test_words_are_exact_and_tables_are_short() -> None:
    """A trial is continued by its words, so they must lead to the same number."""
    params = {"lr": 0.1 + 0.2, "w": 64, "tiny": 1.2345678e-9, "name": "'b c'"}
    words = words_of(params)
    parsed = {
        override.get_key_element(): override.value() for override in OverridesParser.create().parse_overrides(words)
    }
    assert [parsed[key] for key in ("lr", "w", "tiny")] == [params[key] for key in ("lr", "w", "tiny")]
    assert shown_values(params) == {"lr": "0.3", "w": "64", "tiny": "1.235e-09", "name": "b c"}


def test_points_of_a_finite_space() -> None:
    found, _ = space("a=1,2", "b=range(3)")
    assert found.size == 6
    assert [tuple(point.values()) for point in found.points()] == [(a, b) for a in "12" for b in range(3)]
    assert space("a=1,2", "b=interval(0,1)")[0].size is None
    first, *others = found.probes()
    assert first == {"a": "1", "b": 0}
    assert others == [{"a": "2", "b": 0}, {"a": "1", "b": 2}]


BAD = {
    "nothing to search": (["a=range(3,4)"], {}),
    "of the whole search": (["run_dir=a,b"], {}),
    "none twice": (["a=1,2"], {"objectives": ("monitor", "monitor")}),
    "compares the monitored value alone": (["a=1,2"], {"objectives": ("monitor", "parameters"), "pruner": "median"}),
    "needs two numeric keys": (["a=interval(0,1)", "b=x,y"], {"sampler": "cmaes"}),
    "it has one objective": (["a=1,2"], {"sampler": "cmaes", "objectives": ("monitor", "parameters")}),
    "a is an interval": (["a=interval(0,1)"], {"sampler": "grid"}),
    "choose fewer": (["a=range(1000)", "b=range(1000)"], {"sampler": "grid"}),
}


@pytest.mark.parametrize("said", BAD)
def test_options_that_do_not_fit_the_space_are_refused(said: str) -> None:
    words, options = BAD[said]
    with pytest.raises(ConfigError, match=said):
        replace(SearchOptions(), **options).check(space(*words)[0])
