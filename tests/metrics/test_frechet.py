"""The Fréchet distance against closed forms, laws, and its own bias."""

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, NumericalError
from genkit.metrics import folding
from genkit.metrics.base import Probe
from genkit.metrics.frechet import (
    FrechetDistance,
    ReferenceMoments,
    frechet_distance,
    frechet_distance_of_rows,
    weighted_distances,
)
from genkit.metrics.frechet_error import FrechetError
from genkit.metrics.interval import resamples
from genkit.metrics.moments import Moments

SPEC = DataSpec((2,), "vector")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def probe(real: Tensor | None = None, fake: Tensor | None = None) -> Probe:
    rows = {"real_features": real, "fake_features": fake}
    return Probe(SPEC, {name: lambda x=x: x for name, x in rows.items() if x is not None})


def metric_of(real: Tensor, fake: Tensor, batch_size: int = 10**6) -> FrechetDistance:
    metric = FrechetDistance()
    for x in real.split(batch_size):
        metric.update(probe(real=x))
    for x in fake.split(batch_size):
        metric.update(probe(fake=x))
    return metric


def fid(real: Tensor, fake: Tensor) -> float:
    return float(metric_of(real, fake).compute())


def test_diagonal_gaussians() -> None:
    mean1, mean2 = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([1.0, 1.0, 0.0]).double()
    cov1, cov2 = torch.diag(torch.tensor([1.0, 4.0, 9.0])).double(), torch.diag(torch.tensor([4.0, 1.0, 9.0])).double()
    assert float(frechet_distance(mean1, cov1, mean2, cov2)) == pytest.approx(7.0, abs=1e-10)


def test_covariances_that_do_not_commute() -> None:
    a = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    b = torch.tensor([[1.0, -0.3], [-0.3, 3.0]], dtype=torch.float64)
    overlap = ((a @ b).trace() + 2 * (a.det() * b.det()).sqrt()).sqrt()
    distance = float(frechet_distance(torch.zeros(2).double(), a, torch.zeros(2).double(), b))
    assert distance == pytest.approx(float(a.trace() + b.trace() - 2 * overlap), abs=1e-10)
    assert distance == pytest.approx(0.929311854968, abs=1e-10)


@pytest.mark.parametrize("shape", [(200, 6), (5, 12)])
def test_affine_image(shape: tuple[int, int]) -> None:
    x = normal(*shape) @ normal(shape[1], shape[1], seed=1)
    wanted = (0.7 * x.mean(0) + 0.3).square().sum() + 0.49 * torch.cov(x.T).trace()
    assert fid(x, 1.7 * x + 0.3) == pytest.approx(float(wanted), rel=1e-10)


def test_rotation_changes_nothing() -> None:
    x, y = normal(300, 8) @ normal(8, 8, seed=1), normal(250, 8, seed=2) + 0.5
    q = torch.linalg.qr(normal(8, 8, seed=3)).Q
    assert fid(x @ q, y @ q) == pytest.approx(fid(x, y), rel=1e-10)


RANK_3 = normal(200, 3) @ normal(3, 10, seed=1)


@pytest.mark.parametrize("rows", [normal(200, 10), RANK_3, normal(8, 20)], ids=["full", "rank 3", "n < d"])
def test_identical_sets_are_at_zero_and_never_below(rows: Tensor) -> None:
    distance = fid(rows, rows.clone())
    assert 0.0 <= distance < 1e-8 * float(torch.cov(rows.T).trace())


def test_rank_deficient_commuting_covariances() -> None:
    q = torch.linalg.qr(normal(50, 50)).Q
    first = torch.cat([torch.linspace(0.5, 4.0, 20), torch.zeros(30)]).double()
    second = torch.cat([torch.linspace(3.0, 0.1, 20), torch.zeros(10), torch.ones(20)]).double()
    covariances = [q @ torch.diag(v) @ q.T for v in (first, second)]
    wanted = float((first.sqrt() - second.sqrt()).square().sum())
    zero = torch.zeros(50).double()
    assert float(frechet_distance(zero, covariances[0], zero, covariances[1])) == pytest.approx(wanted, rel=1e-10)
    assert float(frechet_distance(zero, covariances[1], zero, covariances[0])) == pytest.approx(wanted, rel=1e-10)


