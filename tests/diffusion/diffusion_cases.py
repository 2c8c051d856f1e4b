"""What the tests of this folder share: schedules, and denoisers that are exact."""

import torch
from torch import Tensor

from genkit.diffusion.denoiser import Denoiser, MixtureDenoiser
from genkit.diffusion.schedule import KarrasSchedule, RectifiedSchedule, Schedule, VESchedule
from genkit.diffusion.variance_preserving import CosineSchedule, LinearSchedule
from genkit.nn.backbone import Backbone

SCHEDULES: dict[str, Schedule] = {
    "karras": KarrasSchedule(),
    "karras-even": KarrasSchedule(sigma_min=0.01, sigma_max=10.0, rho=1.0),
    "rectified": RectifiedSchedule(),
    "rectified-short": RectifiedSchedule(t_min=0.05),
    "ve": VESchedule(),
    "linear": LinearSchedule(),
    "cosine": CosineSchedule(),
}


class Recorder(Backbone):
    """Keeps what it was given; answers with `out`."""

    def __init__(self, out: float = 0.0) -> None:
        super().__init__()
        self.out = out
        self.calls: list[tuple[Tensor, Tensor | None, Tensor | None]] = []

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        self.calls.append((x, t, y))
        return torch.full_like(x, self.out)


class GaussianDenoiser(Denoiser):
    """E[x | x_t] for x ~ N(mean, covariance): the conditional mean of a joint normal."""

    def __init__(self, mean: Tensor, covariance: Tensor, schedule: Schedule) -> None:
        super().__init__()
        self.mean, self.covariance, self.schedule = mean, covariance, schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha, sigma = (value[:, None, None] for value in self.schedule(t))
        total = alpha**2 * self.covariance + sigma**2 * torch.eye(len(self.mean)).to(self.mean)
        residual = x_t - alpha[..., 0] * self.mean
        return self.mean + alpha[..., 0] * (self.covariance @ torch.linalg.solve(total, residual[..., None]))[..., 0]


def mixture(schedule: Schedule, dtype: torch.dtype = torch.float64) -> MixtureDenoiser:
    """Three unequal Gaussians in the plane."""
    means = torch.tensor([[-1.5, 0.0], [1.0, 1.0], [0.5, -1.2]], dtype=dtype)
    stds, weights = torch.tensor([0.5, 0.8, 0.3], dtype=dtype), torch.tensor([0.5, 0.3, 0.2], dtype=dtype)
    return MixtureDenoiser(means, stds, weights, schedule)


def ring(schedule: Schedule, weights: Tensor) -> MixtureDenoiser:
    """Eight Gaussians at radius 2 with standard deviation 0.2."""
    angle = torch.arange(8, dtype=weights.dtype) * torch.pi / 4
    means = 2 * torch.stack((angle.cos(), angle.sin()), 1)
    return MixtureDenoiser(means, torch.full((8,), 0.2, dtype=weights.dtype), weights, schedule)
