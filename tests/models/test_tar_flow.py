"""TarFlow: causal layers over patches; the denoising step and guidance where both are known."""

from math import log

import pytest
import torch
from model_cases import DIGITS
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.flows.causal import CausalPatches, CausalTransform, Guidance, _patch_of, guided_inverse
from genkit.models.tar_flow import TarFlow
from genkit.noise import SampleNoise, generator_of

SMALL = CausalPatches(patch=4, steps=2, features=8, depth=1, heads=2)


def tar_flow(amount: float = 0.2, **options) -> TarFlow:
    """Away from its start, where it is the identity."""
    torch.manual_seed(0)
    model = TarFlow(spec=DIGITS, **({"transform": SMALL} | options))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator_of(1, "parameters"))
    return model.eval()


def images(n: int = 6) -> Tensor:
    return DIGITS.scale(torch.randint(17, (n, 1, 8, 8), generator=generator_of(0, "images")))


@torch.no_grad()
def test_the_way_there_and_back_is_the_identity_to_a_ten_thousandth():
    """At the size of the preset, in float32, for images of the data and with labels."""
    model = tar_flow(0.05, transform=CausalPatches(patch=2), conditional=True)
    x, y = images(16), torch.arange(16) % 10
    torch.testing.assert_close(model.from_latent(model.to_latent(x, y), y), x, rtol=0, atol=1e-4)


def test_what_is_kept_while_sampling_changes_nothing():
    """An inverse with gradients asks for everything again, one without them keeps keys and values."""
    model = tar_flow(conditional=True)
    z, y = torch.randn(5, 64), torch.arange(5)
    plain = model.from_latent(z, y)
    with torch.no_grad():
        kept = model.from_latent(z, y)
        guided = guided_inverse(model.transform, z, y, Guidance(2.0, 10))
    torch.testing.assert_close(kept, plain.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(guided_inverse(model.transform, z, y, Guidance(2.0, 10)).detach(), guided)
    assert plain.requires_grad


def test_every_patch_reads_all_others_but_in_one_layer_only_those_before_it():
    model = tar_flow()
    layers = [layer for layer in model.transform.layers if isinstance(layer, CausalTransform)]
    assert [layer.backwards for layer in layers] == [False, True]
    x = torch.randn(1, 4, 16)
    for layer in layers:
        whole = torch.autograd.functional.jacobian(layer, x)[0]  # (1, 4, 16, 1, 4, 16)
        reads = whole[0, :, :, 0].abs().sum((1, 3)) > 0  # (4, 4): which patches a patch of z is a function of
        lower = torch.ones(4, 4, dtype=torch.bool).tril()
        assert torch.equal(reads, lower.T if layer.backwards else lower)


def test_at_the_start_it_is_the_identity():
    torch.manual_seed(0)
    model = TarFlow(spec=DIGITS, transform=SMALL).eval()
    x = images()
    z = model.to_latent(x)
    torch.testing.assert_close(z.square().sum(1), x.square().flatten(1).sum(1))
    torch.testing.assert_close(model.log_prob(x), -0.5 * (z.square().sum(1) + 64 * log(2 * torch.pi)))


@torch.no_grad()
def test_the_denoising_step_is_the_posterior_mean_of_a_normal():
    """The untrained flow has p(x̃) = N(0, I): with noise σ clean images are N(0, 1 − σ²), and E[x | x̃] = (1 − σ²) x̃."""
    torch.manual_seed(0)
    model = TarFlow(spec=DIGITS, transform=SMALL, noise=0.6).eval()
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(model.denoised(x), (1 - 0.6**2) * x)
    noise = SampleNoise(0, range(5))
    plain = TarFlow(spec=DIGITS, transform=SMALL, noise=0.6, denoise=False).eval()
    torch.testing.assert_close(
        model.sample(5, noise=noise), DIGITS.clip((1 - 0.6**2) * plain.from_latent(SampleNoise(0, range(5))(64)))
    )


@torch.no_grad()
def test_guidance_moves_from_no_label_to_the_label_and_beyond():
    """Of one layer whose parameters depend on the label alone: z = x e^s + t, and s and t are linear in the scale."""
    model = tar_flow(conditional=True, transform=CausalPatches(patch=8, steps=1, features=8, depth=1, heads=2))
    [layer] = [layer for layer in model.transform.layers if isinstance(layer, CausalTransform)]
    z, y = torch.randn(3, 64), torch.tensor([1, 4, 7])
    none = torch.full_like(y, 10)
    for scale, expected in ((0.0, none), (1.0, y)):
        guided = guided_inverse(model.transform, z, y, Guidance(scale, 10))
        torch.testing.assert_close(guided, model.from_latent(z, expected), rtol=1e-4, atol=1e-5)
    of_label, of_none = (layer.network(z[:, None, :][:, :0], labels) for labels in (y, none))
    theta = (of_none + 2.5 * (of_label - of_none)).unflatten(2, (2, 64))
    log_scale, shift = 3 * torch.tanh(theta[:, 0, 0] / 3), theta[:, 0, 1]
    guided = guided_inverse(model.transform, z, y, Guidance(2.5, 10))
    torch.testing.assert_close(guided.flatten(1), (z - shift) * torch.exp(-log_scale), rtol=1e-4, atol=1e-4)


def test_training_sees_noisy_images_and_a_score_is_of_points_in_the_bins():
    model, x = tar_flow(noise=0.3), images(500)
    away = (model.train().training_points(x) - x).abs()
    assert away.std() == pytest.approx(0.3 * (1 - 2 / torch.pi) ** 0.5, rel=0.05)
    assert (model.eval().training_points(x) - x).abs().max() <= DIGITS.bin_width / 2
    quiet = tar_flow(noise=0.0).train()
    assert (quiet.training_points(x) - x).abs().max() <= DIGITS.bin_width / 2


def test_labels_are_withheld_in_training_alone():
    model = tar_flow(conditional=True, label_dropout=0.5)
    y = torch.zeros(1000, dtype=torch.int64)
    assert 0.4 < (model.train().training_labels({"y": y}) == 10).float().mean() < 0.6
    assert torch.equal(model.eval().training_labels({"y": y}), y)


def test_patches_are_chosen_by_the_size_and_refused_where_they_do_not_fit():
    sizes = {(8, 8): 1, (28, 28): 4, (32, 32): 4, (64, 64): 8, (25, 25): 5, (7, 9): 1, (30, 45): 5, (4, 5): 1}
    assert {size: _patch_of(*size) for size in sizes} == sizes
    spec = DataSpec(shape=(1, 6, 8), modality="image", value_range=(-1.0, 1.0), levels=17)
    with pytest.raises(ConfigError, match=r"^model\.transform\.patch=4 does not divide images of 6x8$"):
        TarFlow(spec=spec, transform=CausalPatches(patch=4))


def test_guidance_without_labels_is_refused():
    with pytest.raises(ConfigError, match="guidance"):
        TarFlow(spec=DIGITS, guidance_scale=2.0)
