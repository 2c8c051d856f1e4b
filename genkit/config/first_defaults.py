"""The choices that version 1 of a configuration left to the model, in the words of version 2.

Version 2 chooses by the data: colour and large images have wider networks and larger latents. A checkpoint of version 1
has the earlier ones, so its configuration is made to say them. Where the data is small both versions choose alike, and
numbers that stood in every file of version 1 become the null that stands there now: so a run is the same run when its
command is typed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from genkit.config.names import TARGET, each_node

CONV = {TARGET: "genkit.nn.conv.Conv", "channels": [32, 64, 128], "patch": None}
UNET = {TARGET: "genkit.nn.unet.UNet", "channels": [32, 64], "blocks": 1, "patch": None, "attention": True}
EDM = {TARGET: "genkit.diffusion.parametrisation.EDMDenoiser"}
LOG_NORMAL = {TARGET: "genkit.diffusion.objective.Denoising", "times": None, "weighting": None, "coupling": None}
AUTOENCODER = "genkit.models.autoencoder.autoencoder.Autoencoder"
VAE = "genkit.models.vae.vae.VAE"
GAN = "genkit.models.gan.gan.GAN"
IMAGE_GAN = "genkit.models.gan.gan.ImageGAN"
QUANTIZED = "genkit.models.quantized.quantized_vae.QuantizedVAE"
DIFFUSION = "genkit.models.diffusion.Diffusion"
PYRAMID = "genkit.flows.spline_flow.SplinePyramid"
# class -> its network of images; those of the second group had an MLP up to 1,024 values, and have it still
NETWORKS: dict[str, dict[str, Any]] = {
    AUTOENCODER: CONV,
    VAE: CONV,
    DIFFUSION: UNET,
    GAN: CONV,
    IMAGE_GAN: CONV,
    QUANTIZED: CONV,
}
HURRIED = {GAN, IMAGE_GAN, QUANTIZED}
SIZES = {VAE: ("latent_dim", 16), GAN: ("latent_dim", 32), IMAGE_GAN: ("latent_dim", 32), QUANTIZED: ("tokens", 8)}
HALVING = {PYRAMID: 3, "genkit.flows.image_flow.Glow": 2, "genkit.flows.image_flow.RealNVP": 2}
SMALL = 1024  # values of an image up to which both versions choose alike


def with_first_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 1 as one of version 2; where it has no spec of the data, nothing is rebuilt from it."""
    spec = document.get("spec")
    if spec is None:
        return document
    shape = tuple(spec["shape"]) if spec["modality"] == "image" else ()
    changed: dict[str, Any] = each_node(document, lambda node: _in_new_words(node, shape))
    return changed


def _in_new_words(node: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """A node, for images of a shape or for other data (an empty shape)."""
    target, found, small = node[TARGET], dict(node), prod(shape) <= SMALL
    if target in NETWORKS and shape and not (shape[0] < 3 and small) and node.get("backbone") is None:
        found["backbone"] = None if small and target in HURRIED else dict(NETWORKS[target])
    if target == AUTOENCODER and not small and node.get("latent_dim") is None:
        found["latent_dim"] = 16
    if target == DIFFUSION and shape and shape[0] >= 3:
        found |= {"denoiser": node.get("denoiser") or dict(EDM), "objective": node.get("objective") or dict(LOG_NORMAL)}
    if target in SIZES:
        name, size = SIZES[target]
        value = node.get(name, size)
        found[name] = None if small and value == size else value
    if target in HALVING and shape:
        found["levels"] = _halvings(shape, node.get("levels", HALVING[target]))
    if target == PYRAMID and found.get("levels") == (_now(shape) if shape else HALVING[PYRAMID]):
        found["levels"] = None
    return found


def _halvings(shape: tuple[int, ...], levels: int) -> int:
    """Version 1 halved an image no further where a side became odd."""
    sides, count = shape[1:], 1
    while count < levels and min(sides) >> count >= 8 and not any((side >> count) % 2 for side in sides):
        count += 1
    return count


def _now(shape: tuple[int, ...]) -> int:
    count = 1
    while min(shape[1:]) >> count >= 8:
        count += 1
    return count
