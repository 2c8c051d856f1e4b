"""The diffusion model's objective, its measured scale, its labels and guidance; the parts have their own tests."""

from functools import partial

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.diffusion.objective import Denoising
from genkit.diffusion.sampler import EulerSampler, HeunSampler
from genkit.diffusion.schedule import KarrasSchedule, RectifiedSchedule
from genkit.diffusion.stochastic import AncestralSampler
from genkit.diffusion.time_distribution import LogNormalLevels
from genkit.errors import ConfigError
from genkit.evaluation.source import ModelSource
from genkit.models.autoencoder.autoencoder import Autoencoder
from genkit.models.diffusion import Diffusion
from genkit.models.latent_diffusion import LatentDiffusion
from genkit.models.vae.vae import VAE
from genkit.nn.backbone import Backbone
from genkit.noise import SampleNoise, generator_of

SCHEDULES = {"karras": KarrasSchedule(), "rectified": RectifiedSchedule()}


class Constant(Backbone):
    """Answers with a constant per label (index num_classes: no label), and keeps the labels that it saw."""

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
    ) -> None:
        super().__init__()
        assert time
        self.values = torch.nn.Parameter(torch.zeros((num_classes or 0) + 1))
        self.labels: list[Tensor] = []

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        if y is None:
            return torch.zeros_like(x) + self.values[0]
        self.labels.append(y)
        return torch.zeros_like(x) + self.values[y].reshape(-1, *[1] * (x.ndim - 1))


def diffusion(spec: DataSpec = PLANE, **options) -> Diffusion:
    torch.manual_seed(0)
    return Diffusion(spec=spec, **({"backbone": Constant} | options))


def latent_diffusion(**options) -> LatentDiffusion:
    torch.manual_seed(0)
    autoencoder = partial(Autoencoder, latent_dim=2, backbone=Affine)
    return LatentDiffusion(spec=PLANE, autoencoder=autoencoder, backbone=Constant, **options)


def normal(n: int, std: float = 0.7, spec: DataSpec = PLANE) -> dict[str, Tensor]:
    x = std * torch.randn(n, *spec.shape, generator=generator_of(0, "normal"))
    return {"x": x, "y": torch.arange(n) % (spec.num_classes or 1)}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("std", [0.3, 2.0])
def test_a_network_that_answers_zero_costs_one_on_every_noise_level(schedule, std):
    batch = normal(20_000, std)
    for mean in (-2.0, -0.5, 1.0):
        model = diffusion(schedule=schedule, objective=Denoising(LogNormalLevels(mean=mean)))
        model.initialise(batch)
        assert model.losses(batch, "model")["loss"].item() == pytest.approx(1, abs=0.04)


def test_the_scale_is_that_of_the_batch_that_it_is_initialised_with_and_is_stored():
    model, batch = diffusion(), normal(100, 3.0)
    model.initialise(batch)
    model.losses(normal(100, 9.0), "model")
    assert model.denoiser.data_std.item() == pytest.approx(batch["x"].std(correction=0).item())
    restored = diffusion()
    restored.load_state_dict(model.state_dict())
    assert torch.equal(restored.denoiser.data_std, model.denoiser.data_std)


@pytest.mark.parametrize("batch", [torch.zeros(4, 2), torch.ones(1, 2)], ids=["zeros", "constant"])
def test_a_first_batch_without_spread_leaves_finite_losses(batch):
    model = diffusion()
    model.initialise({"x": batch})
    assert torch.isfinite(model.losses({"x": batch}, "model")["loss"])
    assert torch.isfinite(model.losses(normal(10), "model")["loss"])


def test_training_noise_is_log_normal_about_the_datas_scale():
    seen: list[Tensor] = []

    class Keeping(Constant):
        def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
            assert t is not None
            seen.append(4 * t)  # ln σ
            return super().forward(x, t, y)

    model = diffusion(backbone=Keeping, objective=Denoising(LogNormalLevels(mean=-0.4, std=0.5)))
    model.initialise(normal(20_000, 2.0))
    model.losses(normal(20_000, 2.0), "model")
    relative = seen[0] - model.denoiser.data_std.log()
    assert relative.mean().item() == pytest.approx(-0.4, abs=0.02)
    assert relative.std().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("dropout", [0.0, 0.3, 1.0])
