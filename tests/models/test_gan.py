"""The GAN's phases: whose turn it is, what each minimises, and that the other player is left alone."""

from functools import partial

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from test_adversarial_loss import LOSSES

from genkit.distributions import truncated_normal
from genkit.errors import ConfigError
from genkit.models.gan.adversarial_loss import HingeLoss, NonSaturatingLoss, RelativisticLoss, WassersteinLoss
from genkit.models.gan.augmentation import DiffAugment, InstanceNoise
from genkit.models.gan.discriminator import AuxiliaryClassifier, Concatenation, Projection
from genkit.models.gan.gan import GAN, ImageGAN
from genkit.models.gan.gradient_penalty import R1, R2, GradientPenalty, WeightClipping
from genkit.models.gan.latent_code import LatentCode
from genkit.nn.strided_conv import StridedConv
from genkit.noise import SampleNoise, generator_of

PENALTIES = {
    "none": (),
    "r1": (R1(),),
    "r2": (R2(),),
    "r1+r2": (R1(), R2()),
    "gradient penalty": (GradientPenalty(),),
}
BOUNDS = {
    "free": {},
    "clipped": {"constraint": WeightClipping(0.01)},
    "spectral": {"spectral_discriminator": True, "spectral_generator": True},
}
HEADS = [Concatenation, Projection, AuxiliaryClassifier]


def gan(spec=PLANE, **options) -> GAN:
    torch.manual_seed(0)
    return GAN(spec=spec, **({"latent_dim": 3, "backbone": Affine, "features": 5} | options))


def batch(spec=PLANE, n: int = 6) -> dict[str, torch.Tensor]:
    x = torch.randn(n, *spec.shape, generator=generator_of(0, "batch"))
    return {"x": x, "y": torch.arange(n) % spec.num_classes}


def touched(module: torch.nn.Module) -> set[bool]:
    return {p.grad is not None and bool(p.grad.abs().max() > 0) for p in module.parameters()}


def stepped(model: GAN, given: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """One optimizer step of each phase, and its terms."""
    found = {}
    for phase, player in model.trainable().items():
        optimizer = torch.optim.Adam(player.parameters(), lr=1e-2)
        model.zero_grad()
        found[phase] = model.losses(given, phase)
        found[phase]["loss"].backward()
        optimizer.step()
    return found


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_one_generator_step_follows_n_critic_of_the_discriminator(n_critic):
    model = gan(n_critic=n_critic)
    assert model.phases == ("discriminator",) * n_critic + ("generator",)
    assert set(model.trainable()) == set(model.phases)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_every_loss_with_every_penalty_and_bound_takes_finite_steps(loss, penalties, bound):
    model, given = gan(loss=loss, penalties=PENALTIES[penalties], **BOUNDS[bound]), batch()
    before = [p.clone() for p in model.parameters()]
    for _ in range(2):
        for terms in stepped(model, given).values():
            assert all(term.isfinite() for term in terms.values())
    assert all(p.isfinite().all() for p in model.parameters())
    assert not any(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True) if p.numel() > 1)


@pytest.mark.parametrize("augment", [(), (InstanceNoise(), DiffAugment())], ids=["plain", "augmented"])
@pytest.mark.parametrize("code", [None, LatentCode(2, 1)], ids=["no code", "code"])
@pytest.mark.parametrize("varied", [False, True], ids=["single", "varied"])
@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
@pytest.mark.parametrize("penalty", [R1(), GradientPenalty()], ids=lambda penalty: penalty.name)
def test_the_other_parts_combine_too(penalty, head, varied, code, augment):
    model = gan(
        DIGITS,
        penalties=(penalty,),
        conditioning=head,
        conditional=True,
        minibatch_std=varied,
        code=code,
        augment=augment,
        spectral_discriminator=True,
        latent_dim=4,
    )
    for phase, terms in stepped(model, batch(DIGITS)).items():
        assert all(term.isfinite() for term in terms.values())
        assert ("classification" in terms) == (head is AuxiliaryClassifier)
        assert ("information" in terms) == (code is not None)
        assert (penalty.name in terms) == (phase == "discriminator")


