"""Outliers are stored values of the data, as many as were given, and differ from these in what they say they do."""

import pytest
import torch

from genkit.data.kinds import Categorical
from genkit.data.outliers import outlier_kinds, outliers_of
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError

SPECS = {
    "grey": DataSpec((1, 4, 4), "image", value_range=(-1.0, 1.0), levels=17),
    "colour": DataSpec((3, 4, 6), "image", value_range=(-1.0, 1.0), levels=256),
    "binary": DataSpec((1, 4, 4), "image", value_range=(-1.0, 1.0), levels=2),
    "points": DataSpec((3,), "vector"),
    "tokens": DataSpec((9,), "sequence", kind=Categorical(5)),
}
ALL = [(data, kind) for data, spec in SPECS.items() for kind in outlier_kinds(spec)]


def values(data: str, n: int = 50) -> torch.Tensor:
    spec, draw = SPECS[data], torch.Generator().manual_seed(1)
    if spec.kind.count is None:
        return torch.randn((n, *spec.shape), generator=draw)
    return torch.randint(spec.kind.count, (n, *spec.shape), generator=draw).to(spec.kind.stored_dtype)


@pytest.mark.parametrize(("data", "kind"), ALL)
def test_outliers_are_values_of_the_data_and_a_function_of_the_seed(data, kind):
    spec, v = SPECS[data], values(data)
    found = outliers_of(kind, v, spec, 3)
    assert found.shape == v.shape
    assert found.dtype == v.dtype
    assert not bool(spec.kind.invalid(found).any())
    assert not torch.equal(found, v)
    assert torch.equal(found, outliers_of(kind, v, spec, 3))
    assert torch.equal(v, values(data))  # which are left alone


def test_what_outliers_keep():
    v, spec = values("colour"), SPECS["colour"]
    shuffled = outliers_of("shuffled_pixels", v, spec, 0)

    def pixels(x):
        return x.long().flatten(2).mul(torch.tensor([1, 256, 65536])[:, None]).sum(1).sort(1).values

    assert torch.equal(pixels(shuffled), pixels(v))  # the same pixels, their channels together
    assert torch.equal(outliers_of("flipped_lr", v, spec, 0).flip(3), v)
    assert torch.equal(outliers_of("flipped_ud", v, spec, 0).flip(2), v)
    assert torch.equal(255 - outliers_of("inverted", v, spec, 0).long(), v.long())
    twice = values("grey")
    for _ in range(4):
        twice = outliers_of("rotated", twice, SPECS["grey"], 0)
    assert torch.equal(twice, values("grey"))
    assert outliers_of("blank", v, spec, 0).unique().tolist() == [0]
    columns = outliers_of("shuffled_columns", values("points"), SPECS["points"], 0)
    assert torch.equal(columns.sort(0).values, values("points").sort(0).values)


def test_averages_lie_between_and_round_both_ways():
    v = values("grey", 400)
    found, pair = outliers_of("averages", v, SPECS["grey"], 0).double(), torch.stack((v, v.roll(1, 0))).double()
    assert bool(((pair.amin(0) <= found) & (found <= pair.amax(0))).all())
    assert float((found - pair.mean(0)).mean()) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(("data", "kind"), [("colour", "rotated"), ("points", "inverted"), ("grey", "upside")])
def test_outliers_that_such_data_does_not_have_are_refused(data, kind):
    with pytest.raises(ConfigError, match="there are"):
        outliers_of(kind, values(data), SPECS[data], 0)
