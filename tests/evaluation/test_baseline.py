"""Baselines: the Gaussian's moments are the data's, its values are storable, and it is seeded."""

import pytest
import torch

from genkit.data.dataset import Dataset, SplitName
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.evaluation import baseline
from genkit.evaluation.baseline import (
    BASELINES,
    mean_and_factor,
    pixel_gaussian,
    pixel_marginals,
    pixel_mixture,
    training_copies,
)


class Correlated(Dataset):
    """Three correlated values, one of which never changes; or the same as 64 levels."""

    batch_size = 16
    eval_n = 100

    def __init__(self, levels: int | None) -> None:
        value_range = None if levels is None else (-1.0, 1.0)
        self.spec = DataSpec((1, 1, 4) if levels else (4,), "image" if levels else "vector", value_range, levels)
        z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
        rows = torch.stack([z[:, 0], z[:, 0] + 0.5 * z[:, 1], z[:, 2] - z[:, 1], torch.zeros(4000)], dim=1)
        if levels is not None:
            rows = (32 + 6 * rows).round().clamp(0, levels - 1).to(torch.uint8)
        self.x = rows.reshape(4000, *self.spec.shape)

    def split(self, name: SplitName) -> Split:
        return InMemory({"train": self.x[:3000], "val": self.x[3000:3500], "test": self.x[3500:]}[name])


@pytest.mark.parametrize("levels", [None, 64])
def test_gaussian_has_the_moments_of_the_training_split(levels: int | None) -> None:
    data, n = Correlated(levels), 40_000
    train, fake = data.split("train").x.flatten(1).double(), pixel_gaussian(data, n, 0).flatten(1).double()
    covariance = torch.cov(train.T)
    error = (covariance.diagonal().max() / n**0.5).item()
    torch.testing.assert_close(fake.mean(0), train.mean(0), rtol=0, atol=5 * error)
    rounding = 0 if levels is None else 1 / 12  # variance that rounding to integers adds
    expected = covariance + rounding * torch.eye(4, dtype=torch.float64) * (covariance.diagonal() > 0)
    torch.testing.assert_close(torch.cov(fake.T), expected, rtol=0, atol=5 * error * 2)


def test_factor_reproduces_a_singular_covariance() -> None:
    rows = Correlated(None).split("train").x
    mean, factor = mean_and_factor(InMemory(rows))
    torch.testing.assert_close(factor @ factor.T, torch.cov(rows.double().T))
    torch.testing.assert_close(mean, rows.double().mean(0))


@pytest.mark.parametrize("count", [40, 1300])
def test_many_values_need_no_eigendecomposition(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples fewer than values, and more; a value that never changes."""
    monkeypatch.delattr(torch.linalg, "eigh")
    rows = torch.randn(count, 1030, generator=torch.Generator().manual_seed(0))
    rows[:, 3] = 1.0
    mean, factor = mean_and_factor(InMemory(rows))
    assert factor.shape == (1030, min(count, 1030))
    torch.testing.assert_close(factor @ factor.T, torch.cov(rows.double().T), rtol=0, atol=2e-6)
    torch.testing.assert_close(mean, rows.double().mean(0))


def test_of_very_many_examples_evenly_spaced_ones_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genkit.evaluation.baseline.GAUSSIAN_ROWS", 20)
    rows = torch.randn(45, 1030, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mean_and_factor(InMemory(rows))[0], rows[::3].double().mean(0))


def test_gaussian_is_stored_values_and_seeded() -> None:
    data = Correlated(64)
    fake = pixel_gaussian(data, 500, 1)
    assert fake.dtype == torch.uint8
    assert fake.shape == (500, *data.spec.shape)
    assert fake.max() < 64
    assert torch.equal(fake, pixel_gaussian(data, 500, 1))
    assert not torch.equal(fake, pixel_gaussian(data, 500, 2))


def test_marginals_keep_each_value_s_distribution_and_lose_the_correlations() -> None:
    data = Correlated(None)
    train, fake = data.split("train").x, pixel_marginals(data, 20_000, 0)
    torch.testing.assert_close(fake.std(0), train.std(0), rtol=0.05, atol=0)
    assert torch.isin(fake[:50, 1], train[:, 1]).all()
    correlation = torch.corrcoef(fake[:, :3].T)
    assert float((correlation - torch.eye(3)).abs().max()) < 0.05


def test_mixture_reproduces_two_groups_that_no_gaussian_has() -> None:
    data = Correlated(None)
    data.x[:, 0] += 20.0 * (torch.arange(4000) % 2)
    fake = pixel_mixture(data, 4000, 0)
    between = ((fake[:, 0] > 6) & (fake[:, 0] < 14)).float().mean()
    assert between < 0.01
    assert 0.4 < float((fake[:, 0] > 10).float().mean()) < 0.6
    assert ((pixel_gaussian(data, 4000, 0)[:, 0] - 10).abs() < 4).float().mean() > 0.2


def test_copies_take_each_example_once_before_any_twice() -> None:
    data = Correlated(None)
    copies = training_copies(data, 4500, 0)
    rows, counts = copies.unique(dim=0, return_counts=True)
    assert len(rows) == 3000
    assert counts.tolist().count(2) == 1500


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_stored_values_and_seeded(name: str) -> None:
    data, (_, draw) = Correlated(64), BASELINES[name]
    fake = draw(data, 60, 1)
    assert (fake.dtype, fake.shape) == (torch.uint8, (60, *data.spec.shape))
    assert fake.max() < 64
    assert torch.equal(fake, draw(data, 60, 1))
    assert not torch.equal(fake, draw(data, 60, 2))


def test_the_mixture_is_fitted_to_a_draw_of_the_training_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever order the examples are listed: the first of a sorted split would be one end of it."""
    monkeypatch.setattr(baseline, "MIXTURE_ROWS", 500)
    data, listed = Correlated(64), Correlated(64)
    train = data.x[:3000]
    listed.x = torch.cat([train[train.flatten(1)[:, 0].argsort()], data.x[3000:]])
    found = pixel_mixture(listed, 2000, 0)
    assert torch.equal(found, pixel_mixture(data, 2000, 0))
    assert abs(float(found.float().mean() - train.float().mean())) < 1
