r"""Spectral normalisation: every weight divided by its largest singular value, W / σ(W) with σ(W) = max ‖W v‖ / ‖v‖.

A layer then stretches nothing, which bounds the slope of a discriminator for any weights. σ is estimated by one
step of power iteration at each pass in training; u and v are buffers, so a checkpoint carries them (Miyato et al. 2018,
1802.05957). A convolution's weight is flattened to a matrix, (out, in · k · k).
"""

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

NORMALISED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)

Network = TypeVar("Network", bound=nn.Module)


def spectrally_normalised(network: Network) -> Network:
    """The same network, its linear layers, convolutions and tables normalised; call it once.

    No weight may be zero as a whole when it is first used.
    """
    for layer in list(network.modules()):
        if isinstance(layer, NORMALISED):
            spectral_norm(layer)
    return network
