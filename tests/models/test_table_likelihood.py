"""The likelihood of rows: every column's masses and densities are one in all, and draws have them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genkit.data.sources.table import Table
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.table_likelihood import TableLikelihood

PLACES = 20_000  # of a coordinate, at equally likely ones of a standard normal distribution
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


@pytest.fixture(scope="module")
def spec(mixed_table) -> DataSpec:
    return Table(root=str(mixed_table), columns={"note": ("low", "mid", "high")}).spec


@pytest.fixture
def likelihood(spec) -> TableLikelihood:
    made = TableLikelihood(spec=spec).double()
    with torch.no_grad():
        made.log_scale.copy_(torch.randn(spec.shape, generator=torch.Generator().manual_seed(1)) * 0.5 - 0.3)
    return made


def outputs(spec: DataSpec) -> Tensor:
    return torch.randn(1, spec.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_probabilities_of_a_column_are_one_in_all(spec, likelihood):
    """Over the places of its switch, and of each number by Σ p(z) / N(z) at standard normal z."""
    z = torch.special.ndtri((torch.arange(PLACES, dtype=torch.float64) + 0.5) / PLACES)
    normal = -0.5 * z.square() - HALF_LOG_TAU
    kinds: set[tuple[str, bool]] = set()
    for column, own in zip(spec.kind.table.columns, spec.kind.table.slices, strict=True):
        blocks = list(column.code.blocks())
        kinds |= {(block.kind, block.switched) for block in blocks}
        x = torch.zeros(PLACES, spec.dim, dtype=torch.float64)
        switch = blocks[0].width if blocks and blocks[0].kind == "one-hot" else 0
        numbered = switch < own.stop - own.start
        total = 0.0
        for place in range(max(switch, 1)) if blocks else ():
            x[:, own] = 0.0
            if switch:
                x[:, own.start + place] = 1.0
            if numbered:
                x[:, own.stop - 1] = z
            log_p = likelihood.log_density(x, outputs(spec)).detach()[:, own].sum(1)
            total += float((log_p - normal if numbered else log_p).exp().mean())
        assert not blocks or total == pytest.approx(1.0, abs=2e-3), column.name
    assert kinds >= {("one-hot", False), ("ordered", False), ("continuous", True)}


def test_draws_have_these_probabilities(spec, likelihood):
    n = 20_000
    out = outputs(spec).expand(n, -1)
    eps = torch.randn(n, spec.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        drawn = likelihood.draw(out, eps)
        stored = spec.unscale(drawn)
        density = likelihood.log_density(stored, out[:1])
    for own, block in spec.kind.table.blocks:
        if block.kind == "one-hot":
            found = stored[:, own].mean(0)
            expected = outputs(spec)[0, own].softmax(0)
            assert torch.allclose(found, expected, atol=0.02)
        elif block.kind == "ordered" and not block.switched:
            values, place, counts = stored[:, own.start].unique(return_inverse=True, return_counts=True)
            edges = torch.tensor([-math.inf, *block.edges, math.inf], dtype=torch.float64)
            shares = torch.special.ndtr(edges).diff()[torch.searchsorted(edges, values) - 1]
            log_p = torch.zeros_like(values).scatter_(0, place, density[:, own.start]) + 0.5 * values.square()
            assert torch.allclose((log_p + HALF_LOG_TAU).exp() * shares, counts.double() / n, atol=0.02)
        elif block.kind == "continuous":
            scale = float(likelihood.log_scale[own.start].detach().exp())
            assert float(drawn[:, own.start].std()) == pytest.approx(scale, rel=0.03)


def test_its_gradient_is_finite_far_from_the_data(spec, likelihood):
    x = spec.scale(spec.kind.vectors(spec.kind.cells(5 * torch.randn(50, spec.dim))))
    out = torch.full((50, spec.dim), 60.0, dtype=torch.float64, requires_grad=True)
    log_p = likelihood.log_density(x.double(), out).sum()
    log_p.backward()
    assert torch.isfinite(log_p)
    assert torch.isfinite(out.grad).all()
    assert torch.isfinite(likelihood.log_scale.grad).all()


def test_other_data_is_refused():
    with pytest.raises(ConfigError, match="needs a table"):
        TableLikelihood(spec=DataSpec((3,), "vector"))
