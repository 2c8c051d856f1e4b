"""Inception-v3 against numbers of torch-fidelity's class with the same seeded weights, and TensorFlow 1's resize."""

import pytest
import torch
from inception_case import seeded

from genkit.nn.inception import TAPS, resized

# sum and root mean square of each tap of the image below, by torch_fidelity 0.4.0
EXPECTED = {
    "64": (22.331004, 0.51652687),
    "192": (136.06773, 1.1135258),
    "768": (879.41262, 1.9818868),
    "2048": (3827.0014, 3.2164671),
    "logits_unbiased": (480.52333, 14.785763),
    "logits": (481.95426, 14.785702),
}


@torch.no_grad()
def test_every_tap_is_what_torch_fidelity_computes() -> None:
    net = seeded()
    assert len(net.state_dict()) == 566
    assert sum(p.numel() for p in net.parameters()) == 23_850_960
    image = (torch.arange(3 * 20 * 31).reshape(1, 3, 20, 31) * 37 % 256).float()
    taps = net(image)
    assert tuple(taps) == TAPS
    for name, (total, size) in EXPECTED.items():
        tap = taps[name].double()
        assert float(tap.square().mean().sqrt()) == pytest.approx(size, rel=1e-5), name
        assert float(tap.sum()) == pytest.approx(total, rel=1e-4), name


def test_a_pixel_reads_at_its_number_times_the_ratio() -> None:
    """4 pixels to 8: places 0, ½, 1, … 3, 3½, and beyond the last pixel its own value."""
    x = torch.tensor([0.0, 10.0, 30.0, 70.0]).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    row = resized(x, 8)[0, 0, 0]
    assert row.tolist() == [0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 70.0, 70.0]


def test_the_same_size_is_left_alone_and_axes_are_treated_alike() -> None:
    x = torch.rand(2, 3, 13, 29, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resized(x[..., :13], 13), x[..., :13])
    torch.testing.assert_close(resized(x, 21).mT, resized(x.mT, 21))
