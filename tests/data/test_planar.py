"""The plane's distributions: densities that integrate to one, samples that follow them, labels that say where."""

from math import e, log, pi

import pytest
import torch

from genkit.data.sources.planar import EightGaussians, NoisyCircles, NoisyCurve, Pinwheel, Planar, TwentyFiveGaussians
from genkit.data.sources.toy import TOYS
from genkit.noise import generator_of

CELLS, HALF = 240, 6.0  # a whole number of cells per unit square, so that a checkerboard's edges are cells' edges
CELL = 2 * HALF / CELLS


@pytest.fixture(params=sorted(TOYS), scope="module")
def planar(request: pytest.FixtureRequest) -> Planar:
    return TOYS[request.param]()


@pytest.fixture(scope="module")
def log_density(planar: Planar) -> torch.Tensor:
    """log p at the middles of the cells of [−6, 6]², (CELLS²,)."""
    return planar.log_prob(middles())


def middles() -> torch.Tensor:
    """The middles of the cells of [−6, 6]², (CELLS², 2)."""
    side = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * CELL - HALF
    return torch.cartesian_prod(side, side)


def test_density_integrates_to_one(log_density: torch.Tensor) -> None:
    assert float(log_density.exp().sum()) * CELL**2 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("threshold", [-HALF, 0.0])
def test_samples_follow_the_density(planar: Planar, log_density: torch.Tensor, threshold: float) -> None:
    """E[log p(x) 1(x₁ > threshold)] over samples is that of the quadrature, within five standard errors."""
    x, _ = planar.sample(40_000, generator_of(0, "test"))
    terms = (log_density.exp() * CELL**2 * log_density).nan_to_num(0.0)
    expected = float(terms[middles()[:, 0] > threshold].sum())
    values = planar.log_prob(x) * (x[:, 0] > threshold)
    assert float(values.mean()) == pytest.approx(expected, abs=5 * float(values.std()) / 200 + 1e-3)


