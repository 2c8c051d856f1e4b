"""Every family on images of every shape with its defaults: one step and a few samples, or one line before training."""

from typing import Any

import pytest
import torch
from model_contract import completed, composed_model, hurried

from genkit.config.build import build
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.base import GenerativeModel

FAMILIES = ("autoencoder", "vae", "vq_vae", "gan", "flow", "diffusion", "latent_diffusion")
SHAPES = [(3, 32, 32), (3, 64, 64), (3, 24, 40), (1, 25, 25), (3, 30, 45), (1, 7, 9), (3, 4, 5)]
BATCH = 2


def small(node: dict[str, Any]) -> dict[str, Any]:
    """A node whose samplers take few steps."""
    return completed(hurried(node))


def made(family: str, shape: tuple[int, ...]) -> GenerativeModel:
    torch.manual_seed(0)
    spec = DataSpec(shape, "image", (-1.0, 1.0), 256)
    return build(small(composed_model(family, ())), at="model", expect=GenerativeModel, spec=spec)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("family", FAMILIES)
def test_one_step_and_a_sample(family: str, shape: tuple[int, ...]) -> None:
    model = made(family, shape)
    values = torch.randint(256, (BATCH, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    batch = {"x": model.spec.scale(values)}
    model.train().initialise(batch)
    for phase in dict.fromkeys(model.phases):
        model.losses(batch, phase)["loss"].backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.trainable()[phase].parameters())
    model.eval().prepare([batch])
    x = model.sample(BATCH, seed=0)
    assert x.shape == (BATCH, *shape)
    assert torch.isfinite(x).all()
    assert x.abs().max() <= 1


@pytest.mark.parametrize("shape", [(3, 256, 256), (1, 64, 512)])
def test_a_diffusion_of_large_pictures_names_what_to_choose_instead(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"up to 128x128 .*latent_diffusion") as refusal:
        made("diffusion", shape)
    assert "\n" not in str(refusal.value)
    made("autoencoder", shape)  # what it names serves


def test_default_sizes_grow_with_the_picture_and_with_colour() -> None:
    parameters = [sum(p.numel() for p in made("vae", shape).parameters()) for shape in ((1, 40, 40), (3, 40, 40))]
    assert parameters[0] < parameters[1]
    latents = [made("autoencoder", (3, side, side)).latent_shape[0] for side in (8, 32, 64, 128)]
    assert latents == [16, 64, 128, 256]