def test_null_directions_of_the_reference_let_no_noise_through() -> None:
    """The samples vary most where the reference does not at all: rounding there must not reach the root."""
    q = torch.linalg.qr(normal(50, 50)).Q
    first = torch.cat([torch.linspace(0.5, 4.0, 20), torch.zeros(30)]).double()
    second = torch.cat([1e-9 * torch.ones(20), torch.ones(30)]).double()
    zero = torch.zeros(50).double()
    distance = float(frechet_distance(zero, q @ torch.diag(first) @ q.T, zero, q @ torch.diag(second) @ q.T))
    assert distance == pytest.approx(float((first.sqrt() - second.sqrt()).square().sum()), rel=1e-10)


def test_few_rows_agree_with_the_covariances_that_they_imply() -> None:
    x, y = normal(9, 15), 2.0 * normal(12, 15, seed=1) + 1.0
    a, b = Moments.of(x), Moments.of(y)
    direct = float(frechet_distance(a.mean, a.covariance, b.mean, b.covariance))
    assert float(frechet_distance_of_rows(x, y)) == pytest.approx(direct, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_batches_change_nothing(batch_size: int) -> None:
    x, y = normal(200, 6), normal(180, 6, seed=1) * 1.3 + 0.2
    assert float(metric_of(x, y, batch_size).compute()) == pytest.approx(fid(x, y), rel=1e-12)


def test_batches_change_no_bit_of_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "WINDOW", 32)
    x, y = normal(200, 6), normal(180, 6, seed=1) * 1.3 + 0.2
    assert len({float(metric_of(x, y, batch_size).compute()) for batch_size in (1, 7, 31, 32, 33, 200)}) == 1


