"""Small languages: probabilities that sum to one, samples that come as often as they say."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from genkit.data.languages import Dyck, HiddenMarkov, Language, Sums, catalan
from genkit.data.sources.language import LANGUAGES, SmallLanguage


def words(language: Language) -> torch.Tensor:
    """Every text of so few symbols, valid or not."""
    if not language.ends:
        return torch.tensor([*itertools.product(range(4), repeat=language.length)])
    symbols = language.symbols
    sizes = range(language.length)
    return language.encoded(["".join(word) for size in sizes for word in itertools.product(symbols, repeat=size)])


@pytest.mark.parametrize("language", [Dyck(3), HiddenMarkov(4)], ids=["dyck", "hidden_markov"])
def test_probabilities_sum_to_one_over_all_texts(language: Language) -> None:
    x = words(language)
    mass = language.log_prob(x).exp()
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-12)
    assert torch.equal(mass > 0, language.valid(x))


def test_the_right_sums_have_all_the_mass() -> None:
    language = Sums(7)
    x = language.encoded([f"{a}+{b}={a + b}" for a in range(7) for b in range(7)])
    assert float(language.log_prob(x).exp().sum()) == pytest.approx(1.0, abs=1e-12)
    wrong = language.encoded(["1+1=3", "7+1=8", "", "1+1=2="[:5]])
    assert language.valid(wrong).tolist() == [False, False, False, True]


@pytest.mark.parametrize("language", [Dyck(3), Sums(3), HiddenMarkov(3)], ids=["dyck", "sums", "hidden_markov"])
def test_samples_come_as_often_as_they_are_likely(language: Language) -> None:
    """χ² of 20,000 texts over the distinct ones, within four deviations of its mean."""
    x = language.sample(20_000, torch.Generator().manual_seed(0))
    assert bool(language.valid(x).all())
    distinct, counts = torch.unique(x, dim=0, return_counts=True)
    mass = language.log_prob(distinct).exp()
    assert float(mass.sum()) > 0.999  # what is rare may not have come
    free = len(distinct) - 1
    chi = float(((counts - 20_000 * mass) ** 2 / (20_000 * mass)).sum())
    assert chi < free + 4 * math.sqrt(2 * free)


def test_catalan_numbers() -> None:
    assert [catalan(k) for k in range(6)] == [1, 1, 2, 5, 14, 42]


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_language_is_a_dataset(name: str) -> None:
    data = SmallLanguage(name=name, n_train=100)  # type: ignore[arg-type]
    x = data.split("train").take(torch.arange(100)).x
    assert x.shape == (100, *data.spec.shape)
    assert not bool(data.spec.kind.invalid(x).any())
    assert data.density is not None
    assert bool(data.density.log_prob(x).isfinite().all())
    assert data.split("val").fingerprint != data.split("test").fingerprint


def test_what_does_not_end_is_no_text() -> None:
    language = Dyck(2)
    rows = torch.tensor([[0, 1, 0, 1, 0], [0, 1, 2, 3, 3], [0, 1, 2, 0, 3], [2, 3, 3, 3, 3], [0, 3, 1, 2, 3]])
    assert language.valid(rows).tolist() == [False, True, False, False, False]
