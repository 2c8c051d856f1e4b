"""The pyramid of resolutions, and networks of one shape whatever the level count asks for."""

import pytest
import torch

from genkit.nn.conv import Conv, pyramid


@pytest.mark.parametrize(
    ("size", "levels", "expected"),
    [
        ((8, 8), 3, [(8, 8), (4, 4)]),
        ((28, 28), 3, [(28, 28), (14, 14), (7, 7)]),
        ((28, 28), 9, [(28, 28), (14, 14), (7, 7), (4, 4)]),
        ((27, 31), 4, [(27, 31), (14, 16), (7, 8), (4, 4)]),
        ((6, 64), 4, [(6, 64)]),
        ((1, 1), 3, [(1, 1)]),
        ((32, 32), 1, [(32, 32)]),
    ],
)
def test_resolutions_halve_rounded_up_until_a_side_would_fall_below_four(size, levels, expected):
    assert pyramid(*size, levels) == expected


@pytest.mark.parametrize("channels", [(8,), (8, 16), (8, 16, 24, 32, 40)])
def test_levels_below_the_smallest_are_left_out(channels):
    kept = min(len(channels), 2)
    encoder = Conv(in_shape=(1, 8, 8), out_shape=(3,), channels=channels)
    decoder = Conv(in_shape=(3,), out_shape=(1, 8, 8), channels=channels)
    assert len(encoder.net.blocks) == len(decoder.net.blocks) == kept
    assert decoder(encoder(torch.zeros(2, 1, 8, 8))).shape == (2, 1, 8, 8)


def test_blocks_start_near_their_skip():
    torch.manual_seed(0)
    block = Conv(in_shape=(1, 8, 8), out_shape=(3,), channels=(16,)).net.blocks[0]
    h = torch.randn(4, 16, 8, 8)
    assert (block(h, None) - h).std() < 0.1 * h.std()
