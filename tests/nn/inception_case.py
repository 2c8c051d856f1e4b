"""An Inception-v3 with seeded weights of a size that keeps activations near 1, without which every tap is about 0."""

import torch
from torch import Tensor

from genkit.nn.inception import InceptionV3

IMAGES = ((32, 32), (299, 299), (331, 200))  # height and width: resized up, not at all, down and up
SMALL = (5, 13)


def seeded() -> InceptionV3:
    net, generator = InceptionV3().eval(), torch.Generator().manual_seed(0)
    for key, value in net.state_dict().items():
        if key.endswith("conv.weight"):
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5)
        elif key.endswith(("running_var", "bn.weight")):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
        elif value.dtype.is_floating_point:
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return net


def image(height: int, width: int) -> Tensor:
    """(1, 3, height, width) whole numbers from 0 to 255."""
    return (torch.arange(3 * height * width).reshape(1, 3, height, width) * 37 % 256).float()


def fingerprint(tap: Tensor) -> list[float]:
    """Of a tap (1, F): its root mean square, 16 units, and 16 sums over all units with different signs, over √F."""
    tap = tap[0].double()
    units, patterns = torch.arange(len(tap)), torch.arange(1, 17)
    signs = torch.sin(1.0 + torch.outer(patterns.double() ** 2, units.double())).sign()
    sums = signs @ tap / len(tap) ** 0.5
    return [float(tap.square().mean().sqrt()), *tap[:: len(tap) // 16][:16].tolist(), *sums.tolist()]
