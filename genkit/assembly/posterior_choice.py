"""The posterior sampler that infers what was measured: that of `posterior=`, else the one that suits the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.config.build import build_factory, parameters
from genkit.config.resolve import resolve
from genkit.diffusion.denoiser import Denoiser, RowLabelled
from genkit.errors import ConfigError
from genkit.inverse.guided_denoiser import PARTICLES, Guided, PiGDM
from genkit.inverse.latent_langevin import LatentLangevin
from genkit.inverse.latent_pool import LatentPool
from genkit.inverse.posterior_sampler import PosteriorSampler
from genkit.inverse.split_gibbs import SplitGibbs
from genkit.models.base import Conditional, GenerativeModel
from genkit.models.denoises import Denoises, DenoisesParts
from genkit.models.infers_labels import InfersLabels
from genkit.models.latent_variable import LatentVariable
from genkit.noise import Noise

# ability -> the sampler that serves it unless told otherwise, and what options of `posterior=` it goes with
DEFAULTS: dict[type, type[PosteriorSampler]] = {Denoises: PiGDM, LatentVariable: LatentLangevin}
ASKED = {"denoiser": Denoises, "generator": LatentVariable}  # argument of a posterior sampler -> what gives it


class LabelledGenerator:
    """A model with latents, each row with its label: that of its example, or where none is told the labels in turn.

    Args:
        model: The model.
        y: (n,) labels of the examples; None: unknown, or the model takes none.
        pool: Of its draws.
    """

    def __init__(self, model: LatentVariable, y: Tensor | None, pool: LatentPool | None) -> None:
        self.model, self.told, self.pool = model, y, pool
        self.y: Tensor | None = None

    def begin(self, n: int, each: int) -> None:
        classes = num_classes_of(self.model)
        if self.told is not None:
            self.y = self.told.repeat_interleave(each)
        else:
            self.y = None if classes is None else (torch.arange(each) % classes).repeat(n)

    def begin_with(self, rows: Tensor, each: int) -> None:
        drawn = None if self.pool is None or self.pool.y is None else self.pool.y[rows]
        self.y = drawn if self.told is None else self.told.repeat_interleave(each)

    def take(self, rows: Tensor) -> None:
        self.y = None if self.y is None else self.y.to(rows.device)[rows]

    def draw_latent(self, noise: Noise, rows: int) -> Tensor:
        return self.model.draw_latent(rows, y=self.y, noise=noise)

    def latent_log_prob(self, z: Tensor) -> Tensor:
        return self.model.latent_log_prob(z, self._on(z))

    def from_latent(self, z: Tensor) -> Tensor:
        return self.model.from_latent(z, self._on(z))

    def _on(self, z: Tensor) -> Tensor | None:
        self.y = None if self.y is None else self.y.to(z.device)
        return self.y


def num_classes_of(model: object) -> int | None:
    """The labels that a model takes, None for none."""
    return model.num_classes if isinstance(model, Conditional) else None


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
    model: GenerativeModel,
    node: Mapping[str, Any] | None,
    y: Tensor | None,
    n: int,
    plugins: Sequence[str],
    pool: LatentPool | None = None,
) -> PosteriorSampler:
    """The sampler of n examples with labels y (n,); the model has one of the abilities of `DEFAULTS`.

    `pool` is of draws of a model with latents, for samplers that choose among them.
    """
    if node is None:
        cls = next(cls for ability, cls in DEFAULTS.items() if isinstance(model, ability))
        factory: Callable[..., PosteriorSampler] = cls
    else:
        cls = resolve(node["_target_"], at="posterior", plugins=plugins)
        factory = build_factory(node, at="posterior", expect=PosteriorSampler, plugins=plugins)
    if _asks(cls) == "generator":
        assert isinstance(model, LatentVariable)
        return factory(generator=LabelledGenerator(model, y, pool))
    assert isinstance(model, Denoises)
    return factory(denoiser=_denoiser(model, y, n, _resamples(cls, node)))


def _denoiser(model: Denoises, y: Tensor | None, n: int, infers: bool) -> Denoiser:
    """That of n examples; whose labels and parts are inferred where they are unknown and the sampler can."""
    if not infers:
        return model.denoiser_for(n, y)
    if isinstance(model, DenoisesParts) and (parts := model.part_shares(y)) is not None:
        return RowLabelled(model.denoiser_of_parts, parts)
    classes = num_classes_of(model)
    if y is not None or classes is None:
        return model.denoiser_for(n, y)
    return RowLabelled(lambda labels: model.denoiser_for(len(labels), labels), torch.full((1, classes), 1 / classes))


def infers_labels(model: GenerativeModel, node: Any, plugins: Sequence[str]) -> bool:
    """Tell whether a conditional model can do without being told the labels of measured examples."""
    if node is None:  # the usual samplers all do
        return isinstance(model, InfersLabels) or any(isinstance(model, ability) for ability in DEFAULTS)
    cls = resolve(node["_target_"], at="posterior", plugins=plugins)
    if issubclass(cls, LatentLangevin) or _resamples(cls, node):
        return True
    return isinstance(model, Denoises) and not model.needs_label


def _resamples(cls: type, node: Mapping[str, Any] | None) -> bool:
    """Tell whether a sampler draws particles again by their weights, and so finds out their labels."""
    if issubclass(cls, SplitGibbs):
        return True
    return issubclass(cls, Guided) and int((node or {}).get("particles", PARTICLES)) > 1


def _asks(cls: type) -> str:
    """The argument by which a posterior sampler is given the model."""
    return next(name for name in ASKED if name in parameters(cls))


def labels_on(y: Tensor | None, rows: slice, device: torch.device) -> Tensor | None:
    """The labels of some rows on a device."""
    return None if y is None else y[rows].to(device)
