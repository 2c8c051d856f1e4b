"""Noise is a function of who asks: seed, sample and call, never of the batch or of what was drawn before."""

import numpy as np
import pytest
import torch
from torch import Tensor

from genkit.noise import SampleNoise, dequantisation_noise, generator_of, noise_of, seed_of

SHAPES = [(1,), (5,), (1, 3, 4)]


def calls(seed: int, indices: range | list[int], shapes: list[tuple[int, ...]] = SHAPES) -> list[Tensor]:
    noise = SampleNoise(seed, indices)
    return [noise(*shape) for shape in shapes]


@pytest.mark.parametrize("indices", [range(1), range(3, 5), range(8), [7, 2, 5], [2**40]], ids=str)
def test_a_row_depends_on_seed_index_and_call_alone(indices):
    for batched, alone in zip(calls(3, indices), zip(*(calls(3, [i]) for i in indices), strict=True), strict=True):
        assert torch.equal(batched, torch.cat(alone))


def test_a_call_does_not_depend_on_the_shapes_of_the_calls_before():
    first, second = SampleNoise(0, range(4)), SampleNoise(0, range(4))
    first(1)
    second(1000)
    assert torch.equal(first(6), second(6))


def test_noise_is_made_apart_from_the_global_generator():
    torch.manual_seed(1)
    before = calls(0, range(3))
    torch.rand(10)
    state = torch.get_rng_state()
    assert all(map(torch.equal, calls(0, range(3)), before))
    assert torch.equal(torch.get_rng_state(), state)


def test_shape_type_and_moments():
    x = SampleNoise(0, range(200))(500)
    assert (x.shape, x.dtype) == ((200, 500), torch.float32)
    moments = [x.double().pow(k).mean().item() for k in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.06)  # standard errors 0.003, 0.004, 0.012, 0.03
    assert (x > 1.96).double().mean().item() == pytest.approx(0.025, abs=0.003)


def test_different_seeds_samples_and_calls_are_unrelated():
    n = 20_000
    (a, b), (c,) = calls(0, [0, 1], [(n,)])[0], calls(1, [0], [(n,)])[0]
    (d,) = calls(0, [0], [(n,), (n,)])[1]
    correlation = torch.corrcoef(torch.stack((a, b, c, d))) - torch.eye(4)
    assert correlation.abs().max() < 5 / n**0.5


def test_named_streams_are_repeatable_distinct_and_in_range():
    names = [(), ("a",), ("b",), ("a", 1), ("a", 2), (1, "a"), ("a", 1, 2), (12,), (1, 2)]
    seeds = [seed_of(seed, *stream) for seed in range(50) for stream in names]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert torch.equal(torch.rand(5, generator=generator_of(1, "a")), torch.rand(5, generator=generator_of(1, "a")))


def test_streams_are_not_shifts_of_each_other():
    (a, b), (c,) = SampleNoise(0, [0, 1])(2000), SampleNoise(1, [0])(2000)
    noise = SampleNoise(0, [0])
    noise(1)
    for other in (b, c, noise(2000)[0]):
        assert torch.isin(other, a).double().mean() < 0.01


def test_the_noise_of_examples_is_a_function_of_their_values():
    x = torch.randn(6, 2, 3, generator=generator_of(0, "x"))
    x[5] = x[0]
    whole = noise_of(x)
    first, second = whole(4), whole(4)
    assert torch.equal(noise_of(x[[3, 1]])(4), first[[3, 1]])
    assert torch.equal(first[5], first[0])
    assert len(torch.cat((first[:5], second[:5])).unique(dim=0)) == 10
    assert not torch.equal(noise_of(x + 1e-6)(4), first)


def test_the_place_in_a_bin_is_uniform_and_a_function_of_seed_and_example_alone():
    u = dequantisation_noise(3, range(2000), (50,))
    assert (u.shape, u.dtype) == ((2000, 50), torch.float32)
    assert 0 <= u.min() < 1e-3
    assert 1 - 1e-3 < u.max() < 1
    assert [u.mean().item(), u.var().item()] == pytest.approx([1 / 2, 1 / 12], abs=0.005)  # standard errors 0.001
    assert torch.equal(dequantisation_noise(3, range(5, 7), (50,)), u[5:7])
    assert not torch.isin(dequantisation_noise(4, range(2), (50,)), u[:2]).any()


def test_places_in_bins_are_not_made_of_the_numbers_of_samples():
    key = SampleNoise(3, range(1)).key
    of_a_sample = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, 0])).random(50, dtype=np.float32)
    assert not np.isin(of_a_sample, dequantisation_noise(3, range(1), (50,)).numpy()).any()
