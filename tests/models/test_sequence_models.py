"""Laws of autoregressive models, by enumeration, in float64: one body over networks and kinds of data."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.distributions import draw_categorical
from genkit.errors import ConfigError
from genkit.models.autoregressive.autoregressive import Autoregressive
from genkit.models.token_sampler import TokenSampler
from genkit.nn.gpt import GPT
from genkit.nn.lstm import LSTM
from genkit.nn.made import MADE
from genkit.nn.pixel_cnn import PixelCNN
from genkit.nn.pixel_cnn_pp import PixelCNNPP, log_mass
from genkit.nn.pixel_rnn import PixelRNN
from genkit.nn.sequence_network import SequenceNetworkFactory
from genkit.nn.transformer import CausalTransformer
from genkit.noise import SampleNoise

NETWORKS: dict[str, SequenceNetworkFactory] = {
    "gpt": partial(GPT, features=8, depth=2, heads=2, ngram_rows=7),
    "gpt without n-grams": partial(GPT, features=8, depth=1, heads=1, ngram_rows=0),
    "transformer": partial(CausalTransformer, features=8, depth=2, heads=2),
    "lstm": partial(LSTM, features=6, depth=2),
    "made": partial(MADE, features=12, depth=2, token_features=3),
    "pixel_cnn": partial(PixelCNN, features=4, depth=3),
    "pixel_cnn_pp": partial(PixelCNNPP, features=4, depth=2, mixtures=2),
    "pixel_rnn": partial(PixelRNN, features=4, depth=2),
}
SPECS = {
    "tokens": DataSpec((5,), "sequence", kind=Categorical(3), num_classes=2),
    "documents": DataSpec((4,), "sequence", kind=Categorical(2, ("eos", "pad"))),
    "packed documents": DataSpec((8,), "sequence", kind=Categorical(2, ("eos", "pad"))),
    "image": DataSpec((1, 2, 2), "image", value_range=(-1.0, 1.0), levels=3),
    "colour image": DataSpec((2, 1, 2), "image", value_range=(0.0, 1.0), levels=3),
    "wide image": DataSpec((1, 2, 4), "image", value_range=(0.0, 1.0), levels=2),
    "vector": DataSpec((4,), "vector", value_range=(0.0, 1.0), levels=3),
}


def model_of(network: str, data: str = "tokens", conditional: bool = False, **more: float) -> Autoregressive:
    """With weights that are none of the first ones, where branches are still zero."""
    torch.manual_seed(3)
    model = Autoregressive(spec=SPECS[data], network=NETWORKS[network], conditional=conditional, **more)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter))
    return model.double().eval().requires_grad_(False)


@pytest.mark.parametrize("network", NETWORKS)
def test_squares_are_another_order_of_the_same_values(network: str) -> None:
    """Their probabilities sum to one, the map is undone, and what is known is squares that come first."""
    model = model_of(network, "wide image", patch=2)
    x = everything("wide image")
    mass = model.log_prob(x) + model.length * model.spec.kind.log_volume
    assert float(mass.logsumexp(0)) == pytest.approx(0.0, abs=1e-12)
    v = torch.arange(8).reshape(1, 1, 2, 4)
    assert model.in_order(v).tolist() == [[0, 1, 4, 5, 2, 3, 6, 7]]
    assert torch.equal(model.of_tokens(model.tokens_of(x)), x)
    known = torch.tensor([[[[True, True, False, False]] * 2]])
    found = model.complete(x[:5], known, noise=SampleNoise(0, range(5)))
    assert torch.equal(found[..., :2], x[:5, ..., :2])


def test_squares_that_do_not_cover_the_data_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.patch=2: takes images whose sides it divides, this data is 2x1x2"):
        model_of("gpt", "colour image", patch=2)
    with pytest.raises(ConfigError, match=r"model\.patch=2"):
        model_of("gpt", "tokens", patch=2)


def everything(data: str) -> Tensor:
    """Every example of a kind of data, in model units."""
    spec = SPECS[data]
    count = 2 if data in ("documents", "wide image") else 3
    rows = torch.tensor([*itertools.product(range(count), repeat=spec.dim)])
    return spec.scale(rows.reshape(-1, *spec.shape))


def documents(length: int) -> Tensor:
    """All documents that end within `length` tokens, the end counted."""
    ended = []
    for size in range(length):
        rows = torch.tensor([*itertools.product(range(2), repeat=size)], dtype=torch.int64).reshape(2**size, size)
        rest = torch.tensor([2] + [3] * (length - size - 1)).expand(2**size, -1)
        ended.append(torch.cat((rows, rest), 1))
    return torch.cat(ended)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("data", ["tokens", "image", "colour image", "vector"])
def test_probabilities_sum_to_one(network: str, data: str) -> None:
    model = model_of(network, data)
    x = everything(data)
    mass = model.log_prob(x) + model.length * model.spec.kind.log_volume
    assert float(mass.logsumexp(0)) == pytest.approx(0.0, abs=1e-12)
    assert float(mass.std()) > 0.01


@pytest.mark.parametrize("network", NETWORKS)
def test_documents_and_what_has_not_ended_sum_to_one(network: str) -> None:
    model = model_of(network, "documents")
    unended = everything("documents")
    total = torch.cat((model.log_prob(documents(4)), model.log_prob(unended)))
    assert float(total.logsumexp(0)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
def test_labels_change_what_is_likely(network: str) -> None:
    model = model_of(network, "tokens", conditional=True)
    x = everything("tokens")
    one, other = (model.log_prob(x, torch.full((len(x),), label)) for label in (0, 1))
    assert float(one.logsumexp(0)) == pytest.approx(0.0, abs=1e-12) == float(other.logsumexp(0))
    assert float((one - other).abs().max()) > 0.1


@pytest.mark.parametrize("network", NETWORKS)
def test_no_score_depends_on_what_comes_after(network: str) -> None:
    model = model_of(network, "tokens")
    tokens = torch.randint(3, (6, 5), generator=torch.Generator().manual_seed(0))
    before = model.network(tokens)
    for t in range(5):
        changed = tokens.clone()
        changed[:, t:] = (changed[:, t:] + 1) % 3
        after = model.network(changed)
        assert torch.equal(before[:, : t + 1], after[:, : t + 1])
        assert t == 4 or not torch.equal(before[:, t + 1 :], after[:, t + 1 :])


@pytest.mark.parametrize("network", NETWORKS)
def test_step_by_step_is_all_at_once(network: str) -> None:
    """What is kept while sampling, against scores that are computed again from all that came before."""
    model = model_of(network, "tokens", conditional=True)
    tokens = torch.randint(3, (7, 5), generator=torch.Generator().manual_seed(1))
    y = torch.arange(7) % 2
    scores, state = model.network.start(7, y)
    found = [scores]
    for t in range(4):
        scores, state = model.network.step(tokens[:, t], state)
        found.append(scores)
    torch.testing.assert_close(torch.stack(found, 1), model.network(tokens, y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("data", ["tokens", "documents", "colour image"])
def test_a_likelihood_is_the_sum_of_what_sampling_saw(network: str, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(network, data)
    seen: list[Tensor] = []

    def watched(self: TokenSampler, scores: Tensor) -> Tensor:
        seen.append(scores.log_softmax(1))
        return scores

    monkeypatch.setattr(TokenSampler, "__call__", watched)
    x = model.sample(16, seed=4)
    targets = model._targets(model.tokens_of(x))[:, : len(seen)]
    terms = torch.stack(seen, 1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0].masked_fill(targets < 0, 0.0)
    mass = model.log_prob(x) + model.length * model.spec.kind.log_volume
    torch.testing.assert_close(terms.sum(1), mass, rtol=0, atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
def test_samples_come_as_often_as_they_are_likely(network: str) -> None:
    """χ² of 4,000 samples over the 81 images; its mean is 80 and its deviation 12.6."""
    model, n = model_of(network, "image"), 4000
    mass = (model.log_prob(everything("image")) + 4 * model.spec.kind.log_volume).exp()
    v = model.spec.unscale(model.sample(n, seed=0)).long().flatten(1)
    counts = torch.bincount((v * torch.tensor([27, 9, 3, 1])).sum(1), minlength=81)
    assert float(((counts - n * mass) ** 2 / (n * mass)).sum()) < 80 + 4 * 12.6


@pytest.mark.parametrize("network", NETWORKS)
def test_a_beginning_is_completed(network: str) -> None:
    """Of different lengths in one batch, each as it would be alone; what is known comes back bit for bit."""
    model = model_of(network, "documents")
    x = torch.tensor([[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 2, 3, 3], [1, 0, 1, 1]])
    known = torch.arange(4) < torch.tensor([0, 1, 3, 3, 4])[:, None]
    found = model.complete(x, known, noise=SampleNoise(5, range(5)))
    assert torch.equal(found[known], x[known])
    assert torch.equal(found[3:], x[3:])  # one has ended, one is full
    assert torch.equal(found[0], model.sample(1, seed=5)[0])
    for row in range(5):
        alone = model.complete(x[[row]], known[[row]], noise=SampleNoise(5, [row]))
        assert torch.equal(alone[0], found[row])


@pytest.mark.parametrize("network", ["gpt", "lstm", "made"])
def test_labels_are_told_by_the_beginning(network: str) -> None:
    """p(y | beginning) against the sum of the probabilities of everything that begins so, under each label."""
    model, x = model_of(network, "tokens", conditional=True), everything("tokens")
    known = torch.tensor([True, True, False, False, False])
    under = torch.stack([model.log_prob(x, torch.full((len(x),), y)) for y in (0, 1)], 1)
    first = x[:: 3**3, :2]
    same = (x[None, :, :2] == first[:, None]).all(2)
    marginal = under[None].masked_fill(~same[:, :, None], -math.inf).logsumexp(1)
    begun = torch.nn.functional.pad(first, (0, 3), value=2)  # what is not known is not looked at
    torch.testing.assert_close(model.label_log_probs(begun, known), marginal.log_softmax(1))
    torch.testing.assert_close(model.known_log_prob(begun, known, torch.zeros(9, dtype=torch.int64)), marginal[:, 0])
    assert float(marginal.log_softmax(1).std()) > 0.05


def test_a_hole_is_not_completed() -> None:
    known = torch.tensor([[True, False, True, False]])
    with pytest.raises(ConfigError, match="what is known must come first"):
        model_of("gpt", "documents").complete(torch.zeros(1, 4).long(), known, noise=SampleNoise(0, range(1)))


@pytest.mark.parametrize("network", NETWORKS)
def test_after_an_end_there_is_nothing(network: str) -> None:
    """No special but the end is ever drawn, and after it pads alone."""
    x = model_of(network, "documents").sample(200, seed=0)
    ended = (x == 2).cumsum(1) - (x == 2).long() > 0
    assert torch.equal(x == 3, ended)
    assert bool(ended.any())


@pytest.mark.parametrize("network", NETWORKS)
def test_an_untrained_model_knows_little(network: str) -> None:
    spec = DataSpec((16,), "sequence", kind=Categorical(64))
    torch.manual_seed(0)
    model = Autoregressive(spec=spec, network=NETWORKS[network]).eval()
    x = torch.randint(64, (64, 16))
    bits = -float(model.log_prob(x).mean()) / 16 / math.log(2)
    assert abs(bits - 6) < 1


@pytest.mark.parametrize(
    "network", [pytest.param(name, marks=pytest.mark.slow if "pixel" in name else ()) for name in NETWORKS]
)
def test_sixteen_tokens_are_learned_by_heart(network: str) -> None:
    spec = DataSpec((16,), "sequence", kind=Categorical(5))
    torch.manual_seed(0)
    big = partial(NETWORKS[network], features=32 if network in ("lstm", "made") else 16)
    model = Autoregressive(spec=spec, network=big)
    x = torch.randint(5, (2, 16))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 250)
    for _ in range(250):
        optimizer.zero_grad()
        model.losses({"x": x}, "model")["loss"].backward()
        optimizer.step()
        schedule.step()
    nats = -float(model.eval().log_prob(x).mean().detach()) / 16
    assert nats - math.log(2) / 16 < 0.01  # which of the two is not to be known


SCORES = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()


@pytest.mark.parametrize(
    ("sampler", "kept"),
    [
        (TokenSampler(), [0.5, 0.25, 0.15, 0.1]),
        (TokenSampler(top_k=4, top_p=1.0, min_p=0.0), [0.5, 0.25, 0.15, 0.1]),
        (TokenSampler(temperature=0), [1, 0, 0, 0]),
        (TokenSampler(top_k=1), [1, 0, 0, 0]),
        (TokenSampler(top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (TokenSampler(top_p=0.76), [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
        (TokenSampler(top_p=0.74), [2 / 3, 1 / 3, 0, 0]),
        (TokenSampler(top_p=1e-9), [1, 0, 0, 0]),
        (TokenSampler(min_p=0.29), [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
        (TokenSampler(min_p=1.0), [1, 0, 0, 0]),
        # temperature comes first: of 0.5², 0.25², … the first two have 0.91 of the mass
        (TokenSampler(temperature=0.5, top_p=0.9), [0.8, 0.2, 0, 0]),
        (TokenSampler(temperature=0.5, min_p=0.24), [0.8, 0.2, 0, 0]),
        (TokenSampler(temperature=0.5, min_p=0.26), [1, 0, 0, 0]),
    ],
)
def test_controls_leave_what_they_say(sampler: TokenSampler, kept: list[float]) -> None:
    torch.testing.assert_close(
        sampler(SCORES).softmax(1)[0], torch.tensor(kept, dtype=torch.float32), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("u", [0.0, 1e-300, 0.5, 1.0 - 2**-53, 1.0])
def test_a_token_without_mass_is_never_drawn(u: float) -> None:
    scores = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]])
    assert int(draw_categorical(scores, torch.tensor([u], dtype=torch.float64))) in (1, 3)


def test_controls_change_samples_and_no_likelihood() -> None:
    one, other = model_of("gpt", "tokens"), model_of("gpt", "tokens", temperature=0.0)
    x = everything("tokens")
    assert torch.equal(one.log_prob(x), other.log_prob(x))
    greedy = other.sample(50, seed=0)
    assert bool((greedy == greedy[0]).all())
    assert not bool((one.sample(50, seed=0) == greedy).all())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("data", ["documents", "colour image"])
def test_what_a_token_costs_is_what_its_score_says(network: str, data: str) -> None:
    model = model_of(network, data)
    tokens = model.tokens_of(documents(4) if data == "documents" else everything(data))
    targets = model._targets(tokens)
    scores = model.network(tokens).log_softmax(2)
    expected = scores.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0].masked_fill(targets < 0, 0.0)
    torch.testing.assert_close(model.network.token_log_prob(tokens, targets), expected, rtol=0, atol=1e-12)


def test_channels_of_a_logistic_mixture_are_one_joint_mixture() -> None:
    """The product of conditionals against the sum over parts of whole pixels, and each level against its integral."""
    net = model_of("pixel_cnn_pp", "colour image").network
    assert isinstance(net, PixelCNNPP)
    grid = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    h = torch.randn(1, 4, dtype=torch.float64).expand(9, -1)
    found = sum(net.scores(h, grid[:, :c], h[:, None]).gather(1, grid[:, [c]])[:, 0] for c in range(2))
    weights, mean, log_scale, slopes = net._mixture(h)
    second = mean[:, :, 1] + slopes[:, :, 0] * (grid[:, [0]] - 1.0)
    first = log_mass(grid[:, [0]], mean[:, :, 0], log_scale[:, :, 0], 3)
    joint = (weights + first + log_mass(grid[:, [1]], second, log_scale[:, :, 1], 3)).logsumexp(1)
    torch.testing.assert_close(found, joint, rtol=0, atol=1e-12)


@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 4.0])
@pytest.mark.parametrize("mean", [-1.5, -0.2, 0.9])
def test_a_discretised_logistic_is_the_difference_of_its_distribution_function(mean: float, log_scale: float) -> None:
    levels, w = torch.arange(256, dtype=torch.float64), 1 / 255
    m, s = torch.tensor(mean, dtype=torch.float64), torch.tensor(log_scale, dtype=torch.float64)
    mass = log_mass(levels, m, s, 256)
    assert float(mass.logsumexp(0)) == pytest.approx(0.0, abs=1e-9)
    edges = torch.linspace(-1 - w, 1 + w, 257, dtype=torch.float64)
    below = torch.sigmoid((edges - m) / s.exp())
    below[0], below[-1] = 0.0, 1.0
    torch.testing.assert_close(mass.exp(), below.diff(), rtol=0, atol=1e-12)
    assert bool(torch.isfinite(log_mass(levels.float(), m.float(), s.float(), 256)).all())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("length", [2, 12])
def test_another_length_is_drawn_as_it_is_scored(network: str, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of five tokens; scores met while sampling against the likelihood, and against a window of its own."""
    model, plain = model_of(network, "tokens", length=length), model_of(network, "tokens")
    seen: list[Tensor] = []

    def watched(self: TokenSampler, scores: Tensor) -> Tensor:
        seen.append(scores.log_softmax(1))
        return scores

    monkeypatch.setattr(TokenSampler, "__call__", watched)
    x = model.sample(9, seed=4)
    assert x.shape == (9, length) == (9, *model.spec.shape)
    terms = torch.stack(seen, 1).gather(2, x[:, :, None])[:, :, 0]
    torch.testing.assert_close(terms.sum(1), model.log_prob(x), rtol=0, atol=1e-12)
    if length > 5 and not model.network.endless:
        alone = plain.token_log_prob(x[:, 3:8])[:, 2:]  # the second window: places 3 to 7, of which 5 to 7 are new
        torch.testing.assert_close(terms[:, 5:8], alone, rtol=0, atol=1e-12)


