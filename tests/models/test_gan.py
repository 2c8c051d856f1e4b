"""The GAN's phases: whose turn it is, what each minimises, and that the other player is left alone."""

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine

from genkit.models.adversarial import NonSaturatingLoss, RelativisticLoss
from genkit.models.gan import GAN
from genkit.noise import SampleNoise, generator_of


def gan(spec=PLANE, **options) -> GAN:
    torch.manual_seed(0)
    return GAN(spec=spec, **({"latent_dim": 3, "backbone": Affine} | options))


def batch(spec=PLANE, n: int = 6) -> dict[str, torch.Tensor]:
    x = torch.randn(n, *spec.shape, generator=generator_of(0, "batch"))
    return {"x": x, "y": torch.arange(n) % spec.num_classes}


def touched(module: torch.nn.Module) -> set[bool]:
    return {p.grad is not None and bool(p.grad.abs().max() > 0) for p in module.parameters()}


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_one_generator_step_follows_n_critic_of_the_discriminator(n_critic):
    model = gan(n_critic=n_critic)
    assert model.phases == ("discriminator",) * n_critic + ("generator",)
    assert set(model.trainable()) == set(model.phases)


@pytest.mark.parametrize("training", [True, False])
def test_the_discriminators_step_leaves_the_generator_without_gradient(training):
    model, given = gan(backbone=None).train(training), batch()
    model.losses(given, "discriminator")["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert True in touched(model.discriminator)
    assert not given["x"].requires_grad


def test_the_generators_step_reaches_all_of_the_generator():
    model = gan(backbone=None)
    model.losses(batch(), "generator")["loss"].backward()
    assert touched(model.generator) == {True}


@pytest.mark.parametrize("loss", [NonSaturatingLoss(), RelativisticLoss()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("gamma", [0.0, 0.1, 2.0])
def test_the_discriminator_minimises_adversarial_loss_and_penalties(gamma, loss):
    model, given = gan(gamma=gamma, loss=loss), batch()
    torch.manual_seed(1)
    terms = model.losses(given, "discriminator")
    torch.manual_seed(1)
    fake = model.generator(torch.randn(6, 3))
    logits = model.judge(given["x"]), model.judge(fake)
    torch.testing.assert_close(terms["adversarial"], loss.discriminator(*logits))
    torch.testing.assert_close(terms["real_logits"], logits[0].mean())
    torch.testing.assert_close(terms["fake_logits"], logits[1].mean())
    slope = model.discriminator.linear.weight.square().sum()  # of an affine function: the same everywhere
    penalty = gamma / 2 * 2 * slope
    torch.testing.assert_close(terms["loss"], terms["adversarial"] + penalty)
    assert ("r1" in terms) == (gamma > 0)
    if gamma > 0:
        torch.testing.assert_close(terms["r1"], slope)
        torch.testing.assert_close(terms["r2"], slope)


def test_the_generator_minimises_its_loss_on_the_same_pairs():
    model, given = gan(loss=RelativisticLoss()), batch()
    torch.manual_seed(1)
    got = model.losses(given, "generator")["loss"]
    torch.manual_seed(1)
    expected = RelativisticLoss().generator(model.judge(given["x"]), model.judge(model.generator(torch.randn(6, 3))))
    torch.testing.assert_close(got, expected)


def test_penalties_are_a_matter_of_training_alone():
    model = gan(gamma=1.0).eval()
    with torch.no_grad():
        assert "r1" not in model.losses(batch(), "discriminator")


@pytest.mark.parametrize("spec", [PLANE, DIGITS], ids=["plane", "digits"])
def test_labels_reach_both_players(spec):
    model = gan(spec, conditional=True)
    x, a, b = torch.zeros(2, *spec.shape), torch.tensor([0, 1]), torch.tensor([1, 2])
    assert ((model.judge(x, a) - model.judge(x, b)).abs() > 1e-4).all()
    drawn = [model.sample(2, y=y, noise=SampleNoise(0, range(2))) for y in (a, b)]
    assert ((drawn[0] - drawn[1]).flatten(1).abs().amax(1) > 1e-4).all()


def test_samples_are_the_generators_inside_the_range():
    model, noise = gan(DIGITS), SampleNoise(0, range(4))
    with torch.no_grad():
        model.generator.linear.bias.copy_(3 * torch.randn(64))
        expected = model.generator(SampleNoise(0, range(4))(3)).clamp(-1, 1)
        assert torch.equal(model.sample(4, noise=noise), expected)
    assert expected.abs().max() == 1
