"""Moments do not depend on how the rows were cut, and not on where they lie."""

import pytest
import torch

from genkit.errors import ConfigError
from genkit.metrics.moments import Moments, gram

ROWS = torch.randn(60, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ torch.diag(
    torch.tensor([1.0, 2.0, 0.1, 30.0, 1e-3], dtype=torch.float64)
)


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("size", [1, 7, 60])
def test_moments_of_pieces_are_those_of_the_whole(size: int) -> None:
    moments = Moments.over(ROWS.split(size))
    assert moments.count == 60
    assert relative_error(moments.mean, ROWS.mean(0)) < 1e-13
    assert relative_error(moments.covariance, torch.cov(ROWS.T)) < 1e-13


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_merging_processes_is_seeing_everything(parts: int) -> None:
    merged = Moments.of(ROWS[::parts])
    for rank in range(1, parts):
        merged = merged.merge(Moments.over(ROWS[rank::parts].split(4)))
    assert relative_error(merged.covariance, torch.cov(ROWS.T)) < 1e-13


def test_covariance_is_unbiased() -> None:
    rows = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    assert float(Moments.of(rows).covariance) == 2.0


@pytest.mark.parametrize(("offset", "tolerance"), [(1e6, 1e-8), (1e8, 1e-6)])
def test_a_large_mean_costs_no_precision(offset: float, tolerance: float) -> None:
    shifted = ROWS + offset
    exact = torch.cov((shifted - offset).T)  # of what the shifted rows still hold
    assert relative_error(Moments.over(shifted.split(7)).covariance, exact) < tolerance


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 rows, got 1"):
        _ = Moments.of(ROWS[:1]).covariance
    with pytest.raises(ConfigError, match="no rows"):
        Moments.over([ROWS[:0]])


@pytest.mark.parametrize("dim", [63, 64, 65, 200, 700])
def test_strips_give_the_whole_scatter(dim: int) -> None:
    rows = torch.randn(20, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 3.0
    scatter = Moments.of(rows).scatter
    assert relative_error(scatter, 19 * torch.cov(rows.T)) < 1e-13


@pytest.mark.parametrize("shape", [(1, 1), (60, 5), (7, 130), (300, 64)], ids=str)
def test_a_gram_is_the_product_to_the_last_symmetric_entry(shape: tuple[int, int]) -> None:
    wide = torch.randn(shape[0], 2 * shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for rows in (wide[:, : shape[1]].contiguous(), wide[:, ::2]):  # the second does not lie in one piece
        found = gram(rows)
        torch.testing.assert_close(found, rows.T @ rows, rtol=1e-12, atol=1e-12)
        assert torch.equal(found, found.T)
        assert found.shape == (shape[1], shape[1])
