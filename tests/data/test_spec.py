"""The map between stored values and model values: exact both ways, bins filled and none left."""

import pytest
import torch

from genkit.data.spec import DataSpec, check_values
from genkit.errors import DataError

SPECS = {
    "8 bit": DataSpec((1, 4, 4), "image", (-1.0, 1.0), levels=256),
    "digits": DataSpec((1, 8, 8), "image", (-1.0, 1.0), levels=17),
    "binary": DataSpec((1, 2, 2), "image", (0.0, 1.0), levels=2),
    "odd range": DataSpec((3,), "vector", (-3.0, 7.0), levels=11),
}
VECTOR = DataSpec((2,), "vector")


@pytest.fixture(params=sorted(SPECS))
def spec(request: pytest.FixtureRequest) -> DataSpec:
    return SPECS[request.param]


def all_levels(spec: DataSpec) -> torch.Tensor:
    assert spec.levels is not None
    return torch.arange(spec.levels).to(torch.uint8)


def test_round_trip_of_every_level(spec: DataSpec) -> None:
    v = all_levels(spec)
    assert torch.equal(spec.unscale(spec.scale(v)), v)


def test_levels_are_the_middles_of_their_bins(spec: DataSpec) -> None:
    assert spec.value_range is not None
    lo, hi = spec.value_range
    x = spec.scale(all_levels(spec)).double()
    torch.testing.assert_close(x[0] - lo, torch.tensor(spec.bin_width / 2).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(hi - x[-1], torch.tensor(spec.bin_width / 2).double(), rtol=0, atol=1e-6)
    assert x.mean() == pytest.approx((lo + hi) / 2, abs=1e-6)


def test_dequantised_values_fill_the_range(spec: DataSpec) -> None:
    """u = 0 gives the lower edge of the bin, u → 1 the upper one, which is the lower edge of the next."""
    assert spec.value_range is not None
    lo, hi = spec.value_range
    x = spec.scale(all_levels(spec)).double()
    lower, upper = spec.dequantise(x, torch.zeros_like(x)), spec.dequantise(x, torch.ones_like(x))
    torch.testing.assert_close(lower[1:], upper[:-1], rtol=0, atol=1e-6)
    assert float(lower[0]) == pytest.approx(lo, abs=1e-6)
    assert float(upper[-1]) == pytest.approx(hi, abs=1e-6)


def test_dequantised_values_stay_in_their_bin(spec: DataSpec) -> None:
    v = all_levels(spec)
    for u in (0.001, 0.25, 0.5, 0.999):
        assert torch.equal(spec.unscale(spec.dequantise(spec.scale(v), torch.full((len(v),), u))), v)


def test_values_outside_the_range_are_clipped(spec: DataSpec) -> None:
    assert spec.levels is not None
    assert spec.unscale(torch.tensor([-100.0, 100.0])).tolist() == [0, spec.levels - 1]


def test_squashed_numbers_lie_between_the_middles_of_the_outer_levels_in_their_order(spec: DataSpec) -> None:
    x = spec.scale(all_levels(spec)).double().flatten()
    squashed = spec.squash(torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0]).double())
    torch.testing.assert_close(squashed[[0, 2, 4]], torch.stack((x[0], (x[0] + x[-1]) / 2, x[-1])), rtol=0, atol=1e-6)
    assert (squashed.diff() > 0).all()


def test_continuous_data_is_left_alone() -> None:
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(VECTOR.squash(x), x)
    assert torch.equal(VECTOR.scale(x), x)
    assert torch.equal(VECTOR.unscale(x), x)
    assert torch.equal(VECTOR.dequantise(x, torch.zeros_like(x)), x)
    assert VECTOR.unscale(x.double()).dtype == torch.float64
    with pytest.raises(DataError, match="no bin width"):
        _ = VECTOR.bin_width


@pytest.mark.parametrize("one", [*SPECS.values(), VECTOR], ids=[*SPECS, "vector"])
def test_json_round_trip(one: DataSpec) -> None:
    assert DataSpec.from_json(one.to_json()) == one


def test_the_centre_of_any_point_of_a_bin() -> None:
    spec = DataSpec((1, 1, 1), "image", (-1.0, 1.0), 17)
    x = spec.scale(torch.arange(17).reshape(-1, 1, 1, 1))
    u = torch.linspace(0.01, 0.99, 17).reshape(-1, 1, 1, 1)
    assert torch.equal(spec.centre(spec.dequantise(x, u)), x)
    assert spec.centre(x.double()).dtype == torch.float64
    continuous = torch.randn(3, 2)
    assert spec.centre(x).dtype == torch.float32
    assert DataSpec((2,), "vector").centre(continuous) is continuous


@pytest.mark.parametrize(("shape", "said"), [((2,), r"\(n, 2\)"), ((1, 4, 4), r"\(n, 1, 4, 4\)")])
def test_a_refusal_names_the_shape_of_a_batch(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(DataError, match=f"sample takes model values, float of shape {said}, not float32"):
        check_values(torch.zeros(3, 7), shape, "sample")
