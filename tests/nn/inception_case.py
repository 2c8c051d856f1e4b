"""An Inception-v3 with seeded weights of a size that keeps activations near 1, without which every tap is about 0."""

import torch

from genkit.nn.inception import InceptionV3


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
