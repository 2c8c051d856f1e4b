"""The contract of every generative model, and the abilities that some of them have.

A model is a `torch.nn.Module` that knows its data (`spec`), its losses, and how to draw samples. It knows no trainer,
no configuration and no other family, so it works in a notebook:

    model = VAE(latent_dim=16, spec=spec, …)
    loss = model.losses({"x": x}, phase="model")["loss"]
    x = model.sample(64, seed=0)

**Phases.** A model with several objectives (a GAN) names them in `phases`, one entry per optimizer step, repeated
cyclically, and says in `trainable` which module learns in which phase. Everything else is one phase, "model".

**Abilities** are small abstract classes, mixed in and asked for with `isinstance`; those of a likelihood stand in
`genkit/models/density.py`.
"""

from __future__ import annotations

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Annotated, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from genkit.component import AtSampling, Component, Range
from genkit.data.spec import Batch, DataSpec, Takes
from genkit.errors import ConfigError
from genkit.models.conditional import Conditional as Conditional
from genkit.models.conditional import classes_of as classes_of
from genkit.models.conditional import labels_of_call
from genkit.models.density import Bound as Bound
from genkit.models.density import Density as Density
from genkit.models.density import EncodedBound as EncodedBound
from genkit.models.density import LatentBound as LatentBound
from genkit.models.density import MonteCarlo as MonteCarlo
from genkit.models.density import TokenDensity as TokenDensity
from genkit.models.sampling_gradients import sampling_mode
from genkit.nn.backbone import networks
from genkit.noise import Noise as Noise
from genkit.noise import SampleNoise
from genkit.printing import shown


class GenerativeModel(nn.Module, Component, Takes, ABC):
    """A generative model of data described by `spec`.

    Attributes:
        spec: The data that the model was made for.
        modalities, kinds: What the class can model (see `Takes`); anything else is refused at construction.
        phases: Names of the training phases, one per optimizer step, repeated cyclically.
        step: Optimizer steps done; set by the training layer before `losses`.
        progress: step / max_steps in [0, 1]; set likewise (warm-ups, schedules).
        needs_horizon: Whether `losses` use `progress`, so that a longer training changes its own past.
        named_by: The part that says what the model is, where the class alone does not; None: the class.
    """

    phases: tuple[str, ...] = ("model",)
    step: int = 0
    progress: float = 0.0
    needs_horizon: bool = False
    named_by: ClassVar[str | None] = None

    def __init__(self, spec: DataSpec) -> None:
        """Raises ConfigError where the data's modality or kind is none that the class declares."""
        super().__init__()
        if reason := self.unfit(spec):
            raise ConfigError(f"{type(self).__name__} models {reason}: choose another data= or model=")
        self.spec = spec

    @property
    def label(self) -> str:
        """ "vae": what folders, tables and pictures call it."""
        return type(self if self.named_by is None else getattr(self, self.named_by)).__name__.lower()

    def trainable(self) -> dict[str, nn.Module]:
        """Phase name to the module that trains in it; the modules are disjoint."""
        return {"model": self}

    def compilable(self) -> Iterable[nn.Module]:
        """The networks that `trainer.compile=true` compiles; default every one.

        One whose derivative is trained on, by forward mode or twice backward, must be left out.
        """
        return networks(self)

    def initialise(self, batch: Batch) -> None:
        """Fit to data what is fitted before the first step, such as a layer's first scale; default nothing.

        Called once, without gradients, with the first training batch of a run whose weights are not trained ones, from
        the noise that the first `losses` then see.
        """

    @abstractmethod
    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The objective of one phase on a batch: "loss" and its named terms, each of shape ().

        A function of the weights, the batch and the noise.
        """

    @abstractmethod
    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """n samples (n, *spec.shape) inside spec.value_range, a function of the noise and of the labels y (n,) int64.

        What a model writes; `sample` is what is called.
        """

    def sample(self, n: int, y: Tensor | int | None = None, *, noise: Noise | None = None, seed: int = 0) -> Tensor:
        """n samples (n, *spec.shape) in model units, inside spec.value_range, without gradient.

        Sample i is a function of (seed, i) alone: the first n that `genkit sample seed=…` draws.

        Args:
            n: How many, drawn in one batch.
            y: Of a conditional model: labels (n,), or one for all; None: the labels in turn. With `noise` it is needed.
            noise: Source of the randomness, instead of `seed`.
            seed: Of the noise.

        Raises:
            ConfigError: n is not a number of samples, or y are not labels of this model.
        """
        return _sampled(self, self.draw, n, y, noise, seed)

    def __init_subclass__(cls, **more: Any) -> None:
        """Give a class that writes `sample(n, *, y=None, noise)` instead of `draw` the common signature."""
        super().__init_subclass__(**more)
        own = vars(cls).get("sample")
        if own is not None:
            cls.sample = _as_called(own)  # type: ignore[method-assign]
            if getattr(cls.draw, "__isabstractmethod__", False):
                cls.draw = own  # type: ignore[method-assign]

    def prepare(self, batches: Iterable[Batch]) -> None:
        """Fit fixed-shape buffers from a fixed subset of the training data; default nothing.

        Called before each sample grid and each checkpoint, on the copy that will be used or stored.
        """


class Encoder(ABC):
    """Ability: data to latent.

    Attributes:
        latent_shape: Shape of the latent of one example: (D,), or (C, H, W) where it is an image.
    """

    latent_shape: tuple[int, ...]

    @abstractmethod
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, *shape) to the latent (B, *latent_shape), deterministic (the mean where it is a distribution)."""


