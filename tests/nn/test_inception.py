"""Inception-v3 against numbers of torch-fidelity's class with the same seeded weights, and TensorFlow 1's resize.

scripts/peer_inception.py made the numbers.
"""

import json
from pathlib import Path

import pytest
import torch
from inception_case import IMAGES, SMALL, fingerprint, image, seeded

from genkit.nn.inception import TAPS, InceptionV3, resized

PEER = json.loads(Path(__file__).with_name("inception_peer.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def net() -> InceptionV3:
    return seeded()


def test_the_network_has_the_published_parameters(net: InceptionV3) -> None:
    assert len(net.state_dict()) == 566
    assert sum(p.numel() for p in net.parameters()) == 23_850_960


@pytest.mark.parametrize(("height", "width"), IMAGES)
@torch.no_grad()
def test_every_tap_is_what_torch_fidelity_computes(net: InceptionV3, height: int, width: int) -> None:
    taps = net(image(height, width))
    assert tuple(taps) == TAPS
    for name, wanted in PEER["taps"][f"{height}x{width}"].items():
        found = fingerprint(taps[name])
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5 * max(1.0, wanted[0])), name


def test_resize_is_torch_fidelity_s() -> None:
    assert resized(image(*SMALL), 9).flatten().tolist() == pytest.approx(PEER["resized"], rel=1e-6, abs=1e-6)


def test_a_pixel_reads_at_its_number_times_the_ratio() -> None:
    """4 pixels to 8: places 0, ½, 1, … 3, 3½, and beyond the last pixel its own value."""
    x = torch.tensor([0.0, 10.0, 30.0, 70.0]).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    row = resized(x, 8)[0, 0, 0]
    assert row.tolist() == [0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 70.0, 70.0]


def test_the_same_size_is_left_alone_and_axes_are_treated_alike() -> None:
    x = torch.rand(2, 3, 13, 29, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resized(x[..., :13], 13), x[..., :13])
    torch.testing.assert_close(resized(x, 21).mT, resized(x.mT, 21))
