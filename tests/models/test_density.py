"""What a density is asked about is handed by its base class: checked, and centres where bins or encoders want them."""

import pytest
import torch
from torch import Tensor

from genkit.data.kinds import Categorical, Kind, Quantised, Real
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, DataError
from genkit.models.density import Density, Dequantisation, EncodedBound, LatentBound, stored_bits

KINDS: dict[str, Kind] = {
    "real": Real(),
    "quantised": Quantised(17, (-1.0, 1.0)),
    "categorical": Categorical(5),
}


class Asked(Density):
    """Remembers what it was asked about."""

    bound = "exact"

    def __init__(self, kind: Kind, dequantisation: Dequantisation) -> None:
        self.spec, self.dequantisation = DataSpec((3,), "vector", kind=kind), dequantisation

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.x = x
        return x.double().sum(1)


class Encoded(EncodedBound):
    def __init__(self, kind: Kind) -> None:
        self.spec = DataSpec((3,), "vector", kind=kind)

    def encoded_log_prob(self, x: Tensor, centre: Tensor, y: Tensor | None) -> Tensor:
        self.x, self.centre = x, centre
        return x.sum(1)


class Drawn(LatentBound):
    def __init__(self, kind: Kind) -> None:
        self.spec = DataSpec((3,), "vector", kind=kind)

    def drawn_log_weights(self, x: Tensor, centre: Tensor, y: Tensor | None, k: int, seed: int) -> Tensor:
        self.x, self.centre = x, centre
        return x.sum(1).expand(k, -1)


def stored(kind: Kind) -> Tensor:
    return torch.randn(4, 3) if kind.count is None else torch.randint(kind.count, (4, 3)).to(kind.stored_dtype)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dequantisation", ["none", "uniform"])
def test_a_mass_is_handed_centres_and_a_density_points_of_the_same_bins(
    name: str, dequantisation: Dequantisation
) -> None:
    kind = KINDS[name]
    model, v = Asked(kind, dequantisation), stored(kind)
    model.nll(v)
    x = model.x[: len(v)]
    assert x.dtype == kind.model_dtype
    assert torch.equal(kind.to_stored(x), v)
    assert torch.equal(x, kind.to_model(v)) == (dequantisation == "none" or not kind.spreads)
    moved = kind.dequantise(kind.to_model(v), torch.full(v.shape, 0.9))
    model.log_prob(moved)
    assert torch.equal(model.x, kind.to_model(v) if dequantisation == "none" else moved)


@pytest.mark.parametrize("model", [Encoded, Drawn])
def test_an_encoder_is_handed_centres_beside_the_points(model: type[Encoded] | type[Drawn]) -> None:
    kind = KINDS["quantised"]
    asked, v = model(kind), stored(kind)
    asked.nll(v)
    assert torch.equal(asked.centre[:4], kind.to_model(v))
    assert not torch.equal(asked.x[:4], asked.centre[:4])
    if isinstance(asked, LatentBound):
        assert torch.allclose(asked.importance_nll(v, k=3), asked.nll(v), atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_an_x_of_another_type_or_shape_is_refused_before_any_model_sees_it(name: str) -> None:
    model = Asked(KINDS[name], "uniform")
    other = torch.zeros(4, 3) if name == "categorical" else torch.zeros(4, 3, dtype=torch.int64)
    for wrong in (other, torch.zeros(4, 2, dtype=KINDS[name].model_dtype)):
        with pytest.raises(DataError):
            model.log_prob(wrong)


def test_bits_of_tokens_are_bits_per_token_and_refused_where_they_are_padded() -> None:
    nll = torch.tensor([3 * 2 * torch.log(torch.tensor(2.0))])
    assert stored_bits(nll, DataSpec((3,), "sequence", levels=4)).tolist() == pytest.approx([2.0])
    with pytest.raises(ConfigError, match="padded"):
        stored_bits(nll, DataSpec((3,), "sequence", kind=Categorical(4, ("eos", "pad"))))
    with pytest.raises(ConfigError, match="use nll"):
        stored_bits(nll, DataSpec((3,), "sequence"))
