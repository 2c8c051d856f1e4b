"""Quantisers: the nearest code, gradients that pass, running means by hand, codes that revive, codes and values."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from genkit.errors import ConfigError
from genkit.models.quantized.quantizer import FiniteScalarQuantizer, Quantizer, VectorQuantizer, code_usage
from genkit.noise import generator_of

SHAPES = [(5,), (3, 4), (2, 3, 2)]  # of the places


def features(channels: int, places: tuple[int, ...] = (6,), n: int = 4, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(n, channels, *places, generator=generator_of(0, "features"))


def vectors(**options) -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(**{"num_codes": 7, "channels": 3, **options})


TABLE = {"vq": lambda: vectors().eval(), "fsq": lambda: FiniteScalarQuantizer((5, 4, 3)).eval()}
every_quantizer = pytest.mark.parametrize("make", TABLE.values(), ids=TABLE)


@every_quantizer
@pytest.mark.parametrize("places", SHAPES, ids=str)
def test_values_keep_the_shape_and_codes_lie_in_their_set(make, places):
    quantizer: Quantizer = make()
    z = features(quantizer.channels, places)
    values, codes, _ = quantizer(z)
    assert values.shape == z.shape
    assert (codes.shape, codes.dtype) == ((4, z[0, 0].numel()), torch.int64)
    assert 0 <= codes.min() <= codes.max() < quantizer.num_codes


@every_quantizer
@pytest.mark.parametrize("places", SHAPES, ids=str)
def test_codes_decode_to_the_values_place_by_place(make, places):
    quantizer = make()
    values, codes, _ = quantizer(features(quantizer.channels, places))
    torch.testing.assert_close(quantizer.decode_codes(codes), values.flatten(2))


@every_quantizer
def test_the_places_do_not_see_each_other(make):
    quantizer = make()
    z = features(quantizer.channels, (4,))
    codes = quantizer(z).codes
    alone = [quantizer(z[i : i + 1, :, j : j + 1]).codes for i in range(4) for j in range(4)]
    assert torch.equal(torch.cat(alone).view(4, 4), codes)


def test_each_feature_takes_its_nearest_vector():
    quantizer, z = vectors().eval(), features(3)
    rows = z.transpose(1, 2).reshape(-1, 3)
    expected = [min(range(7), key=lambda k, row=row: float((row - quantizer.codebook[k]).norm())) for row in rows]
    assert quantizer(z).codes.flatten().tolist() == expected


def test_a_vectors_gradient_is_the_features_own():
    quantizer, z = vectors(commitment=0.0).eval(), features(3).requires_grad_()
    weights = features(3, scale=1.0).flip(0)
    values, _, terms = quantizer(z)
    (values * weights).sum().backward()
    torch.testing.assert_close(z.grad, weights)
    assert terms["commitment"] == 0


def test_the_commitment_is_the_weighted_squared_distance_and_pulls_the_features_alone():
    quantizer, z = vectors(commitment=0.5).eval(), features(3).requires_grad_()
    values, _, terms = quantizer(z)
    expected = 0.5 * (z - values).square().sum((1, 2)).mean()
    torch.testing.assert_close(terms["commitment"], expected)
    terms["commitment"].backward()
    torch.testing.assert_close(z.grad, (z - values).detach() / len(z))
    assert not list(quantizer.parameters())


def test_the_vectors_are_running_means_of_what_chose_them():
    quantizer = vectors(num_codes=2, channels=1, decay=0.75, restart=0.0)
    quantizer.usage.copy_(torch.tensor([0.5, 0.5]))
    quantizer.sums.copy_(torch.tensor([[0.0], [5.0]]))  # vectors 0 and 10
    quantizer(torch.tensor([[[1.0, 3.0, 2.0, 12.0]]]))  # three choose the first
    torch.testing.assert_close(quantizer.usage, torch.tensor([0.75 * 0.5 + 0.25 * 0.75, 0.75 * 0.5 + 0.25 * 0.25]))
    torch.testing.assert_close(quantizer.sums[:, 0], torch.tensor([0.25 * 6 / 4, 0.75 * 5 + 0.25 * 12 / 4]))
    torch.testing.assert_close(quantizer.codebook[:, 0], torch.tensor([0.375 / 0.5625, 4.5 / 0.4375]))


def test_without_new_features_it_stays_and_with_the_same_ones_it_arrives():
    quantizer, z = vectors(num_codes=2, channels=1, decay=0.9), torch.tensor([[[-1.0, 1.0, 5.0, 7.0]]])
    for _ in range(200):
        quantizer(z)
    torch.testing.assert_close(quantizer.codebook.flatten().sort().values, torch.tensor([0.0, 6.0]))
    before = quantizer.codebook.clone()
    quantizer.eval()(features(1))
    assert torch.equal(quantizer.codebook, before)


def test_initialisation_puts_every_vector_on_a_feature_of_its_own():
    quantizer, z = vectors(), features(3, n=10)
    quantizer.initialise(z)
    values = quantizer(z).values
    rows = z.transpose(1, 2).reshape(-1, 3)
    chosen = values.transpose(1, 2).reshape(-1, 3).round(decimals=4).unique(dim=0)
    assert len(chosen) == 7
    assert torch.cdist(chosen, rows).amin(1).max() < 1e-3


@pytest.mark.parametrize(("restart", "revived"), [(0.1, True), (0.0, False)])
def test_a_dead_code_moves_to_the_data_where_restarts_are_on(restart, revived):
    quantizer, z = vectors(restart=restart), features(3, n=20)
    quantizer.initialise(z)
    quantizer.usage[2] = 1e-6
    quantizer.sums[2] = 1e-6 * 1e3  # a vector far away from all features
    for _ in range(3):
        quantizer(z)
    assert bool(quantizer.codebook[2].abs().max() < 20) == revived
    assert bool((quantizer.eval()(z).codes == 2).any()) == revived


def test_in_evaluation_the_vectors_stay_and_so_do_dead_ones():
    quantizer, z = vectors().eval(), features(3, n=20)
    quantizer.usage[2] = 1e-6
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(z)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_initialisation_draws_from_the_global_generator_alone():
    tables = []
    for seed in (0, 0, 1):
        quantizer = vectors()
        torch.manual_seed(seed)
        quantizer.initialise(features(3))
        tables.append(quantizer.codebook)
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


@pytest.mark.parametrize(("levels", "highest"), [(2, 0), (3, 1), (4, 1), (5, 2), (8, 3)])
def test_bounded_features_round_to_exactly_the_levels(levels, highest):
    quantizer = FiniteScalarQuantizer((levels,))
    z = torch.linspace(-30, 30, 4001)[None, None]
    integers = quantizer.bound(z).round().unique()
    assert integers.tolist() == list(range(-(levels // 2), highest + 1))
    assert quantizer.bound(torch.zeros(1, 1, 1)).abs() < 1e-6


@pytest.mark.parametrize("levels", [(2,), (3, 2), (5, 4, 3), (8, 6, 5)], ids=str)
def test_codes_are_all_tuples_of_levels_and_each_has_one(levels):
    quantizer = FiniteScalarQuantizer(levels)
    values = quantizer.decode_codes(torch.arange(quantizer.num_codes)[None])[0].T
    expected = {
        tuple((k - n // 2) / (n // 2) for k, n in zip(ks, levels, strict=True)) for ks in product(*map(range, levels))
    }
    assert quantizer.num_codes == len(expected)
    assert {tuple(round(float(v), 5) for v in row) for row in values} == {
        tuple(round(v, 5) for v in row) for row in expected
    }


def test_rounding_passes_the_gradient_of_the_bound():
    quantizer, z = FiniteScalarQuantizer((5, 4)), features(2, scale=0.7).requires_grad_()
    quantizer(z).values.sum().backward()
    other = z.detach().requires_grad_()
    (quantizer.bound(other.flatten(2)) / 2).sum().backward()
    torch.testing.assert_close(z.grad, other.grad)
    assert (z.grad > 0).all()


@pytest.mark.parametrize("levels", [(), (256, 256, 2)], ids=str)
def test_sets_of_codes_that_are_empty_or_huge_are_refused(levels):
    with pytest.raises(ConfigError, match="levels"):
        FiniteScalarQuantizer(levels)


@pytest.mark.parametrize(
    ("codes", "perplexity", "used"),
    [
        ([[3, 3, 3]], 1.0, 0.25),
        ([[0, 1], [2, 3]], 4.0, 1.0),
        ([[0, 0, 1, 1]], 2.0, 0.5),
        ([[0, 0, 0, 1]], 1.7547654, 0.5),
    ],
)
def test_perplexity_is_the_number_of_equally_used_codes(codes, perplexity, used):
    found = code_usage(torch.tensor(codes), 4)
    torch.testing.assert_close(torch.stack(found), torch.tensor([perplexity, used]))


def test_more_levels_are_a_finer_grid():
    z = features(1, (500,), scale=0.5)
    errors = []
    for levels in (3, 5, 9, 33):
        quantizer = FiniteScalarQuantizer((levels,))
        exact = quantizer.bound(z) / (levels // 2)
        errors.append(float((quantizer(z).values - exact).abs().max()))
    assert all(b < a for a, b in pairwise(errors))