def test_a_varied_discriminator_takes_a_batch_of_any_size():
    """Both players' gradients are finite, also through the penalties' second derivatives."""
    model = gan(DIGITS, penalties=(R1(), GradientPenalty()), minibatch_std=True)
    for n in range(1, 18):
        x = torch.randn(n, *DIGITS.shape, generator=generator_of(n, "x"))
        for phase, player in model.trainable().items():
            model.zero_grad()
            model.losses({"x": x}, phase)["loss"].backward()
            assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in player.parameters()), (n, phase)


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


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("gamma", [0.1, 2.0])
def test_the_discriminator_minimises_adversarial_loss_and_weighted_penalties(gamma, loss):
    model, given = gan(penalties=(R1(gamma), R2(gamma)), loss=loss), batch()
    torch.manual_seed(1)
    terms = model.losses(given, "discriminator")
    torch.manual_seed(1)
    sides = given["x"].clone().requires_grad_(), model.generator(torch.randn(6, 3)).detach().requires_grad_()
    logits = [model.judge(side).logits for side in sides]
    slopes = [
        torch.autograd.grad(of_side.sum(), side)[0].square().sum(1).mean()
        for of_side, side in zip(logits, sides, strict=True)
    ]
    torch.testing.assert_close(terms["adversarial"], loss.discriminator(*logits))
    torch.testing.assert_close(terms["real_logits"], logits[0].mean())
    torch.testing.assert_close(terms["fake_logits"], logits[1].mean())
    torch.testing.assert_close(torch.stack([terms["r1"], terms["r2"]]), torch.stack(slopes))
    torch.testing.assert_close(terms["loss"], terms["adversarial"] + gamma / 2 * sum(slopes))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_generator_minimises_its_loss_on_the_same_pairs(loss):
    model, given = gan(loss=loss), batch()
    torch.manual_seed(1)
    got = model.losses(given, "generator")["loss"]
    torch.manual_seed(1)
    fake = model.generator(torch.randn(6, 3))
    torch.testing.assert_close(got, loss.generator(model.judge(given["x"]).logits, model.judge(fake).logits))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("training", [True, False])
def test_the_generators_step_judges_real_examples_only_where_its_loss_asks(loss, training):
    model = gan(loss=loss, penalties=(), augment=(InstanceNoise(0.1),)).train(training)
    judged = []
    model.discriminator.register_forward_hook(lambda *_: judged.append(True))
    assert model.losses(batch(), "generator")["loss"].isfinite()
    assert len(judged) == 1 + loss.pairs


@pytest.mark.parametrize(
    "options", [{"augment": (InstanceNoise(0.5),)}, {"spectral_discriminator": True}], ids=["augmented", "spectral"]
)
def test_what_is_not_judged_leaves_noise_and_spectral_norms_as_if_it_were(options):
    class Pairs(HingeLoss):
        pairs = True

    asked, unasked = (gan(loss=loss, penalties=(), **options) for loss in (Pairs(), HingeLoss()))
    terms = []
    for model in (asked, unasked):
        torch.manual_seed(1)
        terms.append([stepped(model.train(), batch())["generator"]["loss"].item() for _ in range(2)])
    assert terms[0] == terms[1]
    assert all(torch.equal(value, unasked.state_dict()[name]) for name, value in asked.state_dict().items())


def test_recognition_joins_both_players_losses():
    head, code = partial(AuxiliaryClassifier, weight=3.0), LatentCode(0, 2, weight=0.5)
    options = {"conditioning": head, "conditional": True, "code": code, "penalties": (), "loss": NonSaturatingLoss()}
    model, given = gan(**options), batch()
    for phase in model.trainable():
        torch.manual_seed(1)
        terms = model.losses(given, phase)
        recognised = terms["classification"] + terms["information"]
        torch.testing.assert_close(terms["loss"], terms["adversarial"] + recognised)
        torch.manual_seed(1)
        z = code.encode(torch.randn(6, 3))
        fake = model.judge(model.generator(z, y=given["y"]), given["y"]).h
        real = model.judge(given["x"], given["y"]).h
        torch.testing.assert_close(terms["information"], code.loss(model.discriminator.recover(fake), z))
        classifier = model.discriminator.head.recognition
        seen = [fake] if phase == "generator" else [real, fake]
        expected = sum(classifier(h, given["y"])["classification"] for h in seen)
        torch.testing.assert_close(terms["classification"], expected)


def test_penalties_constraint_and_augmentation_are_a_matter_of_training_alone():
    model = gan(DIGITS, augment=(DiffAugment(),), constraint=WeightClipping(1e-3)).eval()
    before = [p.clone() for p in model.parameters()]
    with torch.no_grad():
        assert "r1" not in model.losses(batch(DIGITS), "discriminator")
        x = batch(DIGITS)["x"]
        assert torch.equal(model.judge(x).logits, model.judge(x).logits)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_weights_are_clipped_before_either_player_moves():
    for phase in ("discriminator", "generator"):
        model = gan(loss=WassersteinLoss(), constraint=WeightClipping(0.01))
        model.losses(batch(), phase)
        assert max(p.abs().max() for p in model.discriminator.parameters()) <= 0.01
        assert max(p.abs().max() for p in model.generator.parameters()) > 0.01