def test_a_share_of_labels_is_withheld_in_training_alone(dropout):
    model, batch = diffusion(conditional=True, label_dropout=dropout), normal(5000)
    model.losses(batch, "model")
    model.eval().losses(batch, "model")
    trained, validated = model.denoiser.backbone.labels
    dropped = trained == 3
    assert dropped.double().mean().item() == pytest.approx(dropout, abs=0.03)
    assert torch.equal(trained[~dropped], batch["y"][~dropped])
    assert torch.equal(validated, batch["y"])


@torch.no_grad()
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_exact_network_of_a_normal_samples_that_normal(schedule):
    model = diffusion(schedule=schedule, sampler=partial(HeunSampler, steps=40))
    model.denoiser.data_std.fill_(0.7)
    x = model.sample(4000, noise=SampleNoise(0, range(4000)))
    torch.testing.assert_close(x.mean(0), torch.zeros(2), rtol=0, atol=0.05)
    torch.testing.assert_close(x.std(0), torch.full((2,), 0.7), rtol=0, atol=0.03)


@torch.no_grad()
def test_guidance_scales_from_unlabelled_to_labelled_and_beyond():
    y = torch.tensor([0, 2])

    def sample(scale: float) -> Tensor:
        model = diffusion(conditional=True, guidance_scale=scale)
        model.denoiser.backbone.values.copy_(torch.tensor([0.5, 0.1, -0.4, 0.05]))
        return model.sample(2, y=y, noise=SampleNoise(0, range(2)))

    plain = diffusion(conditional=True)
    plain.denoiser.backbone.values.fill_(0.05)
    unlabelled = plain.sample(2, y=y, noise=SampleNoise(0, range(2)))
    plain.denoiser.backbone.values.copy_(torch.tensor([0.5, 0.1, -0.4, 0.05]))
    labelled = plain.sample(2, y=y, noise=SampleNoise(0, range(2)))
    torch.testing.assert_close(sample(0.0), unlabelled, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sample(1.0), labelled, rtol=1e-4, atol=1e-4)
    # the answers are constants, so samples are linear in the scale
    torch.testing.assert_close(sample(3.0), unlabelled + 3 * (labelled - unlabelled), rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("sampler", [None, partial(EulerSampler, steps=3), partial(HeunSampler, steps=2)])
def test_any_sampler_makes_samples_inside_the_range(sampler):
    model = diffusion(DIGITS, sampler=sampler)
    model.denoiser.data_std.fill_(5.0)
    x = model.sample(3, noise=SampleNoise(0, range(3)))
    assert x.shape == (3, 1, 8, 8)
    assert x.abs().max() == 1


@torch.no_grad()
def test_network_calls_are_counted_whatever_guidance_makes_of_them():
    y = torch.tensor([0, 2])

    def asked(**options) -> int:
        model = diffusion(conditional=True, sampler=partial(HeunSampler, steps=5), **options)
        assert model.evaluations is None
        model.sample(2, y=y, noise=SampleNoise(0, range(2)))
        return model.evaluations

    assert asked() == 9
    assert asked(guidance_scale=2.0) == 18
    half = asked(guidance_scale=2.0, guidance_interval=(0.05, 5.0))
    assert 9 < half < 18
    assert asked(guidance_scale=2.0, guidance_interval=(1e5, 1e6)) == 9


@torch.no_grad()
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_a_wider_normal_guides_a_normal_to_a_narrower_one(schedule, scale):
    """Both denoisers are linear, and the flow of the guided one ends at s^w s_weak^(1 − w)."""
    model, weak = diffusion(sampler=partial(HeunSampler, steps=40)), diffusion(schedule=schedule)
    model.denoiser.data_std.fill_(0.7)
    weak.denoiser.data_std.fill_(1.0)
    model.guide(weak, scale)
    x = model.sample(4000, noise=SampleNoise(0, range(4000)))
    torch.testing.assert_close(x.std(0), torch.full((2,), 0.7**scale), rtol=0.06, atol=0)


@pytest.mark.parametrize("make", [diffusion, latent_diffusion], ids=["diffusion", "latent"])
def test_guidance_is_refused_where_it_has_nothing_to_move_between(make):
    for scale in (0.0, 1.5):
        with pytest.raises(ConfigError, match=r"^guidance\.scale=[\d.]+: .*label_dropout=0\.1[^\n]*$"):
            make(conditional=True, label_dropout=0.0, guidance_scale=scale)
        with pytest.raises(ConfigError, match=r"^guidance\.scale=[\d.]+: a model without labels[^\n]*$"):
            make(guidance_scale=scale)
    make(conditional=True, label_dropout=0.0)
    make(conditional=True, label_dropout=0.0).guide(make(conditional=True), 2.0)  # a weaker model needs no dropout


def test_a_record_counts_the_models_own_parameters_once():
    for make in (diffusion, latent_diffusion):
        model, weak = make(), make()
        alone = ModelSource(model, 1).facts(None)["parameters"]
        assert alone == sum(p.numel() for p in model.parameters())
        model.guide(weak, 2.0)
        assert ModelSource(model, 1).facts(None)["parameters"] == alone


@torch.no_grad()
def test_guidance_of_scale_one_is_the_model_and_asks_nobody_else():
    model, weak = diffusion(), diffusion()
    weak.denoiser.backbone.values.fill_(0.5)
    plain = model.sample(3, noise=SampleNoise(0, range(3)))
    model.guide(weak, 1.0)
    assert torch.equal(model.sample(3, noise=SampleNoise(0, range(3))), plain)
    assert model.evaluations == 35
    model.guide(weak, 2.0, (0.05, 5.0))
    assert not torch.equal(model.sample(3, noise=SampleNoise(0, range(3))), plain)
    assert 35 < model.evaluations < 70


@torch.no_grad()
def test_a_weaker_model_is_shown_the_same_labels_where_it_takes_them():
    y = torch.tensor([0, 2])
    for conditional in (True, False):
        model, weak = diffusion(conditional=True), diffusion(conditional=conditional)
        model.guide(weak, 2.0)
        model.sample(2, y=y, noise=SampleNoise(0, range(2)))
        assert all(torch.equal(seen, y) for seen in weak.denoiser.backbone.labels)
        assert bool(weak.denoiser.backbone.labels) == conditional


def test_a_model_of_other_data_does_not_guide():
    wide = DataSpec(shape=(2,), modality="vector", value_range=(-4.0, 4.0), levels=16, num_classes=3)
    for weak, said in (
        (diffusion(DIGITS), "shape"),
        (diffusion(wide), "levels"),
        (diffusion(conditional=True), "labels"),
        (VAE(spec=PLANE), "VAE is no diffusion model"),
    ):
        with pytest.raises(ConfigError, match=rf"guidance\.weak: .*{said}") as error:
            diffusion().guide(weak, 2.0)
        assert "\n" not in str(error.value)


@torch.no_grad()
def test_noise_on_the_way_is_the_samples_own():
    model = diffusion(sampler=partial(AncestralSampler, steps=6))
    whole = model.sample(5, noise=SampleNoise(0, range(5)))
    torch.testing.assert_close(model.sample(1, noise=SampleNoise(0, [3])), whole[3:4], rtol=0, atol=1e-5)


@torch.no_grad()
def test_clipping_keeps_every_mean_in_range():
    model = diffusion(DIGITS, sampler=partial(EulerSampler, steps=3), clip_denoised=True)
    model.denoiser.data_std.fill_(5.0)
    inside = model.denoiser_for(2, None)(50 * torch.ones(2, 1, 8, 8), torch.tensor([0.1, 0.9]))
    assert inside.abs().max() == 1
    assert model.denoiser(50 * torch.ones(2, 1, 8, 8), torch.tensor([0.1, 0.9])).abs().max() > 1


def test_the_likelihood_of_the_exact_network_of_a_normal_is_the_normals():
    model = diffusion()
    model.denoiser.data_std.fill_(0.7)
    x = normal(50)["x"]
    exact = torch.distributions.Normal(0.0, 0.7).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), exact, rtol=0, atol=0.02)
    assert (model.bound, model.costly) == ("estimate", True)
