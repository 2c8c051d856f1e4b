"""Laws of linear measurements: one body over a table."""

import pytest
import torch

from genkit.errors import ConfigError
from genkit.inverse.linear_task import AveragePool, Blur, Identity, LinearTask, Luminance, Mask, blur_matrix
from genkit.inverse.posterior_sampler import Observation, conjugate_gradients, given_measurement, quadratic

B, SHAPE = 4, (3, 12, 8)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TASKS: dict[str, LinearTask] = {
    "identity": Identity(SHAPE, 0.1),
    "vector": Identity((7,), 0.1),
    "mask": Mask(random(*SHAPE) > 0, SHAPE, 0.1),
    "masks": Mask(random(B, *SHAPE) > 0, SHAPE, 0.1),
    "pool": AveragePool(SHAPE, 4, 0.1),
    "blur": Blur(SHAPE, 1.3, 0.1),
    "luminance": Luminance(SHAPE, 0.1),
}


@pytest.fixture(params=TASKS, ids=str)
def task(request) -> LinearTask:
    return TASKS[request.param]


def matrix(task: LinearTask, row: int) -> torch.Tensor:
    """A (m, D) of one example, column by column."""
    units = torch.eye(torch.Size(task.in_shape).numel(), dtype=torch.float64).reshape(-1, *task.in_shape)
    if isinstance(task, Mask) and task.known.ndim > len(task.in_shape):
        task = Mask(task.known[row], task.in_shape, task.sigma)
    return task.measure(units).flatten(1).T


def test_the_adjoint_is_the_transpose(task):
    x, v = random(B, *task.in_shape), random(B, *task.out_shape, seed=1)
    left = (task.measure(x) * v).sum()
    right = (x * task.adjoint(v)).sum()
    assert abs(left - right) <= 1e-6 * (1 + abs(left))


def test_it_is_linear_and_keeps_the_range(task):
    x, z = random(B, *task.in_shape), random(B, *task.in_shape, seed=1)
    torch.testing.assert_close(task.measure(2 * x - z), 2 * task.measure(x) - task.measure(z))
    bounded = task.measure(torch.tanh(x))
    assert bounded.shape == (B, *task.out_shape)
    assert bounded.abs().max() <= 1


def test_what_is_not_measured_is_zero(task):
    v = task.measure(random(B, *task.in_shape))
    assert task.measured(v).shape == v.shape
    assert not v[~task.measured(v)].any()
    assert task.restored(v).shape == (B, *task.in_shape)


def test_the_likelihood_is_that_of_the_dense_matrix(task):
    r, level = task.measure(random(B, *task.in_shape)), 0.7
    found = quadratic(task, r, level, iterations=200)
    for row in range(2):
        a = matrix(task, row)
        covariance = 0.01 * torch.eye(len(a), dtype=torch.float64) + level**2 * a @ a.T
        wanted = r[row].flatten() @ torch.linalg.solve(covariance, r[row].flatten())
        torch.testing.assert_close(found[row], wanted, rtol=1e-4, atol=1e-6)


def test_a_point_given_a_measurement_has_the_moments_of_the_normal():
    task, n, level = AveragePool((1, 2, 2), 2, 0.3), 40_000, 0.8
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(n, *shape, generator=generator, dtype=torch.float64)

    x, v = random(1, 1, 2, 2).expand(n, -1, -1, -1), torch.full((n, 1, 1, 1), 0.5, dtype=torch.float64)
    z = given_measurement(task, v, x, level, noise, 10).flatten(1)
    a = matrix(task, 0)
    precision = torch.eye(4, dtype=torch.float64) / level**2 + a.T @ a / 0.09
    mean = torch.linalg.solve(precision, x[0].flatten() / level**2 + a.T @ v[0].flatten() / 0.09)
    torch.testing.assert_close(z.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), torch.linalg.inv(precision), atol=0.02, rtol=0)


def test_conjugate_gradients_solve_each_row():
    a = random(5, 5)
    a, right = a @ a.T + torch.eye(5, dtype=torch.float64), random(3, 5, seed=1)
    torch.testing.assert_close(conjugate_gradients(lambda u: u @ a, right, 20, 1e-12), torch.linalg.solve(a, right.T).T)


def test_a_repeated_observation_repeats_masks_too():
    task = TASKS["masks"]
    each = Observation(task, random(B, *SHAPE)).repeated(3)
    assert torch.equal(each.task.known[3:6], task.known[[1, 1, 1]])
    assert torch.equal(each.v[6], each.v[8])


def test_a_blur_leaves_a_constant_as_it_is():
    assert torch.allclose(blur_matrix(9, 2.5).sum(1), torch.ones(9, dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: AveragePool((1, 8, 8), 3, 0.1), "factor=3: it does not divide 8x8 pixels: choose one of 2, 4, 8"),
        (lambda: AveragePool((5,), 2, 0.1), "takes images, and this data is 5"),
        (lambda: Luminance((1, 8, 8), 0.1), "images of three colours, and this data is 1x8x8"),
    ],
)
def test_data_that_cannot_be_measured_so_is_refused(make, reason):
    with pytest.raises(ConfigError, match=reason):
        make()
