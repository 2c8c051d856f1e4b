"""The uses of a trained model beyond sampling, and which abilities each of them needs.

One row a use. Who can what follows from the classes alone: a model serves a use if it has all abilities of one of the
row's alternatives. `genkit list uses` and the table in the README are made of it, and so is the refusal of a model that
cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genkit.assembly.latent_pictures import SHOWS
from genkit.config.hydra.catalog import Catalog, load_yaml
from genkit.config.hydra.words import Words
from genkit.config.names import current
from genkit.config.resolve import resolve
from genkit.errors import ConfigError
from genkit.models.base import Completes, Conditional, Decoder, Encoder, GenerativeModel, NormalLatent, Reconstructor
from genkit.models.codes import Codes, CodesLatent
from genkit.models.conditional_on_image import ConditionalOnImage
from genkit.models.denoises import Denoises
from genkit.models.density import Density
from genkit.models.energy_function import Energy
from genkit.models.invertible import Invertible
from genkit.models.judges import Judges
from genkit.models.latent_variable import LatentVariable

Abilities = tuple[type, ...]
FAMILY = "models of"  # the first column of the README's table


@dataclass(frozen=True)
class ModelUse:
    """One use.

    Attributes:
        command: What is typed, without `genkit`.
        what: What it makes, for people.
        needs: Alternatives, each the abilities that it takes together.
    """

    command: str
    what: str
    needs: tuple[Abilities, ...]

    def serves(self, cls: type) -> bool:
        """Tell whether models of a class have what it needs."""
        return any(all(issubclass(cls, ability) for ability in alternative) for alternative in self.needs)


USES = {
    "score": ModelUse("eval metric=nll", "likelihood of held-out data", ((Density,),)),
    "complete": ModelUse("complete", "the rest of an example", ((Completes,), (Denoises,), (LatentVariable,))),
    "restore": ModelUse("restore", "what was measured of an image", ((Denoises,), (LatentVariable,))),
    "translate": ModelUse(
        "translate", "examples of another domain or class", ((Denoises,), (Invertible,), (ConditionalOnImage,))
    ),
    "reconstruct": ModelUse("sample show=reconstruction", "data through the model and back", SHOWS["reconstruction"]),
    "compress": ModelUse("compress", "examples into one small file, without loss", ((Codes,), (CodesLatent,))),
    "detect": ModelUse(
        "detect",
        "how anomalous examples are",
        ((Density,), (Reconstructor,), (Denoises,), (Energy,), (Judges,)),
    ),
    "augment": ModelUse("augment", "labelled examples as training data", ((Conditional,),)),
    "explore": ModelUse("explore", "a latent space", ((Encoder, Decoder), (NormalLatent,), (LatentVariable,))),
    "interpolate": ModelUse("sample show=interpolation", "paths between latents", SHOWS["interpolation"]),
}


def require(model: GenerativeModel, verb: str) -> None:
    """Raises ConfigError, which names the families that can, where a model lacks the abilities of a verb."""
    use = USES[verb]
    if use.serves(type(model)):
        return
    able = models_that_can(use, families())
    raise ConfigError(
        f"genkit {use.command}: {type(model).__name__} cannot ({use.what}); these families can: {', '.join(able)}"
        "; genkit list uses shows each model"
    )


def families(catalog: Catalog | None = None, plugins: Sequence[str] = ()) -> dict[str, dict[str, type]]:
    """Family -> name of the model's option -> class; the family is the part of `genkit.models` that it stands in."""
    found: dict[str, dict[str, type]] = {}
    for name, file in (catalog or Catalog.of(Words())).options("model").items():
        cls = resolve(current(target_of_model(file)), at=f"model={name}", plugins=plugins)
        found.setdefault(_family(cls), {})[name] = cls
    return dict(sorted(found.items()))


def models_that_can(use: ModelUse, found: dict[str, dict[str, type]]) -> dict[str, list[str]]:
    """Family, in words -> the names of its models that can; families without any are left out."""
    able = {family_words(family): [name for name, cls in models.items() if use.serves(cls)]
            for family, models in found.items()}  # fmt: skip
    return {family: names for family, names in able.items() if names}


def family_words(family: str) -> str:
    """ "latent diffusion" for the family that stands in `latent_diffusion`."""
    return family.replace("_", " ")


def target_of_model(file: Path) -> str:
    """The class that an option of the group `model` names, itself or in the file that it begins from."""
    node = load_yaml(file)
    own = node.get("model")
    if isinstance(own, dict) and "_target_" in own:
        return str(own["_target_"])
    bases = [entry for entry in node.get("defaults") or () if isinstance(entry, str) and entry != "_self_"]
    for base in bases:
        path = file.with_name(f"{base}.yaml")
        if path.is_file() and path != file:
            return target_of_model(path)
    raise ConfigError(f"{file}: names no model: it needs model._target_")


def rows(found: dict[str, dict[str, type]]) -> list[list[str]]:
    """The table: a row for each family, a cell for each use: "yes", the names of those that can, or "–"."""
    return [[family_words(family), *(_cell(use, models) for use in USES.values())] for family, models in found.items()]


def markdown() -> str:
    """The table of the README."""
    heads = [FAMILY, *(f"`{use.command}`" for use in USES.values())]
    lines = [heads, ["---"] * len(heads), *rows(families())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(use: ModelUse, models: dict[str, type]) -> str:
    able = [name for name, cls in models.items() if use.serves(cls)]
    return "–" if not able else "yes" if len(able) == len(models) else ", ".join(able)


def _family(cls: type) -> str:
    parts = cls.__module__.split(".")
    return parts[2] if parts[:2] == ["genkit", "models"] else parts[0]
