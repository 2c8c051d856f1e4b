"""The diffusion transformer: its start, its positions, what it refuses."""

import pytest
import torch

from genkit.errors import ConfigError
from genkit.nn.dit import DiT, DiTBlock, positions


def test_a_block_starts_as_the_identity():
    torch.manual_seed(0)
    h = torch.randn(2, 5, 8)
    assert torch.equal(DiTBlock(8, 2, 4, None)(h, None), h)
    assert torch.equal(DiTBlock(8, 2, 4, 3)(h, torch.randn(2, 3)), h)


def test_every_place_has_its_own_position():
    place = positions(7, 5, 16)
    assert place.shape == (35, 16)
    assert (torch.cdist(place, place) + 10 * torch.eye(35)).min() > 0.1


def test_places_matter():
    torch.manual_seed(0)
    net = DiT(in_shape=(1, 8, 8), out_shape=(1, 8, 8), width=16, depth=1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    x = torch.randn(1, 1, 8, 8)
    moved = net(x.roll(2, 3))
    assert (moved - net(x).roll(2, 3)).abs().max() > 1e-3


@pytest.mark.parametrize(("width", "heads"), [(10, 5), (12, 5), (6, 2)])
def test_widths_that_do_not_split_are_refused(width, heads):
    with pytest.raises(ConfigError, match=f"width={width}"):
        DiT(in_shape=(1, 8, 8), out_shape=(1, 8, 8), width=width, heads=heads)


def test_it_maps_images_alone():
    with pytest.raises(ConfigError, match="backbone=dit maps images"):
        DiT(in_shape=(2,), out_shape=(2,))
