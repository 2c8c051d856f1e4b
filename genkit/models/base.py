"""The contract of every generative model, and the abilities that some of them have.

A model is a `torch.nn.Module` that knows its data (`spec`), its losses, and how to draw samples. It knows no trainer,
no configuration and no other family, so it works in a notebook:

    model = VAE(latent_dim=16, spec=spec, …)
    loss = model.losses({"x": x}, phase="model")["loss"]
    x = model.sample(64, noise=SampleNoise(seed=0, indices=range(64)))

**Phases.** A model with several objectives (a GAN) names them in `phases`, one entry per optimizer step, repeated
cyclically, and says in `trainable` which module learns in which phase. Everything else is one phase, "model".

**Abilities** are small abstract classes, mixed in and asked for with `isinstance`; those of a likelihood stand in
`genkit/models/density.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from genkit.component import Component
from genkit.data.spec import Batch, DataSpec, Modality
from genkit.errors import ConfigError
from genkit.models.density import Bound as Bound
from genkit.models.density import Density as Density
from genkit.models.density import LatentBound as LatentBound
from genkit.models.density import MonteCarlo as MonteCarlo
from genkit.noise import Noise as Noise


class GenerativeModel(nn.Module, Component, ABC):
    """A generative model of data described by `spec`.

    Attributes:
        spec: The data that the model was made for.
        modalities: What the class can model; anything else is refused at construction.
        phases: Names of the training phases, one per optimizer step, repeated cyclically.
        step: Optimizer steps done; set by the training layer before `losses`.
        progress: step / max_steps in [0, 1]; set likewise (warm-ups, schedules).
        needs_horizon: Whether `losses` use `progress`, so that a longer training changes its own past.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("image", "vector")
    phases: tuple[str, ...] = ("model",)
    step: int = 0
    progress: float = 0.0
    needs_horizon: bool = False

    def __init__(self, spec: DataSpec) -> None:
        """Raises ConfigError where the data's modality is none of `modalities`."""
        super().__init__()
        if spec.modality not in self.modalities:
            raise ConfigError(
                f"{type(self).__name__} models {' and '.join(self.modalities)} data, not {spec.modality}: "
                "choose another data= or model="
            )
        self.spec = spec

    def trainable(self) -> dict[str, nn.Module]:
        """Phase name to the module that trains in it; the modules are disjoint."""
        return {"model": self}

    @abstractmethod
    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The objective of one phase on a batch: "loss" and its named terms, each of shape ()."""

    @abstractmethod
    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """n samples (n, *spec.shape) inside spec.value_range; `y` (n,) int64 only for a conditional model."""

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
    def guide(self, weak: GenerativeModel, scale: float, interval: tuple[float, float] | None = None) -> None:
        """From now on D_weak + scale · (D − D_weak) samples, at the noise levels of `interval`, in the place of labels
        left out; 1 is the model alone.

        Raises ConfigError for a model that cannot serve.
        """


class Conditional(ABC):
    """Ability: the model can be conditioned on a label, if it was built with num_classes."""

    num_classes: int | None  # None: this instance was built without labels

    def labels_of(self, batch: Batch) -> Tensor | None:
        """The labels (B,) of a training batch; None for an unconditional model, whatever the batch holds."""
        return None if self.num_classes is None else batch["y"]

    def check_labels(self, y: Tensor | None) -> None:
        """Raises ConfigError for labels given to an unconditional model, or missing from a conditional one."""
        if y is not None and self.num_classes is None:
            raise ConfigError("this model is unconditional: it takes no y= (train it with model.conditional=true)")
        if y is None and self.num_classes is not None:
            raise ConfigError(f"this model is conditional: it needs labels y in 0 … {self.num_classes - 1}")


class Upgradable(ABC):
    """A module whose tensors had other shapes in the checkpoints of an earlier version."""

    @abstractmethod
    def upgrade(self, state: dict[str, Any], prefix: str) -> None:
        """Give the tensors of a state dict whose names begin with `prefix` their present shapes, in place.

        The names stay, and so does a state dict of the present form.
        """


def upgraded(model: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict of any version of the model's modules in its present shapes."""
    result = dict(state)
    for name, module in model.named_modules():
        if isinstance(module, Upgradable):
            module.upgrade(result, f"{name}." if name else "")
    return result


class ModelFactory(Protocol):
    """What an argument is that is a trained model itself: on the command line the path of its checkpoint."""

    def __call__(self, *, spec: DataSpec) -> GenerativeModel: ...


def classes_of(spec: DataSpec, conditional: bool) -> int | None:
    """The number of classes that a model conditions on, None for an unconditional one.

    Raises ConfigError where labels are asked for and the data has none.
    """
    if conditional and spec.num_classes is None:
        raise ConfigError("model.conditional=true needs labelled data, and this data has no labels")
    return spec.num_classes if conditional else None
