"""Latent diffusion: what it measures, what it leaves alone, what it refuses; the diffusion inside has its own tests."""

from functools import partial

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor, nn

from genkit.data.spec import Batch, DataSpec
from genkit.diffusion.sampler import HeunSampler
from genkit.errors import ConfigError
from genkit.models.autoencoder.autoencoder import Autoencoder
from genkit.models.base import Decoder, Density, Encoder, GenerativeModel, Noise
from genkit.models.diffusion import Diffusion
from genkit.models.gan.gan import GAN
from genkit.models.latent_diffusion import LatentDiffusion
from genkit.models.vae.vae import VAE
from genkit.nn.mlp import MLP
from genkit.nn.unet import UNet
from genkit.noise import SampleNoise, generator_of
from genkit.training.ema import averaged_copy

AUTOENCODERS = {
    "autoencoder": partial(Autoencoder, latent_dim=3, backbone=Affine),
    "vae": partial(VAE, latent_dim=3, backbone=Affine),
    "labels": partial(Autoencoder, latent_dim=3, backbone=Affine, conditional=True),
}
SMALL = partial(MLP, width=8, depth=1)


class Folded(GenerativeModel, Encoder, Decoder):
    """An autoencoder whose latents are images: four pixels become four channels."""

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__(spec)
        self.latent_shape = (4, 4, 4)
        self.gain = nn.Parameter(torch.tensor(7.0))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        raise AssertionError("it is trained no more")

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.gain * torch.pixel_unshuffle(x, 2) + torch.arange(4.0)[:, None, None]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.pixel_shuffle((z - torch.arange(4.0)[:, None, None]) / self.gain, 2)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        raise AssertionError("its latents are another's to draw")


def latent(autoencoder=AUTOENCODERS["autoencoder"], spec: DataSpec = PLANE, seed: int = 0, **options):
    torch.manual_seed(seed)
    return LatentDiffusion(spec=spec, autoencoder=autoencoder, **({"backbone": SMALL} | options))


def batch_of(spec: DataSpec = PLANE, n: int = 50, shift: float = 3.0) -> Batch:
    x = shift + 2 * torch.randn(n, *spec.shape, generator=generator_of(0, "x"))
    return {"x": x, "y": torch.arange(n) % (spec.num_classes or 1)}


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_mean_and_scale_are_those_of_the_first_batchs_latents(name):
    model, batch = latent(AUTOENCODERS[name], conditional=name == "labels"), batch_of()
    model.initialise(batch)
    model.train().losses(batch_of(shift=-9.0), "model")
    z = model.autoencoder.encode(batch["x"], batch["y"] if name == "labels" else None)
    torch.testing.assert_close(model.mean, z.mean(0))
    torch.testing.assert_close(model.scale, (z - z.mean(0)).square().mean().sqrt())
    assert model.diffusion.denoiser.data_std.item() == pytest.approx(1, abs=1e-5)  # what the diffusion inside sees


def test_latent_images_are_measured_by_channel_and_denoised_by_a_u_net():
    model, batch = latent(Folded, DIGITS, backbone=None), batch_of(DIGITS)
    assert isinstance(model.diffusion.denoiser.backbone, UNet)
    assert isinstance(latent(backbone=None).diffusion.denoiser.backbone, MLP)
    model.initialise(batch)
    assert torch.isfinite(model.train().losses(batch, "model")["loss"])
    z = model.encode(batch["x"])
    assert model.mean.shape == (4, 1, 1)
    torch.testing.assert_close(model.mean, z.mean((0, 2, 3), keepdim=True)[0])
    x = model.eval().sample(2, noise=SampleNoise(0, range(2)))
    assert (x.shape, model.evaluations) == ((2, 1, 8, 8), 35)


@torch.no_grad()
def test_samples_are_decoded_from_the_measured_place():
    """A network that answers zero is the exact denoiser of latents N(0, I)."""

    class Silent(Affine):
        def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
            return torch.zeros_like(x)

    model = latent(backbone=Silent, sampler=partial(HeunSampler, steps=40))
    model.initialise(batch_of())
    z = model.eval().diffusion.sample(4000, noise=SampleNoise(0, range(4000)))
    assert z.std().item() == pytest.approx(1, abs=0.05)
    x = model.sample(4000, noise=SampleNoise(0, range(4000)))
    torch.testing.assert_close(x, model.decode(model.mean + model.scale * z))


def test_a_batch_without_spread_measures_nothing():
    model = latent()
    model.initialise({"x": torch.ones(4, 2)})
    assert torch.isfinite(model.train().losses({"x": torch.ones(4, 2)}, "model")["loss"])
    assert (model.mean.tolist(), model.scale.item()) == ([0.0] * model.mean.numel(), 1.0)


def test_the_autoencoder_neither_learns_nor_is_copied_nor_leaves_its_eval_mode():
    model = latent().train()
    assert not model.autoencoder.training
    assert model.diffusion.training
    before = {name: value.clone() for name, value in model.autoencoder.state_dict().items()}
    learning = [p for p in model.trainable()["model"].parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.1, weight_decay=0.5)
    for _ in range(2):
        model.losses(batch_of(), "model")["loss"].backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.autoencoder.state_dict().items())
    assert all(p.grad is None for p in model.autoencoder.parameters())
    assert not {id(p) for p in model.autoencoder.parameters()} & {id(p) for p in learning}
    copied = averaged_copy(model, set(model.autoencoder.parameters()))
    assert {id(p) for p in copied.autoencoder.parameters()} == {id(p) for p in model.autoencoder.parameters()}


def test_a_state_dict_carries_what_was_measured():
    model, other = latent(), latent(seed=1)
    model.initialise(batch_of())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.scale, model.scale)
    assert torch.equal(other.mean, model.mean)


def test_it_has_no_density():
    assert not isinstance(latent(), Density)


def test_what_cannot_be_an_autoencoder_is_refused():
    with pytest.raises(ConfigError, match=r"model\.autoencoder: GAN has no encoder"):
        latent(partial(GAN, backbone=SMALL))
    with pytest.raises(ConfigError, match=r"takes labels: add model\.conditional=true"):
        latent(AUTOENCODERS["labels"])


@torch.no_grad()
def test_a_weaker_one_of_the_same_latents_guides_and_any_other_is_refused():
    model, weak = latent(), latent(seed=1)
    weak.autoencoder.load_state_dict(model.autoencoder.state_dict())
    for one in (model, weak):
        one.train().losses(batch_of(), "model")
        one.eval()
    plain = model.sample(3, noise=SampleNoise(0, range(3)))
    model.guide(weak, 1.0)
    assert torch.equal(model.sample(3, noise=SampleNoise(0, range(3))), plain)
    assert model.evaluations == 35
    model.guide(weak, 2.0)
    assert (model.sample(3, noise=SampleNoise(0, range(3))) - plain).abs().max() > 1e-3
    assert model.evaluations == 70
    weak.scale.mul_(1.01)
    with pytest.raises(ConfigError, match=r"guidance\.weak: its latents"):
        model.guide(weak, 2.0)
    with pytest.raises(ConfigError, match=r"guidance\.weak: its latents"):
        model.guide(latent(seed=2), 2.0)
    with pytest.raises(ConfigError, match=r"guidance\.weak: its data has the shape"):
        model.guide(latent(spec=DIGITS), 2.0)
    with pytest.raises(ConfigError, match=r"guidance\.weak: Diffusion is no latent diffusion"):
        model.guide(Diffusion(spec=PLANE, backbone=SMALL), 2.0)
