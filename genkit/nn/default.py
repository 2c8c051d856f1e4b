"""The default network between two shapes (`backbone: null`)."""

from functools import partial
from math import prod

from genkit.nn.backbone import Backbone, BackboneFactory
from genkit.nn.conv import Conv
from genkit.nn.mlp import MLP
from genkit.nn.strided_conv import StridedConv
from genkit.nn.unet import UNet
from genkit.nn.widths import COLOUR, SMALLEST, halving_widths

OCTAVES = 3  # of a vector's own MLP: down to a quarter of a radian, for data of about unit scale
SMALL = 1024  # values in an image, up to which an MLP serves
SMALL_NETWORK = partial(MLP, width=256, depth=3)


def quick_backbone(shape: tuple[int, ...]) -> BackboneFactory:
    """For data of `shape`: an MLP on small images, where it learns several times faster than convolutions."""
    return SMALL_NETWORK if len(shape) == 3 and prod(shape) <= SMALL else default_backbone


def critical_backbone(shape: tuple[int, ...]) -> BackboneFactory:
    """For a generator of data of `shape` and its critic: strided convolutions on large images in colour.

    Both are asked several times a step, under penalties for their second derivatives too, and strided convolutions are
    the cheapest that see colour images well.
    """
    strided = len(shape) == 3 and prod(shape) > SMALL and shape[0] >= COLOUR and min(shape[1:]) >= SMALLEST
    return partial(StridedConv, channels=halving_widths(shape)) if strided else quick_backbone(shape)


def default_backbone(
    *, in_shape: tuple[int, ...], out_shape: tuple[int, ...], num_classes: int | None = None, time: bool = False
) -> Backbone:
    """A U-Net from image to image, a convolutional encoder or decoder between image and vector, else an MLP."""
    if (len(in_shape), len(out_shape)) == (1, 1):
        return MLP(in_shape=in_shape, out_shape=out_shape, num_classes=num_classes, time=time, octaves=OCTAVES)
    kinds: dict[tuple[int, int], type[UNet] | type[Conv]] = {(3, 3): UNet, (3, 1): Conv, (1, 3): Conv}
    kind = kinds.get((len(in_shape), len(out_shape)), MLP)
    return kind(in_shape=in_shape, out_shape=out_shape, num_classes=num_classes, time=time)