def test_rows_that_come_after_a_score_are_in_the_next_one() -> None:
    x, y = normal(200, 6), normal(180, 6, seed=1) * 1.3 + 0.2
    metric = metric_of(x[:120], y[:90])
    assert metric.interval(0, 0) is not None
    metric.compute()
    metric.update(probe(x[120:], y[90:]))
    assert float(metric.compute()) == pytest.approx(fid(x, y), rel=1e-12)
    assert metric.interval(0, 0) == pytest.approx(metric_of(x, y).interval(0, 0), rel=1e-9)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_change_nothing(world: int) -> None:
    x, y = normal(200, 6), normal(180, 6, seed=1) * 1.3 + 0.2
    metrics = [metric_of(x[rank::world], y[rank::world], 16) for rank in range(world)]
    for other in metrics[1:]:
        metrics[0].merge_state(other)
    assert float(metrics[0].compute()) == pytest.approx(fid(x, y), rel=1e-12)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a side beyond 4,800 bytes are folded, 20 at a time."""
    monkeypatch.setattr(folding, "KEPT", 100 * 6 * 8)
    monkeypatch.setattr(folding, "PIECE", 20)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("batch_size", [7, 150, 3000])
def test_rows_beyond_what_is_kept_are_folded_into_the_same_score(batch_size: int) -> None:
    x, y = normal(3000, 6), normal(90, 6, seed=1) * 1.3 + 0.2
    whole, folded = metric_of(x, y), metric_of(x, y, batch_size)
    held = sum(piece.nbytes for lists in (folded.real, folded.real_sample) for piece in lists)
    assert held < 2 * folding.KEPT
    left, right = Moments.of(x), Moments.of(y)
    exact = float(frechet_distance(left.mean, left.covariance, right.mean, right.covariance))
    assert float(folded.compute()) == pytest.approx(exact, rel=1e-10)
    error = FrechetError.of(x, y)
    assert error is not None
    assert folded.interval(0, 0) == pytest.approx(error.interval(exact), rel=0.05)
    assert folded.redrawn_interval(0, 0) == pytest.approx(error.redrawn_interval(exact), rel=0.1)
    assert whole.params() == folded.params()
    assert folded.interval(0, 0) == pytest.approx(whole.interval(0, 0), rel=1e-9)  # the sample is batch size's neither
    assert list(folded.warnings(exact, None)) == []


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("sizes", [(200, 150), (2000, 60)], ids=str)
def test_processes_that_fold_change_nothing(sizes: tuple[int, int]) -> None:
    """Also where one of them has folded rows and another one has not."""
    x = normal(sum(sizes), 6)
    metrics = [metric_of(part, part * 1.3 + 0.2, 16) for part in x.split(sizes)]
    merged = metrics[0]
    for name in ("real", "fake", "real_moments", "fake_moments", "real_sample", "fake_sample"):
        setattr(merged, name, [torch.cat([torch.cat(getattr(metric, name)) for metric in metrics])])
    assert float(merged.compute()) == pytest.approx(float(metric_of(x, x * 1.3 + 0.2).compute()), rel=1e-10)
    assert merged.interval(0, 0) is not None


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("bad", [3, 2999])
def test_a_row_that_is_not_finite_is_refused_when_folded(bad: int) -> None:
    x = normal(3000, 6)
    x[bad, 2] = float("nan")
    with pytest.raises(NumericalError, match="is not finite"):
        metric_of(normal(3000, 6), x, 500).compute()


@pytest.mark.parametrize(("offset", "tolerance"), [(1e6, 1e-6), (1e8, 1e-4)])
def test_a_large_offset_costs_little(offset: float, tolerance: float) -> None:
    x, y = normal(400, 5), 1.5 * normal(300, 5, seed=1) + 0.4
    assert float(metric_of(x + offset, y + offset, 64).compute()) == pytest.approx(fid(x, y), rel=tolerance)


def test_bias_of_white_features() -> None:
    """E = 2d/n + d(d + 1)/(2n) between two samples, 0.336 here; the mean of 20 has an error of about 0.01."""
    values = [fid(normal(500, 16, seed=2 * i), normal(500, 16, seed=2 * i + 1)) for i in range(20)]
    assert sum(values) / 20 == pytest.approx(0.336, abs=0.04)


def test_bias_against_an_exact_reference() -> None:
    """d/n + d(d + 1)/(4n) = 0.296 to first order where one side has no sampling error."""
    zero, eye = torch.zeros(32).double(), torch.eye(32).double()
    samples = [Moments.of(normal(1000, 32, seed=i)) for i in range(20)]
    values = [float(frechet_distance(zero, eye, m.mean, m.covariance)) for m in samples]
    assert sum(values) / 20 == pytest.approx(0.296, abs=0.01)


def test_variances_are_divided_by_n_minus_one() -> None:
    """Rows 0, 2 have variance 2 and rows 0, 4 variance 8: (√8 − √2)² + 1 = 3."""
    x = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    assert fid(x, 2 * x) == pytest.approx(3.0, abs=1e-12)


@pytest.mark.parametrize("shape", [(300, 6), (10, 15)])
def test_weighted_distance_is_that_of_the_repeated_rows(shape: tuple[int, int]) -> None:
    x, y = normal(*shape), normal(*shape, seed=1) + 0.3
    reference = ReferenceMoments.of(x)
    centred = x - x.mean(0)
    torch.testing.assert_close(reference.factor @ reference.factor.T, centred.T @ centred / (len(x) - 1))
    for counts, got in zip(resamples(len(y), 3, 5), weighted_distances(x, y, resamples(len(y), 3, 5)), strict=True):
        assert float(got) == pytest.approx(fid(x, y.repeat_interleave(counts, 0)), rel=1e-6)


def test_interval_holds_the_value_and_the_spread_of_fresh_samples() -> None:
    x = normal(4000, 4)
    metric = metric_of(x, normal(400, 4, seed=1) + 0.5)
    low, high = metric.interval(50, 0)
    fresh = torch.tensor([fid(x, normal(400, 4, seed=10 + i) + 0.5) for i in range(40)])
    assert low < float(metric.compute()) < high
    assert (high - low) / (2 * 1.96) == pytest.approx(float(fresh.std()), rel=0.4)
    assert metric.interval(50, 0) == (low, high)


@pytest.mark.parametrize("shape", [(50, 4), (4, 9)])
def test_collapsed_samples_leave_the_variance_of_the_reference(shape: tuple[int, int]) -> None:
    x = normal(*shape)
    constant = torch.ones(shape, dtype=torch.float64)
    wanted = float((x.mean(0) - 1.0).square().sum() + x.var(0).sum())
    assert fid(x, constant) == pytest.approx(wanted, rel=1e-12)
    assert fid(constant, x) == pytest.approx(wanted, rel=1e-12)
    assert list(metric_of(x, constant, batch_size=7).warnings(wanted, None)) == ["all samples are the same"]
    assert list(metric_of(constant, x, batch_size=7).warnings(wanted, None)) == []


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 fake samples, got 1"):
        fid(normal(5, 2), normal(1, 2))
    with pytest.raises(ConfigError, match="4 columns and fake rows 3"):
        fid(normal(5, 4), normal(5, 3))
    with pytest.raises(NumericalError, match="fake row 3 is not finite"):
        fid(normal(5, 2), normal(5, 2).index_fill(0, torch.tensor([3]), float("nan")))
