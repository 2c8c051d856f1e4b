"""Which posterior sampler infers what was measured: the one of `posterior=`, else the one that suits the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.config.build import build_factory, parameters
from genkit.config.resolve import resolve
from genkit.errors import ConfigError
from genkit.inverse.latent_langevin import LatentLangevin
from genkit.inverse.posterior_sampler import PosteriorSampler
from genkit.inverse.split_gibbs import SplitGibbs
from genkit.models.base import GenerativeModel
from genkit.models.denoises import Denoises
from genkit.models.latent_variable import LatentVariable
from genkit.noise import Noise

# ability -> the sampler that serves it unless told otherwise, and what options of `posterior=` it goes with
DEFAULTS: dict[type, type[PosteriorSampler]] = {Denoises: SplitGibbs, LatentVariable: LatentLangevin}
ASKED = {"denoiser": Denoises, "generator": LatentVariable}  # argument of a posterior sampler -> what gives it


class LabelledGenerator:
    """A model with latents whose labels are fixed: the first k rows have the first label, ….

    Args:
        model: The model.
        y: (B,) labels, None for an unconditional one.
        n: B.
    """

    def __init__(self, model: LatentVariable, y: Tensor | None, n: int) -> None:
        self.model, self.y, self.n = model, y, n

    def draw_latent(self, noise: Noise, rows: int) -> Tensor:
        return self.model.draw_latent(rows, y=self._each(rows), noise=noise)

    def latent_log_prob(self, z: Tensor) -> Tensor:
        return self.model.latent_log_prob(z, self._each(len(z)))

    def from_latent(self, z: Tensor) -> Tensor:
        return self.model.from_latent(z, self._each(len(z)))

    def _each(self, rows: int) -> Tensor | None:
        return None if self.y is None else self.y.repeat_interleave(rows // self.n)


def check_posterior(node: Any, model: GenerativeModel, plugins: Sequence[str]) -> None:
    """Raises ConfigError where posterior= names a sampler that asks of the model what it lacks."""
    if node is None:
        return
    argument = _asks(resolve(node["_target_"], at="posterior", plugins=plugins))
    if not isinstance(model, ASKED[argument]):
        has = {"denoiser": "a denoiser", "generator": "latents of known density"}[argument]
        able = any(isinstance(model, ability) for ability in DEFAULTS)
        instead = "leave it out for the one that suits" if able else "leave it out"
        raise ConfigError(f"posterior=: it needs {has}, which {type(model).__name__} lacks: {instead}")


def require_posterior(model: GenerativeModel, key: str) -> None:
    """Raises ConfigError where no posterior sampler serves a model, which then completes by its own ability alone."""
    if not any(isinstance(model, ability) for ability in DEFAULTS):
        raise ConfigError(f"{key}: no posterior sampler serves {type(model).__name__}: leave it out")


def posterior_for(
    model: GenerativeModel, node: Mapping[str, Any] | None, y: Tensor | None, n: int, plugins: Sequence[str]
) -> PosteriorSampler:
    """The sampler of n examples with labels y (n,); the model has one of the abilities of `DEFAULTS`."""
    if node is None:
        cls = next(cls for ability, cls in DEFAULTS.items() if isinstance(model, ability))
        factory: Callable[..., PosteriorSampler] = cls
    else:
        cls = resolve(node["_target_"], at="posterior", plugins=plugins)
        factory = build_factory(node, at="posterior", expect=PosteriorSampler, plugins=plugins)
    if _asks(cls) == "generator":
        assert isinstance(model, LatentVariable)
        return factory(generator=LabelledGenerator(model, y, n))
    assert isinstance(model, Denoises)
    return factory(denoiser=model.denoiser_for(n, y))


def _asks(cls: type) -> str:
    """The argument by which a posterior sampler is given the model."""
    return next(name for name in ASKED if name in parameters(cls))


def labels_on(y: Tensor | None, rows: slice, device: torch.device) -> Tensor | None:
    """The labels of some rows on a device."""
    return None if y is None else y[rows].to(device)
