"""The nearest right name, and what an annotation allows in words."""

from typing import Annotated, Literal

import pytest

from genkit.component import PositiveFloat, PositiveInt, Probability, Range
from genkit.config.schema import describe
from genkit.config.suggestions import did_you_mean, listing, nearest_name

KEYS = [
    "model.latent_dim",
    "model.hidden",
    "model",
    "optimizer.lr",
    "optimizer.amsgrad",
    "optimizer",
    "trainer.max_steps",
]


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("model.hiden", "model.hidden"),
        ("modle", "model"),
        ("modle.hidden", "model.hidden"),
        ("latent_dim", "model.latent_dim"),
        ("max_stps", "trainer.max_steps"),
        ("trainer.max_stps", "trainer.max_steps"),
        ("optimizer.learning_rate", None),  # a common parent alone is no likeness
        ("zzz", None),
    ],
)
def test_nearest(word, right):
    assert nearest_name(word, KEYS) == right
    assert did_you_mean(word, KEYS) == (f"; did you mean {right}?" if right else "")


def test_long_listings_are_cut():
    assert listing(["b", "a"]) == "a, b"
    assert listing(map(str, range(30)), limit=2) == "0, 1, … (30 in all)"


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (PositiveInt, "an integer ≥ 1"),
        (PositiveFloat, "a finite number > 0"),
        (Probability | None, "a finite number in [0, 1] or null"),
        (Annotated[float, Range(0, 2, open_low=True)], "a finite number in (0, 2]"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[int, ...], "a list of an integer"),
        (tuple[float, float], "a list [a finite number, a finite number]"),
        (dict[str, bool], "a mapping to true or false"),
    ],
)
def test_descriptions(hint, words):
    assert describe(hint) == words
