r"""Inception-v3 as trained in TensorFlow on 2015-12-05, the network behind published FIDs.

It differs from later editions: average pooling leaves the padding out, the last block pools by maxima, and the head has
1,008 classes. Images are brought to 299x299 as TensorFlow 1 does it, output pixel i at the source place i · in/out, and
to (v − 128)/128. Parameter names are those of the published file, so that it loads as it is.

References:
    Rethinking the Inception Architecture for Computer Vision (Szegedy et al., 2015), 1512.00567.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 299
CLASSES = 1008
TAPS = ("64", "192", "768", "2048", "logits_unbiased", "logits")

Kernel = int | tuple[int, int]


class ConvBNReLU(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, channels: int, width: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def average(x: Tensor) -> Tensor:
    """3x3 means at stride 1, of the pixels that exist."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def halved(x: Tensor) -> Tensor:
    """3x3 maxima at stride 2."""
    return F.max_pool2d(x, 3, 2)


class BlockA(nn.Module):
    """1x1, 5x5, twice 3x3 and pooling, side by side."""

    def __init__(self, channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = ConvBNReLU(channels, 64, 1)
        self.branch5x5_1 = ConvBNReLU(channels, 48, 1)
        self.branch5x5_2 = ConvBNReLU(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvBNReLU(channels, 64, 1)
        self.branch3x3dbl_2 = ConvBNReLU(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvBNReLU(96, 96, 3, padding=1)
        self.branch_pool = ConvBNReLU(channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(average(x))], 1)


class BlockB(nn.Module):
    """Halves the image: 3x3, twice 3x3, maxima."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = ConvBNReLU(channels, 384, 3, 2)
        self.branch3x3dbl_1 = ConvBNReLU(channels, 64, 1)
        self.branch3x3dbl_2 = ConvBNReLU(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvBNReLU(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, halved(x)], 1)


class BlockC(nn.Module):
    """7x7 as 1x7 and 7x1, once and twice."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        wide = partial(ConvBNReLU, kernel=(1, 7), padding=(0, 3))
        tall = partial(ConvBNReLU, kernel=(7, 1), padding=(3, 0))
        self.branch1x1 = ConvBNReLU(channels, 192, 1)
        self.branch7x7_1 = ConvBNReLU(channels, width, 1)
        self.branch7x7_2 = wide(width, width)
        self.branch7x7_3 = tall(width, 192)
        self.branch7x7dbl_1 = ConvBNReLU(channels, width, 1)
        self.branch7x7dbl_2 = tall(width, width)
        self.branch7x7dbl_3 = wide(width, width)
        self.branch7x7dbl_4 = tall(width, width)
        self.branch7x7dbl_5 = wide(width, 192)
        self.branch_pool = ConvBNReLU(channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(average(x))], 1)


class BlockD(nn.Module):
    """Halves the image: 3x3, 7x7 then 3x3, maxima."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = ConvBNReLU(channels, 192, 1)
        self.branch3x3_2 = ConvBNReLU(192, 320, 3, 2)
        self.branch7x7x3_1 = ConvBNReLU(channels, 192, 1)
        self.branch7x7x3_2 = ConvBNReLU(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = ConvBNReLU(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = ConvBNReLU(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), halved(x)], 1)


class BlockE(nn.Module):
    """3x3 as 1x3 beside 3x1, once and after a 3x3.

    Args:
        channels: Of the input.
        maxima: Whether the pooled branch takes maxima, as the last block does.
    """

    def __init__(self, channels: int, maxima: bool) -> None:
        super().__init__()
        self.maxima = maxima
        self.branch1x1 = ConvBNReLU(channels, 320, 1)
        self.branch3x3_1 = ConvBNReLU(channels, 384, 1)
        self.branch3x3_2a = ConvBNReLU(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = ConvBNReLU(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = ConvBNReLU(channels, 448, 1)
        self.branch3x3dbl_2 = ConvBNReLU(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = ConvBNReLU(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = ConvBNReLU(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = ConvBNReLU(channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        three, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        sides = [self.branch3x3_2a(three), self.branch3x3_2b(three)]
        sides += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        pooled = F.max_pool2d(x, 3, 1, 1) if self.maxima else average(x)
        return torch.cat([self.branch1x1(x), *sides, self.branch_pool(pooled)], 1)


class InceptionV3(nn.Module):
    """The network; its parameters have the names of the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvBNReLU(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = ConvBNReLU(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvBNReLU(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvBNReLU(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvBNReLU(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (BlockC(768, w) for w in (128, 160, 160, 192))
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, maxima=False), BlockE(2048, maxima=True)
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, v: Tensor) -> dict[str, Tensor]:
        """Values v (B, 3, H, W) float32 in [0, 255] to what stands at each of TAPS, (B, ·)."""
        x = (resized(v, SIZE) - 128.0) / 128.0
        first = halved(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        second = halved(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(first)))
        third = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(second))))
        third = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(third))))
        last = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(third))).mean((2, 3))
        unbiased = last @ self.fc.weight.T
        pooled = (tap.mean((2, 3)) for tap in (first, second, third))
        return dict(zip(TAPS, (*pooled, last, unbiased, unbiased + self.fc.bias), strict=True))


def resized(x: Tensor, size: int) -> Tensor:
    """(B, C, H, W) to (B, C, size, size), bilinear, with TensorFlow 1's places: pixel i reads at i · in / size."""
    for axis in (2, 3):
        length = x.shape[axis]
        place = torch.arange(size, dtype=torch.float32, device=x.device) * (length / size)
        low = place.floor().long().clamp(max=length - 1)
        high = (low + 1).clamp(max=length - 1)
        weight = (place - low).reshape(-1, *[1] * (3 - axis))
        below, above = x.index_select(axis, low), x.index_select(axis, high)
        x = below + (above - below) * weight
    return x