def test_a_state_is_carried_on_and_a_prompt_may_be_longer_than_an_example() -> None:
    model = model_of("lstm", "tokens", length=12)
    x = torch.randint(3, (4, 12), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(model.log_prob(x), model.network.token_log_prob(x, x).sum(1), rtol=0, atol=1e-12)
    for network in ("lstm", "gpt"):
        model = model_of(network, "tokens", length=12)
        known = torch.arange(12) < 9
        found = model.complete(x, known, noise=SampleNoise(5, range(4)))
        assert torch.equal(found[:, :9], x[:, :9])
    with pytest.raises(ConfigError, match=r"^length=9: image data has one size: leave it out$"):
        model_of("gpt", "image", length=9)


GUIDED = {"conditional": True, "label_dropout": 0.1}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_guided_draws_are_those_of_the_closed_form(network: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores met while sampling against both conditionals of the whole sequence, in one pass each."""
    model = model_of(network, "tokens", **GUIDED, guidance_scale=scale)
    seen: list[Tensor] = []

    def watched(self: TokenSampler, scores: Tensor) -> Tensor:
        seen.append(scores.log_softmax(1))
        return scores

    monkeypatch.setattr(TokenSampler, "__call__", watched)
    y = torch.arange(8) % 2
    x = model.sample(8, y, seed=4)
    labelled, unlabelled = model.network(x, y), model.network(x, torch.full_like(y, 2))
    expected = (scale * labelled + (1 - scale) * unlabelled).log_softmax(2)
    torch.testing.assert_close(torch.stack(seen, 1), expected, rtol=0, atol=1e-12)
    assert float((labelled.log_softmax(2) - unlabelled.log_softmax(2)).abs().max()) > 0.1


def test_a_scale_of_one_is_the_model_itself_and_no_likelihood_knows_another() -> None:
    plain, guided = model_of("gpt", **GUIDED), model_of("gpt", **GUIDED, guidance_scale=3.0)
    one, x, y = model_of("gpt", **GUIDED, guidance_scale=1.0), everything("tokens"), torch.arange(243) % 2
    assert torch.equal(plain.sample(50, seed=1), one.sample(50, seed=1))
    assert not torch.equal(plain.sample(50, seed=1), guided.sample(50, seed=1))
    assert torch.equal(plain.log_prob(x, y), guided.log_prob(x, y))
    assert float(plain.log_prob(x, torch.zeros(243).long()).logsumexp(0)) == pytest.approx(0.0, abs=1e-12)


def test_labels_are_withheld_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, told = model_of("lstm", **GUIDED), []
    monkeypatch.setattr(model.network, "forward", lambda x, y: told.append(y) or torch.zeros(len(x), 5, 3))
    batch = {"x": torch.zeros(4000, 5).long(), "y": torch.arange(4000) % 2}
    model.losses(batch, "model")
    model.train().losses(batch, "model")
    assert torch.equal(told[0], batch["y"])
    assert float((told[1] == 2).double().mean()) == pytest.approx(0.1, abs=0.02)


def test_guidance_needs_what_it_moves_away_from() -> None:
    with pytest.raises(ConfigError, match=r"^guidance\.scale=2: a model without labels.*model\.conditional=true$"):
        model_of("gpt", guidance_scale=2.0)
    with pytest.raises(ConfigError, match=r"^guidance\.scale=2: with model\.label_dropout=0 .*label_dropout=0\.1"):
        model_of("gpt", conditional=True, guidance_scale=2.0)


def test_folders_and_tables_call_a_model_after_its_network() -> None:
    assert (model_of("gpt").label, model_of("lstm").label) == ("gpt", "lstm")


PACKED = torch.tensor([[0, 1, 2, 1, 1, 0, 2, 2], [1, 0, 0, 1, 1, 0, 1, 0], [0, 2, 1, 2, 0, 0, 2, 3]])  # 2 ends, 3 pads
PIECES = [(0, 0, 3), (0, 3, 7), (0, 7, 8), (1, 0, 8), (2, 0, 2), (2, 2, 4), (2, 4, 7)]  # row, first place, place after


@pytest.mark.parametrize("network", NETWORKS)
def test_a_packed_document_costs_what_it_costs_alone(network: str) -> None:
    """And a change of one document changes nothing of what it is packed with."""
    model = model_of(network, "packed documents")
    found = model.packed_log_prob(PACKED)
    alone = torch.full((len(PIECES), 8), 3)
    for number, (row, low, high) in enumerate(PIECES):
        alone[number, : high - low] = PACKED[row, low:high]
    expected = model.token_log_prob(alone)
    for number, (row, low, high) in enumerate(PIECES):
        torch.testing.assert_close(found[row, low:high], expected[number, : high - low], rtol=0, atol=1e-12)
    assert float(found[2, 7]) == 0.0
    changed = PACKED.clone()
    changed[0, :2] = torch.tensor([1, 0])
    change = model.packed_log_prob(changed)[0] - found[0]
    assert float(change[3:].abs().max()) == 0.0
    assert float(change[:3].abs().min()) > 0.0
