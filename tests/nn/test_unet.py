"""The U-Net: any size, a fold that loses nothing, zero at the start, modulation by the embedding."""

import pytest
import torch

from genkit.nn.unet import UNet, fold_of
from genkit.noise import generator_of


def unet(size: tuple[int, int], **options) -> UNet:
    torch.manual_seed(0)
    net = UNet(in_shape=(2, *size), out_shape=(2, *size), time=True, channels=(8, 16), **options)
    torch.nn.init.normal_(net.last.weight, std=0.1)
    return net


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 8), (13, 16), (27, 31), (28, 28), (33, 40)], ids=str)
@pytest.mark.parametrize("patch", [None, 1, 3])
def test_any_size_goes_in_and_comes_out(size, patch):
    x = torch.randn(2, 2, *size, generator=generator_of(0, "x"))
    out = unet(size, patch=patch)(x, torch.zeros(2))
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


def test_an_odd_size_is_the_padded_size_cropped():
    net = unet((8, 8), patch=1)
    x = torch.randn(2, 2, 7, 7, generator=generator_of(0, "x"))
    padded = torch.cat((x, x[..., -1:]), 3)
    padded = torch.cat((padded, padded[:, :, -1:]), 2)
    torch.testing.assert_close(net(x, torch.ones(2)), net(padded, torch.ones(2))[..., :7, :7])


def test_it_starts_at_zero():
    net = UNet(in_shape=(1, 8, 8), out_shape=(1, 8, 8))
    assert net(torch.randn(2, 1, 8, 8, generator=generator_of(0, "x"))).abs().max() == 0


@pytest.mark.parametrize(("side", "fold"), [(8, 1), (16, 1), (17, 2), (28, 2), (32, 2), (33, 4), (256, 4)])
def test_larger_images_are_folded_more(side, fold):
    assert fold_of(side, side) == fold_of(side, 300) == fold


def test_every_pixel_can_reach_every_other_through_attention():
    net = unet((16, 16), patch=1)
    for module in net.modules():  # zero-initialised layers hide what lies behind them
        if isinstance(module, torch.nn.Conv2d) and module.weight.abs().max() == 0:
            torch.nn.init.normal_(module.weight, std=0.1)
    x = torch.randn(1, 2, 16, 16, generator=generator_of(0, "x")).requires_grad_()
    net(x, torch.zeros(1))[0, 0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad != 0).all()