class Decoder(ABC):
    """Ability: latent to data."""

    @abstractmethod
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, *latent_shape) to (B, *shape)."""


class NormalLatent(Decoder):
    """Ability: a decoder for latents z ~ N(0, I), so that draws of them can be walked between without an encoder."""

    latent_dim: int


class Reconstructor(ABC):
    """Ability: data through the model and back."""

    @abstractmethod
    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, *shape) to (B, *shape), deterministic."""


class Completes(ABC):
    """Ability: the rest of an example, given a part of it: what follows a prompt, what is missing in an image."""

    @abstractmethod
    def complete(self, x: Tensor, known: Tensor, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """(B, *shape), x itself where it is known and drawn from p(rest | known, y) elsewhere.

        Args:
            x: Model values (B, *shape); those that are not known are not looked at.
            known: Bool, of x's shape or one that it can be expanded to.
            y: Labels (B,) of a conditional model.
            noise: Source of the randomness.
        """


class Growing:
    """Ability: samples come value by value, and somebody may watch them grow.

    Attributes:
        watcher: Called while samples are drawn, with what is known of them so far: their first k values (n, k) in model
            units. None: nobody watches.
    """

    watcher: Callable[[Tensor], None] | None = None


class Stepwise:
    """Ability: samples step by step, so that quality has a price that is chosen at sampling time.

    Attributes:
        evaluations: How often the network was asked for each sample of the last call of `sample`; None before it.
    """

    evaluations: int | None = None


class Guidable(ABC):
    """Ability: samples can be moved away from those of a weaker model of the same data (autoguidance).

    Attributes:
        weak: The weaker model, or the part of it that is asked; None where nothing guides.
    """

    weak: GenerativeModel | None

    @abstractmethod
    def guide(
        self,
        weak: Annotated[
            GenerativeModel,
            AtSampling(
                "autoguidance: a checkpoint of a weaker model, to move away from",
                key="guidance.weak",
                needs="guidance.scale=2",
            ),
        ],
        scale: Annotated[float, Range(0.0, 1e6), AtSampling("", key="guidance.scale")],
        interval: Annotated[tuple[float, float] | None, AtSampling("", key="guidance.interval")] = None,
    ) -> None:
        """From now on D_weak + scale · (D − D_weak) samples, at the noise levels of `interval`, instead of labels
        left out; 1 is the model alone.

        Raises ConfigError for a model that cannot serve.
        """


class ModelFactory(Protocol):
    """The type of an argument that is a trained model itself: on the command line the path of its checkpoint."""

    def __call__(self, *, spec: DataSpec) -> GenerativeModel: ...


def _sampled(
    model: GenerativeModel,
    draw: Callable[..., Tensor],
    n: int,
    y: Tensor | int | None,
    noise: Noise | None,
    seed: int,
) -> Tensor:
    n = _count(n)
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    labels = None if y is None and noise is not None else labels_of_call(model, n, y)
    if noise is None:
        if type(seed) is not int:
            raise ConfigError(f"seed={shown(seed)}: a seed is a whole number")
        noise = SampleNoise(seed, range(n), device)
    with sampling_mode(model):
        return draw(n, y=None if labels is None else labels.to(device), noise=noise)


def _as_called(own: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(own)
    def sample(
        self: GenerativeModel,
        n: int,
        y: Tensor | int | None = None,
        *,
        noise: Noise | None = None,
        seed: int = 0,
    ) -> Tensor:
        return _sampled(self, functools.partial(own, self), n, y, noise, seed)

    return sample


def _count(n: Any) -> int:
    """Raises ConfigError for what is no whole number of 1 or more."""
    try:
        count = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:
        count = 0
    if count < 1:
        raise ConfigError(f"n={shown(n)}: a number of samples is a whole number, 1 or more")
    return count
