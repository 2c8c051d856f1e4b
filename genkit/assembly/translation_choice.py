"""The method by which `genkit translate` maps examples: that of `translation=`, else the one that suits the model.

Which models a method serves follows from its arguments: one that takes a `denoiser` is for models that denoise, one
that takes a `bijection` for those whose latents are one-to-one; one that takes a `source` leads from the domain of
`from=` (or from the class of an example) to that of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from genkit.assembly.posterior_choice import num_classes_of
from genkit.config.build import build_factory, parameters
from genkit.config.resolve import resolve
from genkit.config.settings import TranslateSettings
from genkit.errors import ConfigError
from genkit.models.base import GenerativeModel
from genkit.models.denoises import Denoises
from genkit.models.density import Density
from genkit.models.invertible import Invertible
from genkit.noise import Noise
from genkit.translation.diffusion_bridge import DiffusionBridge
from genkit.translation.latent_bridge import LatentBridge
from genkit.translation.likeliest_label import likeliest_label
from genkit.translation.sdedit import SDEdit
from genkit.translation.translator import Bridge, Translator

ASKED = {"denoiser": Denoises, "bijection": Invertible}  # argument of a method -> what gives it
HAS = {"denoiser": "a denoiser", "bijection": "latents that are one-to-one"}
STRENGTH = "strength"  # argument of a method which says how far it goes from the input


class LabelledBijection:
    """A model whose latents are one-to-one, with its labels fixed.

    Args:
        model: The model.
        y: Labels (B,) of a conditional one.
    """

    def __init__(self, model: Invertible, y: Tensor | None) -> None:
        self.model, self.y = model, y

    def to_latent(self, x: Tensor) -> Tensor:
        return self.model.to_latent(x, self.y)

    def from_latent(self, z: Tensor) -> Tensor:
        return self.model.from_latent(z, self.y)


class TranslationMethod:
    """A method and the models that it joins.

    Attributes:
        model: Of the target domain.
        source: Of the source domain; `model` itself where that is another class of its data.
        cls: The class of the method.

    Args:
        model: Of the target domain.
        source: Of `from=`, None without.
        settings: Of the verb.

    Raises:
        ConfigError: the models lack what the method asks, or the command line says too little or too much for it.
    """

    def __init__(self, model: GenerativeModel, source: GenerativeModel | None, settings: TranslateSettings) -> None:
        self.model, self.source, self.settings = model, source or model, settings
        self.cls, self._make = _method(model, source, settings)
        self._argument = next(name for name in ASKED if name in parameters(self.cls))
        self._check(source)

    @property
    def bridges(self) -> bool:
        """Tell whether there is a way back."""
        return issubclass(self.cls, Bridge)

    @property
    def has_strength(self) -> bool:
        """Tell whether it can go less or more far from the input."""
        return STRENGTH in parameters(self.cls)

    @property
    def needs_label(self) -> bool:
        """Tell whether the target has to be told a label."""
        model = self.model
        return num_classes_of(model) is not None and not (isinstance(model, Denoises) and not model.needs_label)

    def made(
        self, n: int, source: Tensor | None, target: Tensor | None, back: bool = False, strength: float | None = None
    ) -> Translator:
        """The translator of n examples.

        Args:
            n: Examples.
            source, target: Their labels (n,) in either domain, None for none.
            back: From target to source instead.
            strength: Another one than that of the settings.
        """
        ends = [(self.model, target), (self.source, source)]
        one, other = reversed(ends) if back else ends
        parts: dict[str, Any] = {self._argument: self._part(*one, n)}
        if "source" in parameters(self.cls):
            parts["source"] = self._part(*other, n)
        chosen = self.settings.strength if strength is None else strength
        if chosen is not None and self.has_strength:
            parts[STRENGTH] = chosen
        return self._make(**parts)

    def source_labels(self, x: Tensor, noise: Noise) -> Tensor | None:
        """The labels (B,) that the source's model finds in examples x (B, *shape); None for a model without."""
        model, classes = self.source, num_classes_of(self.source)
        if classes is None:
            return None
        if isinstance(model, Denoises):
            return likeliest_label(lambda y: model.denoiser_for(len(y), y), classes, x, noise)
        if not isinstance(model, Density):
            raise ConfigError(
                f"translation=: {type(model).__name__} tells no class of an example: name data with labels"
            )
        labels = [torch.full((len(x),), label, device=x.device) for label in range(classes)]
        return torch.stack([model.log_prob(x, y) for y in labels], 1).argmax(1)

    def _part(self, model: GenerativeModel, y: Tensor | None, n: int) -> Any:
        if self._argument == "denoiser":
            assert isinstance(model, Denoises)
            return model.denoiser_for(n, y)
        assert isinstance(model, Invertible)
        return LabelledBijection(model, y)

    def _check(self, source: GenerativeModel | None) -> None:
        for key, model in (("translation=", self.model), ("from=", self.source)):
            if not isinstance(model, ASKED[self._argument]):
                raise ConfigError(
                    f"{key}: {self.cls.__name__} needs {HAS[self._argument]}, which {type(model).__name__} lacks: "
                    "choose another method or model"
                )
        if self.settings.strength is not None and not self.has_strength:
            raise ConfigError(f"strength=: {self.cls.__name__} has none, translation=sdedit has: leave it out")
        if "source" not in parameters(self.cls):
            if source is not None:
                raise ConfigError(
                    f"from=: {self.cls.__name__} takes any input and asks no model of it: leave from= out, or choose "
                    "translation=diffusion_bridge"
                )
        elif source is None and (num_classes_of(self.model) is None or self.settings.y in (None, "own")):
            raise ConfigError(
                f"{self.cls.__name__} leads from one domain to another: name a model of the first with from=CKPT, or "
                "translate between the classes of a conditional model with y=LABEL"
            )


def _method(
    model: GenerativeModel, source: GenerativeModel | None, settings: TranslateSettings
) -> tuple[type[Translator], Callable[..., Translator]]:
    """The class and what makes it."""
    node: Mapping[str, Any] | None = settings.translation
    if node is not None:
        cls = resolve(node["_target_"], at="translation", plugins=settings.plugins)
        make = build_factory(node, at="translation", expect=Translator, plugins=settings.plugins)
        return cls, make if node.get("sampler") is not None else _with_sampler(cls, make, model)
    if isinstance(model, Denoises):
        usual: type[Translator] = SDEdit if source is None else DiffusionBridge
        return usual, _with_sampler(usual, usual, model)
    return LatentBridge, LatentBridge


def _with_sampler(
    cls: type[Translator], make: Callable[..., Translator], model: GenerativeModel
) -> Callable[..., Translator]:
    """A maker that samples as the model does, where the method samples and is not told how."""
    if "sampler" not in parameters(cls) or not isinstance(model, Denoises):
        return make
    sampler = model.sampler

    def made(**parts: Any) -> Translator:
        return make(sampler=sampler, **parts)

    return made
