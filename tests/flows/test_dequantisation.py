"""Variational dequantisation: a bijection of every bin onto itself, and its Jacobian; on images and vectors."""

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.flows.dequantisation import VariationalDequantisation
from genkit.noise import generator_of

IMAGE = DataSpec(shape=(2, 3, 4), modality="image", value_range=(-1.0, 1.0), levels=5, num_classes=3)
VECTOR = DataSpec(shape=(5,), modality="vector", value_range=(0.0, 8.0), levels=4)
SPECS = {"image": IMAGE, "vector": VECTOR}


def bent(spec: DataSpec, num_classes: int | None = None) -> VariationalDequantisation:
    torch.manual_seed(0)
    moved = VariationalDequantisation(spec=spec, num_classes=num_classes, hidden_channels=8)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator_of(1, "parameters"))
    return moved.double()


def points(spec: DataSpec, n: int) -> Tensor:
    lo, hi = spec.value_range or (0.0, 0.0)
    return lo + (hi - lo) * torch.rand(n, *spec.shape, generator=generator_of(2, "x"), dtype=torch.float64)


@pytest.mark.parametrize("name", SPECS)
def test_no_value_leaves_its_level_and_all_move(name: str) -> None:
    spec, x = SPECS[name], points(SPECS[name], 32)
    moved = bent(spec)(x)[0]
    assert torch.equal(spec.unscale(moved), spec.unscale(x))
    assert ((moved - x).abs() > 1e-6).double().mean() > 0.99


@pytest.mark.parametrize("name", SPECS)
def test_its_log_determinant_is_the_one_of_autograd_and_its_inverse_undoes_it(name: str) -> None:
    spec, x, moved = SPECS[name], points(SPECS[name], 2), bent(SPECS[name])
    z, found = moved(x)
    torch.testing.assert_close(moved.inverse(z), x, rtol=0, atol=1e-9)
    for i in range(2):
        jacobian = torch.autograd.functional.jacobian(lambda v: moved(v)[0], x[i : i + 1])
        expected = torch.linalg.slogdet(jacobian.reshape(spec.dim, spec.dim))[1]
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-6)


def test_the_stored_value_decides_where_in_its_level_the_noise_goes() -> None:
    x = points(VECTOR, 1)
    other = x.clone()
    other[0, 2] = (x[0, 2] + VECTOR.bin_width) % 8  # the same place in another level
    moved = bent(VECTOR)
    assert (moved(x)[0] - moved(other)[0])[0, [0, 1, 3, 4]].abs().max() > 1e-4


def test_labels_are_read() -> None:
    moved, x = bent(IMAGE, 3), points(IMAGE, 1)
    assert (moved(x, torch.tensor([0]))[0] - moved(x, torch.tensor([1]))[0]).abs().max() > 1e-4


def test_at_its_start_it_is_nearly_uniform_noise() -> None:
    torch.manual_seed(0)
    moved = VariationalDequantisation(spec=IMAGE, num_classes=None)
    x = points(IMAGE, 16).float()
    assert (moved(x)[0] - x).abs().max() < 0.1 * IMAGE.bin_width
    assert moved(x)[1].abs().max() < 2


def test_continuous_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="no levels"):
        VariationalDequantisation(spec=DataSpec(shape=(2,), modality="vector"), num_classes=None)