def test_real_and_generated_examples_are_augmented_for_both_players():
    seen = []

    class Remembered(DiffAugment):
        def __call__(self, x, progress):
            seen.append((len(x), progress))
            return super().__call__(x, progress)

    model = gan(DIGITS, augment=(Remembered(),), penalties=())
    model.progress = 0.25
    for phase in ("discriminator", "generator"):
        model.losses(batch(DIGITS), phase)
    assert seen == [(6, 0.25)] * 4


@pytest.mark.parametrize("spec", [PLANE, DIGITS], ids=["plane", "digits"])
@pytest.mark.parametrize("head", [Concatenation, Projection])
def test_labels_reach_both_players(spec, head):
    model = gan(spec, conditional=True, conditioning=head)
    x, a, b = torch.ones(2, *spec.shape), torch.tensor([0, 1]), torch.tensor([1, 2])
    assert ((model.judge(x, a).logits - model.judge(x, b).logits).abs() > 1e-4).all()
    drawn = [model.sample(2, y=y, noise=SampleNoise(0, range(2))) for y in (a, b)]
    assert ((drawn[0] - drawn[1]).flatten(1).abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize("code", [None, LatentCode(1, 1)], ids=["no code", "code"])
def test_samples_are_decoded_noise_inside_the_range(code):
    model, noise = gan(DIGITS, code=code), SampleNoise(0, range(4))
    with torch.no_grad():
        model.generator.linear.bias.copy_(3 * torch.randn(64))
        z = SampleNoise(0, range(4))(model.latent_dim)
        expected = DIGITS.squash(model.generator(z if code is None else code.encode(z)))
        assert torch.equal(model.decode(z), expected)
        assert torch.equal(model.sample(4, noise=noise), expected)
    assert 0.9 < expected.abs().max() < 1


def test_truncation_bounds_the_latents_that_are_sampled_from_and_no_others():
    whole, model = gan(DIGITS), gan(DIGITS, truncation=0.3)
    z = SampleNoise(0, range(500))(model.latent_dim)
    with torch.no_grad():
        drawn = model.sample(500, noise=SampleNoise(0, range(500)))
        assert torch.equal(drawn, whole.decode(truncated_normal(z, 0.3)))
        assert torch.equal(model.decode(z), whole.decode(z))
        assert drawn.std(0).mean() < 0.5 * whole.decode(z).std(0).mean()


def test_the_discriminator_is_shown_what_is_sampled():
    """Inside the range, where the real examples are: an unbounded generator would be told apart by its range alone."""
    model, seen = gan(DIGITS), []
    judged = model.discriminator.forward
    model.discriminator.forward = lambda x, y=None: (seen.append(x), judged(x, y))[1]
    with torch.no_grad():
        model.generator.linear.bias.fill_(100.0)
    for phase in ("discriminator", "generator"):
        model.losses({"x": torch.zeros(4, *DIGITS.shape)}, phase)
    assert len(seen) == 4
    assert max(x.max().item() for x in seen) == pytest.approx(1 - DIGITS.bin_width / 2)


def test_augmented_points_and_convolved_points_are_refused():
    with pytest.raises(ConfigError, match="is for image data, not vector"):
        gan(PLANE, augment=(DiffAugment(),))
    with pytest.raises(ConfigError, match="models image data"):
        ImageGAN(spec=PLANE, backbone=StridedConv)


def test_the_default_is_r3gan():
    model = GAN(spec=PLANE)
    assert isinstance(model.loss, RelativisticLoss)
    assert [type(penalty) for penalty in model.penalties] == [R1, R2]


def test_a_model_restored_from_its_state_trains_on_as_if_nothing_had_happened():
    options = {
        "spectral_discriminator": True,
        "spectral_generator": True,
        "code": LatentCode(2, 1),
        "augment": (InstanceNoise(),),
    }
    model, other, given = gan(DIGITS, **options), gan(DIGITS, **options), batch(DIGITS)
    stepped(model, given)
    other.load_state_dict(model.state_dict())
    for player in (model, other):
        torch.manual_seed(7)
        stepped(player, given)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