def test_density_is_that_of_the_histogram(planar: Planar, log_density: torch.Tensor) -> None:
    """Counts in cells of side 1/2 agree with the integrated density: χ² per cell near one."""
    n, side = 40_000, 24
    x, _ = planar.sample(n, generator_of(1, "test"))
    cell = ((x + HALF) * 2).floor().long()
    counts = torch.bincount(cell[:, 0] * side + cell[:, 1], minlength=side**2).double()
    fine = (log_density.exp() * CELL**2).view(side, CELLS // side, side, CELLS // side)
    expected = n * fine.sum((1, 3)).flatten()
    likely = expected > 20
    chi_square = ((counts - expected).square() / expected)[likely].mean()
    assert 0.4 < float(chi_square) < 1.8


def test_log_prob_survives_rounding_to_float32(planar: Planar) -> None:
    """What a split stores is float32: no sample may leave the support, and log p hardly moves."""
    x, _ = planar.sample(20_000, generator_of(2, "test"))
    exact, stored = planar.log_prob(x), planar.log_prob(x.to(torch.float32))
    assert stored.dtype == torch.float64
    torch.testing.assert_close(stored, exact, rtol=0, atol=1e-3)


def test_log_prob_far_away_is_low_and_no_nan(planar: Planar) -> None:
    assert (planar.log_prob(torch.tensor([[1e3, 0.0], [0.0, -1e5], [3e4, 3e4]])) < -1e3).all()


def test_labels_are_uniform_and_cover_all_classes(planar: Planar) -> None:
    _, y = planar.sample(20_000, generator_of(3, "test"))
    share = y.bincount(minlength=planar.num_classes) / len(y)
    assert len(share) == planar.num_classes
    assert (share - 1 / planar.num_classes).abs().max() < 0.02


def test_sampling_is_a_function_of_the_generator(planar: Planar) -> None:
    first, second, other = (planar.sample(64, generator_of(seed, "test")) for seed in (0, 0, 1))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_eight_gaussians_entropy() -> None:
    """The components hardly overlap: H = log 8 + log(2π e σ²), reached by the mean log-density."""
    x, _ = EightGaussians().sample(40_000, generator_of(0, "entropy"))
    entropy = log(8) + log(2 * pi * e * 0.2**2)
    assert -float(EightGaussians().log_prob(x).mean()) == pytest.approx(entropy, abs=0.02)


def test_checkerboard_is_one_eighth_on_eight_squares() -> None:
    board = TOYS["checkerboard"]()
    log_prob = board.log_prob(middles())
    assert log_prob.unique().tolist() == [-torch.inf, -log(8)]
    assert float((log_prob > -torch.inf).sum()) * CELL**2 == pytest.approx(8.0)
    x, _ = board.sample(1000, generator_of(0, "board"))
    torch.testing.assert_close(board.log_prob(x.float()), torch.full((1000,), -log(8), dtype=torch.float64))


@pytest.mark.parametrize("mixture", [EightGaussians(), TwentyFiveGaussians()], ids=["8", "25"])
def test_label_of_a_mixture_is_the_nearest_centre(mixture: EightGaussians | TwentyFiveGaussians) -> None:
    x, y = mixture.sample(5_000, generator_of(0, "labels"))
    nearest = torch.cdist(x, mixture.centres).argmin(dim=1)
    assert (nearest == y).double().mean() > 0.999
    assert mixture.modes is not None
    assert mixture.modes.centres.shape == (mixture.num_classes, 2)
    assert (x - mixture.centres[y]).std() == pytest.approx(mixture.modes.std, rel=0.03)


@pytest.mark.parametrize("name", ["circles", "rings"])
def test_label_of_a_circle_is_the_nearest_radius(name: str) -> None:
    circles = TOYS[name]()
    assert isinstance(circles, NoisyCircles)
    x, y = circles.sample(5_000, generator_of(0, "labels"))
    nearest = (x.norm(dim=1, keepdim=True) - circles.radii).abs().argmin(dim=1)
    assert (nearest == y).double().mean() > 0.995


def test_circle_agrees_with_its_definition_as_a_mixture() -> None:
    """The Bessel function against 400 Gaussians on the circle, an integral that the trapezoid rule gets exactly."""
    circle = NoisyCircles(radii=(1.5,), std=0.3)
    angle = torch.arange(400, dtype=torch.float64) * 2 * pi / 400
    centres = 1.5 * torch.stack([angle.cos(), angle.sin()], dim=1)
    x = 3 * torch.randn(200, 2, generator=generator_of(0, "circle"), dtype=torch.float64)
    square = torch.cdist(x, centres).square()
    expected = torch.logsumexp(-square / 0.18, dim=1) - log(400 * 2 * pi * 0.09)
    torch.testing.assert_close(circle.log_prob(x), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["two_moons", "spiral"])
def test_quadrature_of_a_curve_has_converged(name: str) -> None:
    curve, finer = TOYS[name](), TOYS[name]()
    assert isinstance(curve, NoisyCurve)
    assert isinstance(finer, NoisyCurve)
    NoisyCurve.__init__(finer, curve.std, curve.power, nodes=len(curve.centres))  # twice the nodes
    x, _ = curve.sample(2_000, generator_of(0, "curve"))
    torch.testing.assert_close(curve.log_prob(x), finer.log_prob(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["two_moons", "spiral"])
def test_half_turn_swaps_the_labels_of_a_curve(name: str) -> None:
    curve = TOYS[name]()
    x, _ = curve.sample(500, generator_of(0, "turn"))
    torch.testing.assert_close(curve.log_prob(x), curve.log_prob(-x))


def test_pinwheel_turns_into_itself_by_a_fifth() -> None:
    pinwheel, angle = Pinwheel(), 2 * pi / 5
    turn = torch.tensor([[torch.cos(torch.tensor(angle)), -torch.sin(torch.tensor(angle))]] * 2, dtype=torch.float64)
    turn[1] = torch.stack([-turn[0, 1], turn[0, 0]])
    x, _ = pinwheel.sample(500, generator_of(0, "turn"))
    torch.testing.assert_close(pinwheel.log_prob(x @ turn.T), pinwheel.log_prob(x), rtol=0, atol=1e-5)
