"""Laws of masked diffusion, by enumeration, in float64."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.masked_diffusion.masked_diffusion import MaskedDiffusion
from genkit.nn.bidirectional_network import BidirectionalNetwork
from genkit.nn.bidirectional_transformer import BidirectionalTransformer
from genkit.noise import SampleNoise

SPECS = {
    "tokens": DataSpec((4,), "sequence", kind=Categorical(2), num_classes=2),
    "documents": DataSpec((4,), "sequence", kind=Categorical(2, ("eos", "pad"))),
    "specials": DataSpec((4,), "sequence", kind=Categorical(2, ("bos", "pad"))),
    "image": DataSpec((1, 2, 2), "image", value_range=(-1.0, 1.0), levels=3),
    "colour image": DataSpec((2, 1, 2), "image", value_range=(0.0, 1.0), levels=3),
    "vector": DataSpec((4,), "vector", value_range=(0.0, 1.0), levels=3),
    "square": DataSpec((1, 2, 2), "image", value_range=(-1.0, 1.0), levels=3),
}
PATCH = {"square": 2}
T = 4
ROWS = torch.tensor([*itertools.product(range(2), repeat=T)])
TRUTH = torch.distributions.Dirichlet(torch.full((16,), 0.7, dtype=torch.float64))


class TrueDenoiser(BidirectionalNetwork):
    """The scores log p(x_i | what is seen) of a distribution over the 16 rows of two tokens at four places."""

    def __init__(
        self, *, mass: Tensor, shape: object, inputs: int, outputs: int, num_classes: int | None, together: int
    ) -> None:
        super().__init__()
        self.register_buffer("mass", mass)
        self.mask = inputs - 1

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        fits = ((tokens[:, None] == ROWS) | (tokens[:, None] == self.mask)).all(2)
        joint = fits.to(self.mass) * self.mass  # (B, 16)
        return torch.einsum("br,rtv->btv", joint, torch.nn.functional.one_hot(ROWS, 2).to(joint)).log()


@pytest.fixture(scope="module")
def mass() -> Tensor:
    torch.manual_seed(1)
    return TRUTH.sample()


def true_model(mass: Tensor, steps: int = T) -> MaskedDiffusion:
    return MaskedDiffusion(spec=SPECS["tokens"], network=partial(TrueDenoiser, mass=mass), steps=steps)


def model_of(data: str = "tokens", conditional: bool = False, **more: float) -> MaskedDiffusion:
    """With weights that are none of the first ones, where branches are still zero."""
    torch.manual_seed(3)
    small = partial(BidirectionalTransformer, features=8, depth=2, heads=2)
    patch = PATCH.get(data, 1)
    model = MaskedDiffusion(
        spec=SPECS[data],
        network=small,
        conditional=conditional,
        patch=patch,
        **more,  # type: ignore[arg-type]
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter))
    return model.double().eval().requires_grad_(False)


def everything(data: str) -> Tensor:
    """Every example of a kind of data, in model units; of documents, those that end and those that do not."""
    spec = SPECS[data]
    if data == "documents":
        ended = [
            [*row, 2, *[3] * (T - size - 1)] for size in range(T) for row in itertools.product((0, 1), repeat=size)
        ]
        return torch.tensor([*ended, *itertools.product((0, 1), repeat=T)])
    count = 2 if data == "tokens" else 3
    return spec.scale(torch.tensor([*itertools.product(range(count), repeat=T)]).reshape(-1, *spec.shape))


def exact_bound(model: MaskedDiffusion, x: Tensor, y: Tensor | None = None) -> Tensor:
    """The integral over t of the sum over hidden places / t, each place hidden by a coin of probability t.

    Of a set of m places it is the integral of t^(m − 1) (1 − t)^(T − m), a Beta function.
    """
    tokens, total = model.tokens_of(x), torch.zeros(len(x), dtype=torch.float64)
    for hidden in itertools.product((False, True), repeat=T):
        if m := sum(hidden):
            weight = math.exp(math.lgamma(m) + math.lgamma(T - m + 1) - math.lgamma(T + 1))
            seen = torch.tensor(hidden).expand(tokens.shape)
            total += weight * (conditionals(model, tokens, seen, y) * seen).sum(1)
    return total


def conditionals(model: MaskedDiffusion, tokens: Tensor, hidden: Tensor, y: Tensor | None = None) -> Tensor:
    """log p(x_i | what is seen) at hidden places, (B, T); anything elsewhere."""
    scores = model.scores(tokens.where(~hidden, model.mask), y).log_softmax(2)
    return scores.gather(2, tokens[:, :, None])[:, :, 0].where(hidden, 0.0)


def by_orders(model: MaskedDiffusion, x: Tensor, y: Tensor | None = None) -> Tensor:
    """log of the probability of x when its places are found one by one, for each order: (24, B)."""
    tokens, found = model.tokens_of(x), []
    for order in itertools.permutations(range(T)):
        hidden, total = torch.ones_like(tokens, dtype=torch.bool), torch.zeros(len(x), dtype=torch.float64)
        for place in order:
            total = total + conditionals(model, tokens, hidden, y)[:, place]
            hidden[:, place] = False
        found.append(total)
    return torch.stack(found)


def chi_square(counts: Tensor, mass: Tensor) -> float:
    """In deviations from its mean."""
    n, kept = float(counts.sum()), mass > 0
    assert int(counts[~kept].sum()) == 0
    statistic = float(((counts - n * mass)[kept] ** 2 / (n * mass[kept])).sum())
    freedom = int(kept.sum()) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


def counts_of(rows: Tensor) -> Tensor:
    return torch.bincount((rows * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16)


def test_the_bound_of_the_true_denoiser_is_the_entropy(mass: Tensor) -> None:
    bound = exact_bound(true_model(mass), ROWS)
    torch.testing.assert_close(bound, mass.log(), rtol=0, atol=1e-12)
    assert float(-(mass * bound).sum()) == pytest.approx(float(-(mass * mass.log()).sum()), abs=1e-12)


@pytest.mark.parametrize("data", ["tokens", "documents", "image", "colour image", "vector", "square"])
def test_probabilities_sum_to_one_and_the_bound_is_below_them(data: str) -> None:
    """What one order says of all examples sums to one, of documents too; the mean of their logarithms is the bound."""
    model, x = model_of(data), everything(data)
    orders = by_orders(model, x)
    torch.testing.assert_close(orders.logsumexp(1), torch.zeros(24, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(orders.mean(0), exact_bound(model, x), rtol=0, atol=1e-12)
    log_mass = orders.logsumexp(0) - math.log(24)
    assert bool((exact_bound(model, x) <= log_mass + 1e-12).all())
    assert float((log_mass - exact_bound(model, x)).max()) > 1e-3


@pytest.mark.parametrize("data", ["tokens", "documents", "image", "square"])
def test_likelihoods_and_losses_are_unbiased_draws_of_the_bound(data: str) -> None:
    model, x = model_of(data), everything(data)[5:7]
    exact, volume = exact_bound(model, x), T * model.spec.kind.log_volume
    drawn = model.drawn_log_masses(x, k=400)
    error = drawn.std(0) / math.sqrt(400)
    assert bool(((drawn.mean(0) - exact).abs() < 4 * error).all())
    assert torch.equal(model.log_prob(x), drawn_mean(model, x) - volume)
    torch.manual_seed(0)
    loss = T * float(model.losses({"x": x.repeat_interleave(400, 0)}, "model")["loss"])
    assert abs(loss + float(exact.mean())) < 4 * float(error.norm())


def drawn_mean(model: MaskedDiffusion, x: Tensor) -> Tensor:
    return model.drawn_log_masses(x, k=model.elbo_draws).mean(0)


def test_a_likelihood_is_seeded_and_the_same_in_any_batch() -> None:
    model, x = model_of("tokens"), everything("tokens")
    whole = model.log_prob(x)
    torch.testing.assert_close(torch.cat([model.log_prob(x[[i]]) for i in range(16)]), whole, rtol=0, atol=1e-12)
    assert not torch.equal(model.log_prob(x, seed=1), whole)


def test_labels_change_what_is_likely() -> None:
    model, x = model_of("tokens", conditional=True), everything("tokens")
    one, other = (by_orders(model, x, torch.full((16,), label)) for label in (0, 1))
    torch.testing.assert_close(one.logsumexp(1), other.logsumexp(1), rtol=0, atol=1e-12)
    assert float((one - other).abs().max()) > 0.1


def test_places_found_one_by_one_are_of_the_distribution(mass: Tensor) -> None:
    samples = true_model(mass).sample(4000, seed=0)
    assert abs(chi_square(counts_of(samples), mass)) < 4


def test_places_found_at_once_are_of_their_marginals_alone(mass: Tensor) -> None:
    """In one step each place is as it is by itself, and independent of the others."""
    samples = true_model(mass, steps=1).sample(4000, seed=0)
    ones = (mass[:, None] * ROWS).sum(0)
    product = torch.where(ROWS == 1, ones, 1 - ones).prod(1)
    assert abs(chi_square(counts_of(samples), product)) < 4
    assert chi_square(counts_of(samples), mass) > 10  # which is another distribution


def test_what_is_completed_is_of_the_conditional_distribution(mass: Tensor) -> None:
    x, known = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[False, True, False, True]])
    given = mass * ((ROWS[:, 1] == 1) & (ROWS[:, 3] == 0))
    found = true_model(mass).complete(x.expand(2000, -1), known, noise=SampleNoise(0, range(2000)))
    assert abs(chi_square(counts_of(found), given / given.sum())) < 4


@pytest.mark.parametrize("steps", [1, 2, 4, 64])
@pytest.mark.parametrize("data", SPECS)
def test_anything_known_is_completed(data: str, steps: int) -> None:
    """Bit for bit, each as it would be alone, in as many evaluations as there are steps or unknown places."""
    model, x = model_of(data, steps=steps), everything("tokens" if data == "specials" else data)[:15]
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    known[0] = True
    found = model.complete(x, known, noise=SampleNoise(5, range(len(x))))
    assert model.evaluations is not None
    assert 0 < model.evaluations <= min(steps, int((~known).flatten(1).sum(1).max()))
    assert torch.equal(found[known], x[known])
    assert torch.equal(found[0], x[0])
    for row in range(len(x)):
        alone = model.complete(x[[row]], known[[row]], noise=SampleNoise(5, [row]))
        assert torch.equal(alone[0], found[row])
    nothing = model.complete(x, torch.zeros_like(known[:1]), noise=SampleNoise(5, range(len(x))))
    assert torch.equal(nothing, model.sample(len(x), seed=5))
    assert model.documents is None or bool(model.documents.possible(found).all())


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_samples_are_documents_and_never_masks(steps: int) -> None:
    model = model_of("documents", steps=steps)
    x = model.sample(300, seed=0)
    ended = (x == 2).cumsum(1) - (x == 2).long() > 0
    assert torch.equal(x == 3, ended)
    assert bool(ended.any())
    assert int(x.max()) < model.mask
    hidden = torch.full((1, T), model.mask)
    assert model.scores(hidden).shape == (1, T, 4)  # no score of the mask
    assert int(model_of("specials", steps=steps).sample(300, seed=0).max()) == 1


def test_what_is_certain_costs_nothing() -> None:
    model = model_of("documents")
    tokens, hidden = torch.tensor([[0, 2, 3, 3]]), torch.tensor([[True, False, True, True]])
    assert conditionals(model, tokens, hidden)[0, 2:].tolist() == [0.0, 0.0]
    scores = model.scores(tokens.where(~hidden, model.mask))[0]
    assert scores[0].isfinite().tolist() == [True, True, False, False]
    assert float(model.log_prob(torch.tensor([[0, 3, 2, 3]]))) == -math.inf
    given = model_of("specials")
    assert given.log_prob(torch.tensor([[3, 3, 3, 3]])).tolist() == [0.0]


@pytest.mark.parametrize("row", [[0, 2, -1, 1], [-1, 2, 2, -1], [0, 3, -1, -1], [3, -1, -1, -1], [3, -1, 1, -1]])
def test_no_part_of_a_document_is_not_completed(row: list[int]) -> None:
    x = torch.tensor([row])
    with pytest.raises(ConfigError, match="no part of a document"):
        model_of("documents").complete(x.clamp(min=0), x >= 0, noise=SampleNoise(0, range(1)))


def test_every_place_sees_every_other_and_where_it_stands() -> None:
    model = model_of("tokens")
    tokens = torch.zeros(1, T, dtype=torch.int64)
    for place in range(T):
        changed = tokens.index_fill(1, torch.tensor([place]), 1)
        assert bool((model.network(changed) != model.network(tokens)).any(2).all())
    unseen = model.network(torch.full((1, T), model.mask))[0]
    assert torch.pdist(unseen).min() > 1e-3


def test_an_untrained_model_knows_little() -> None:
    spec = DataSpec((16,), "sequence", kind=Categorical(64))
    torch.manual_seed(0)
    model = MaskedDiffusion(spec=spec, elbo_draws=2).eval().requires_grad_(False)
    bits = -float(model.log_prob(torch.randint(64, (16, 16))).mean()) / 16 / math.log(2)
    assert abs(bits - 6) < 1


def test_squares_are_places_of_the_network_alone() -> None:
    """Two colours of 4x4 pixels in squares of 2x2: four places that read eight values each, which are hidden singly."""
    model = MaskedDiffusion(spec=replace(SPECS["colour image"], shape=(2, 4, 4)), patch=2).eval()
    lengths = []
    model.network.blocks[0].register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    tokens = torch.full((32, 32), model.mask)
    scores = model.scores(tokens.fill_diagonal_(1)).detach()
    assert (lengths, scores.shape) == ([4], (32, 32, 3))
    assert float(torch.pdist(scores.flatten(1)).min()) > 1e-3  # each value is told apart from all others
    with pytest.raises(ConfigError, match=r"model\.patch=3: takes images whose sides it divides"):
        MaskedDiffusion(spec=SPECS["image"], patch=3)


@pytest.mark.parametrize("patch", [0, 2])
def test_rows_are_learned_by_heart(patch: int) -> None:
    image = replace(SPECS["image"], shape=(1, 4, 4), levels=5)
    spec = image if patch else DataSpec((8,), "sequence", kind=Categorical(5))
    torch.manual_seed(0)
    small = partial(BidirectionalTransformer, features=16, depth=2, heads=2)
    model = MaskedDiffusion(spec=spec, network=small, patch=max(patch, 1))
    x = spec.scale(torch.randint(5, (2, *spec.shape))).repeat(8, *[1] * len(spec.shape))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.losses({"x": x}, "model")["loss"].backward()
        optimizer.step()
    assert -float(model.log_prob(x[:2]).mean()) - math.log(2) < 0.1  # which of the two is not to be known


def test_a_part_is_as_likely_as_all_that_agrees_with_it(mass: Tensor) -> None:
    """Of the true conditionals the marginal: one value to the last digit, several as near as draws of the order."""
    model = MaskedDiffusion(spec=SPECS["tokens"], network=partial(TrueDenoiser, mass=mass), elbo_draws=300)
    for places, tolerance in (([2], 1e-6), ([1, 3], 0.08), ([0, 1, 2], 0.15)):
        known = torch.zeros(T, dtype=torch.bool).index_fill(0, torch.tensor(places), True)
        same = (ROWS[:, None, places] == ROWS[None, :, places]).all(2)
        found = model.known_log_prob(ROWS, known)
        torch.testing.assert_close(found, (same * mass).sum(1).log(), atol=tolerance, rtol=0)
        assert torch.equal(found, model.known_log_prob(torch.where(known, ROWS, 1 - ROWS), known))


def test_the_whole_is_as_likely_as_the_bound_says() -> None:
    model, x = model_of("tokens", conditional=True, elbo_draws=4), everything("tokens")
    y = torch.ones(len(x), dtype=torch.int64)
    everywhere = torch.ones(T, dtype=torch.bool)
    torch.testing.assert_close(model.known_log_prob(x, everywhere, y), model.drawn_log_masses(x, y, 4).mean(0))
