"""The discriminator's heads in closed form, and what it is told of a minibatch."""

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch.nn import functional as F

from genkit.errors import ConfigError
from genkit.models.gan.discriminator import (
    AuxiliaryClassifier,
    Concatenation,
    Discriminator,
    Projection,
    minibatch_std,
)
from genkit.models.gan.latent_code import LatentCode
from genkit.noise import generator_of

H = torch.randn(6, 4, generator=generator_of(0, "features"))
Y = torch.arange(6) % 3


def discriminator(**options) -> Discriminator:
    torch.manual_seed(0)
    given = {"head": Concatenation, "features": 4, "num_classes": 3, "varied": False, "code": None}
    return Discriminator(**{"spec": PLANE, "network": Affine} | given | options)


def test_a_projection_is_linear_in_the_features_with_a_row_per_label():
    torch.manual_seed(0)
    head = Projection(features=4, num_classes=3)
    w, b, table = head.linear.weight[0], head.linear.bias[0], head.label.weight
    expected = torch.stack([h @ (w + table[y]) + b for h, y in zip(H, Y, strict=True)])
    torch.testing.assert_close(head(H, Y), expected)


def test_an_auxiliary_classifier_judges_without_the_label_and_pays_for_not_recognising_it():
    torch.manual_seed(0)
    head = AuxiliaryClassifier(features=4, num_classes=3, weight=2.0)
    assert torch.equal(head(H, Y), head(H, Y.flip(0)))
    expected = -2 * head.classes(H).log_softmax(1)[torch.arange(6), Y].mean()
    torch.testing.assert_close(head.recognition(H, Y)["classification"], expected)


@pytest.mark.parametrize("head", [Projection, AuxiliaryClassifier])
def test_heads_that_need_labels_say_so(head):
    with pytest.raises(ConfigError, match=r"model\.conditional=true"):
        head(features=4, num_classes=None)


@pytest.mark.parametrize(
    ("head", "in_trunk"), [(Concatenation, True), (Projection, False), (AuxiliaryClassifier, False)]
)
def test_the_label_enters_in_one_place(head, in_trunk):
    model = discriminator(head=head)
    assert (model.trunk.table is not None) == in_trunk
    x = torch.randn(6, 2, generator=generator_of(0, "x"))
    h = F.silu(model.trunk(x, y=Y if in_trunk else None))
    verdict = model(x, Y)
    torch.testing.assert_close(verdict.h, h)
    torch.testing.assert_close(verdict.logits, model.head(h, Y))


# of batches of 1 to 17: by fours, else by twos, and odd ones into as few groups of at most four as it takes
GROUPS = [1, 1, 1, 1, 2, 3, 2, 2, 3, 5, 3, 3, 4, 7, 4, 4, 5]


@pytest.mark.parametrize(("n", "groups"), list(enumerate(GROUPS, 1)))
def test_the_minibatch_standard_deviation_is_that_of_each_group(n, groups):
    h = torch.randn(n, 5, generator=generator_of(0, "h")).requires_grad_()
    got = minibatch_std(h)
    assert got.shape == (n, 1)
    (slope,) = torch.autograd.grad(got.sum(), h, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.square().sum(), h)
    assert slope.isfinite().all()
    assert curvature.isfinite().all()
    assert n == 1 or slope.abs().sum() > 0.1  # no batch but of one tells the generator nothing
    for i in range(n):
        group = h[i % groups :: groups]
        torch.testing.assert_close(got[i, 0], group.std(0, correction=0).mean(), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("n", [2, 4, 6, 8, 12, 64])
def test_an_even_batch_is_grouped_as_it_always_was(n):
    """Bit for bit: a discriminator trained before goes on as it was."""
    h = torch.randn(n, 5, generator=generator_of(0, "h"))
    size = 4 if n % 4 == 0 else 2
    grouped = h.unflatten(0, (size, -1))
    variance = (grouped - grouped.mean(0)).square().mean(0)
    assert torch.equal(minibatch_std(h), (variance + 1e-8).sqrt().mean(1, keepdim=True).repeat(size, 1))


def test_copies_have_no_deviation_and_a_finite_gradient():
    h = torch.ones(4, 3, requires_grad=True)
    std = minibatch_std(h)
    assert std.max() < 1e-3
    assert torch.autograd.grad(std.sum(), h)[0].isfinite().all()


def test_a_varied_discriminator_tells_copies_from_a_varied_batch():
    model = discriminator(varied=True, spec=DIGITS)
    x = torch.randn(4, 1, 8, 8, generator=generator_of(0, "x"))
    alone, y = model(x[:1].expand(4, -1, -1, -1), Y[:1].expand(4)).logits, Y[:1].expand(4)
    assert (model(x, y).logits[0] - alone[0]).abs() > 1e-4
    plain = discriminator(spec=DIGITS)
    torch.testing.assert_close(plain(x, y).logits[0], plain(x[:1].expand(4, -1, -1, -1), y).logits[0])


class TestLatentCode:
    code = LatentCode(categories=3, values=2, weight=0.5)
    z = torch.randn(20_000, 7, generator=generator_of(0, "z"))

    def test_categories_are_one_hot_and_equally_likely(self):
        chosen = self.code.encode(self.z)[:, :3]
        assert torch.equal(chosen.sum(1), torch.ones(len(self.z)))
        assert set(chosen.unique().tolist()) == {0.0, 1.0}
        assert (chosen.mean(0) - 1 / 3).abs().max() < 0.015

    def test_values_are_uniform_and_the_rest_is_the_latent(self):
        out = self.code.encode(self.z)
        values = out[:, 3:5]
        assert values.abs().max() < 1
        assert (values.mean(0)).abs().max() < 0.02
        assert (values.std(0) - 3**-0.5).abs().max() < 0.01
        assert torch.equal(out[:, 5:], self.z[:, 5:])

    def test_the_loss_is_the_code_lengths(self):
        z = self.code.encode(self.z[:6])
        guess = torch.randn(6, 5, generator=generator_of(0, "guess"))
        expected = (
            F.cross_entropy(guess[:, :3], z[:, :3].argmax(1)) + 0.5 * (guess[:, 3:] - z[:, 3:5]).square().sum(1).mean()
        )
        torch.testing.assert_close(self.code.loss(guess, z), 0.5 * expected)

    @pytest.mark.parametrize("sizes", [(0, 0), (30, 3)])
    def test_a_code_that_is_empty_or_larger_than_the_latent_is_refused(self, sizes):
        with pytest.raises(ConfigError, match=r"model\.code"):
            LatentCode(*sizes).check(32)

    @pytest.mark.parametrize("sizes", [(0, 2), (4, 0)])
    def test_either_part_may_be_missing(self, sizes):
        code = LatentCode(*sizes)
        z = code.encode(self.z[:5])
        assert z.shape == (5, 7)
        assert code.loss(torch.zeros(5, sum(sizes)), z).isfinite()
