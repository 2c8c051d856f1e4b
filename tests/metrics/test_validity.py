"""Validity against languages whose words can be listed."""

import itertools

import pytest
import torch

from genkit.data.languages import Sums, catalan
from genkit.data.sources.language import SmallLanguage
from genkit.data.sources.toy import Toy
from genkit.errors import ConfigError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.metrics.validity import Validity


def evaluator(data, name="language"):
    return Evaluator({"validity": Validity()}, RawFeatures("none"), Reference.of(data, name), named=True)


def test_dyck_words_among_all_of_eight_brackets():
    data = SmallLanguage("dyck", n_train=10)
    texts = ["".join(text) for text in itertools.product("()", repeat=8)]
    [record] = evaluator(data).score_samples(data.language.encoded(texts))
    assert record.value == catalan(4) / 2**8
    assert record.ci95[0] < record.value < record.ci95[1]
    assert (record.floor.mean, record.n_ref) == (1.0, None)


def test_sums_that_are_right():
    data = SmallLanguage("sums", n_train=10)
    assert isinstance(data.language, Sums)
    found = evaluator(data).score_samples(data.language.encoded(["1+1=2", "12+7=19", "1+1=3", "1+=1"]))
    assert found[0].value == 0.5
    assert evaluator(data).score_samples(data.split("test").x)[0].value == 1.0


def test_other_data_has_no_grammar():
    with pytest.raises(ConfigError, match="metric=validity cannot score samples"):
        evaluator(Toy(), "toy").score_samples(torch.zeros(4, 2))
