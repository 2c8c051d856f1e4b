"""Models of pairs of images: what the condition does, and losses with a known value."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, DataError
from genkit.models.conditional_on_image import KEPT
from genkit.models.gan.adversarial_loss import NonSaturatingLoss
from genkit.models.image_to_image.cycle_gan import CycleGAN
from genkit.models.image_to_image.image_diffusion import ImageDiffusion
from genkit.models.image_to_image.patch_discriminator import PatchDiscriminator
from genkit.models.image_to_image.pix2pix import Pix2Pix
from genkit.nn.backbone import Backbone
from genkit.nn.with_condition import WithCondition
from genkit.noise import SampleNoise

SPEC = DataSpec((1, 8, 8), "image", value_range=(-1.0, 1.0), levels=17, condition=(1, 8, 8))


class Plus(Backbone):
    """The mean of all channels, and an offset; its weight is there to be trained."""

    def __init__(self, *, in_shape, out_shape, num_classes=None, time=False, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = torch.nn.Parameter(torch.tensor(offset))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return x.mean(1, keepdim=True) + self.offset


def conditions(n: int = 3) -> Tensor:
    return SampleNoise(0, range(n))(1, 8, 8).tanh()


def test_a_network_is_shown_the_image_of_each_row() -> None:
    net = WithCondition(in_shape=(1, 2, 2), out_shape=(1, 2, 2), network=Plus, condition=(1, 2, 2))
    c, x = torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2), torch.zeros(4, 1, 2, 2)
    with net.given(c):
        assert net(x)[:, 0, 0, 0].tolist() == [0.5, 0.5, 1.5, 1.5]  # two rows of each
    assert net.c is None


def test_a_diffusion_makes_other_images_of_other_conditions() -> None:
    model, c = ImageDiffusion(spec=SPEC, backbone=Plus).eval(), conditions()
    made = [model.from_image(each, noise=SampleNoise(0, range(3))) for each in (c, c, -c)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert not torch.equal(made[0], model.from_image(c, noise=SampleNoise(1, range(3))))  # many answers to each


def test_the_loss_of_a_generator_is_what_it_says() -> None:
    model, c, x = Pix2Pix(spec=SPEC, backbone=Plus, l1=3.0, channels=(8,)), conditions(), conditions() / 2
    terms = model.losses({"x": x, "c": c}, "generator")
    fake = SPEC.squash(c)
    logits = model.discriminator(torch.cat([c, fake], 1))
    expected = torch.nn.functional.softplus(-logits).mean() + 3.0 * (fake - x).abs().mean()
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(model.from_image(c, noise=SampleNoise(0, range(3))), SPEC.clip(fake))


def test_nothing_of_a_phase_moves_the_other_player() -> None:
    for model in (Pix2Pix(spec=SPEC, channels=(8,)), CycleGAN(spec=SPEC, channels=(8,))):
        players = model.trainable()
        model.losses({"x": conditions(), "c": -conditions()}, "discriminator")["loss"].backward()
        assert all(weight.grad is None for weight in players["generator"].parameters())
        assert any(weight.grad is not None for weight in players["discriminator"].parameters())


def test_generators_that_undo_each_other_have_no_cycle_error() -> None:
    """tanh of the mean of one channel and nothing else: a fixed point of both is 0."""
    model = CycleGAN(spec=SPEC, backbone=Plus, channels=(8,), loss=NonSaturatingLoss())
    zeros = torch.zeros(2, 1, 8, 8)
    with torch.no_grad():
        terms = model.losses({"x": zeros, "c": zeros}, "generator")
        apart = model.losses({"x": zeros, "c": zeros + 0.5}, "generator")
    assert float(terms["cycle"]) == float(terms["identity"]) == 0
    twice = SPEC.squash(SPEC.squash(torch.tensor([[[[0.5]]]])))
    assert float(apart["cycle"]) == pytest.approx(abs(0.5 - float(twice)), rel=1e-4)
    total = apart["adversarial"] + 10 * apart["cycle"] + 5 * apart["identity"]
    assert float(apart["loss"]) == pytest.approx(float(total), rel=1e-5)


@pytest.mark.parametrize("side", [4, 8, 28, 64])
def test_a_patch_is_no_image(side: int) -> None:
    """A logit depends on a part of a large image alone."""
    judge = PatchDiscriminator((1, side, side), (8, 16))
    x = torch.zeros(1, 1, side, side)
    logits = judge(x)
    assert logits.shape[1] == (side // 4 if side > 8 else 4) ** 2 if side > 4 else 16
    x[..., -1, -1] = 1
    changed = (judge(x) != logits).double().mean()
    assert changed > 0
    assert side < 28 or changed < 0.5


def test_samples_are_of_the_conditions_that_are_kept() -> None:
    model, c = Pix2Pix(spec=SPEC, backbone=Plus), conditions(5)
    model.initialise({"x": c, "c": c})
    assert model.conditions.shape == (KEPT, 1, 8, 8)
    made = model.eval().sample(40, seed=1)
    which = (made[:, None] - SPEC.squash(c)).abs().flatten(2).amax(2).min(1)
    assert which.values.max() < 1e-5
    assert len(which.indices.unique()) == 5


def test_what_is_no_pair_is_refused() -> None:
    plain = DataSpec((1, 8, 8), "image", value_range=(-1.0, 1.0), levels=17)
    with pytest.raises(ConfigError, match=r"data\.pairs=blur"):
        Pix2Pix(spec=plain)
    with pytest.raises(DataError, match="one height and width"):
        DataSpec((1, 8, 8), "image", condition=(1, 4, 4))
    with pytest.raises(DataError, match="from_image takes"):
        Pix2Pix(spec=SPEC).from_image(torch.zeros(2, 2, 8, 8), noise=SampleNoise(0, range(2)))
    grey = DataSpec((1, 8, 8), "image", value_range=(-1.0, 1.0), condition=(3, 8, 8))
    with pytest.raises(ConfigError, match="identity=0"):
        CycleGAN(spec=grey, identity=1.0)
    assert DataSpec.from_json(SPEC.to_json()) == SPEC
    assert "condition" not in plain.to_json()
    assert math.isclose(CycleGAN(spec=grey).identity, 0.0)
