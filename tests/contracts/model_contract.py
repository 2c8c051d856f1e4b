"""The laws of `genkit.models.base` for any model: what the tests of conf/model/ and of anybody's own model call.

A `Subject` is one built model, trained for a few steps and prepared, with a batch of its data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from genkit.config.build import build, parameters
from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import Catalog, load_yaml
from genkit.config.hydra.words import Words
from genkit.config.resolve import resolve
from genkit.data.kinds import Categorical
from genkit.data.spec import Batch, DataSpec
from genkit.models.base import Completes, Conditional, GenerativeModel
from genkit.models.conditional_on_image import ConditionalOnImage
from genkit.noise import SampleNoise, generator_of, seed_of

SPECS = {
    "toy": DataSpec(shape=(2,), modality="vector", num_classes=3),
    "digits": DataSpec(shape=(1, 8, 8), modality="image", value_range=(-1.0, 1.0), levels=17, num_classes=4),
    "tokens": DataSpec(shape=(12,), modality="sequence", kind=Categorical(5), num_classes=3),
    "pairs": DataSpec((1, 8, 8), "image", value_range=(-1.0, 1.0), levels=17, condition=(2, 8, 8)),
    "mnist": DataSpec(shape=(1, 28, 28), modality="image", value_range=(-1.0, 1.0), levels=256, num_classes=4),
}
SIZES = {"toy": 32, "digits": 24, "tokens": 24, "pairs": 24, "mnist": 8}
STEPS = 2  # of every phase
FEW = {"steps": 6, "k": 5}  # steps of a sampler, draws of a bound
SMALL = {"features": 32, "hidden_features": 32, "depth": 2}  # networks
ENERGY = "genkit.models.energy"
OF_FEW_VALUES = ("nce_ebm",)  # presets whose objective refuses data of more than four values
OF_IMAGES = {"jit"}  # by the network that its recipe names
# the plainest model of each class, which is asked on every kind of data, with labels and without
EVERYWHERE = ("autoencoder", "vae", "vq_vae", "gan", "dcgan", "flow", "maf", "diffusion", "latent_diffusion")


@cache
def composed_with(name: str, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """The whole configuration of `genkit train model=…`; it takes a tenth of a second and is never changed."""
    return composed("train", [*words, f"model={name}", "--resolve"])


def composed_model(name: str, words: tuple[str, ...]) -> dict[str, Any]:
    node: dict[str, Any] = composed_with(name, words)["model"]
    return node


@cache
def named(name: str, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read the model's own keys from its YAML and those that it begins from, which is quicker than composing."""
    options = Catalog.of(Words(flags=dict([words] if words else []))).options("model")
    node = load_yaml(options[name])
    bases = [base for base in node.get("defaults", ()) if isinstance(base, str) and base in options]
    return {key: value for base in bases for key, value in named(base, words).items()} | node.get("model", node)


def hurried(node: dict[str, Any]) -> dict[str, Any]:
    """A node of small networks, whose samplers and likelihoods take few steps: a price, on which no law depends."""
    most = FEW | SMALL
    few: dict[str, Any] = {key: min(node[key], most[key]) for key in most if isinstance(node.get(key), int)}
    if node.get("patch", "") is None:  # each pixel, on small images: one after the other
        few["patch"] = 2
    if "exact_up_to" in node:  # steps with derivatives in both directions
        few["steps"] = 2
    if "sampler" in node and node.get("likelihood", "") is None:  # the default of a diffusion, spelled out
        few["likelihood"] = {"_target_": "genkit.diffusion.likelihood.FlowLikelihood", "steps": FEW["steps"]}
    if "normaliser" in node:  # likewise of an energy
        few["normaliser"] = {"_target_": f"{ENERGY}.annealed_importance.AnnealedImportance", "chains": 4, "steps": 6}
        few["sampler"] = {"_target_": f"{ENERGY}.langevin.MALA", "steps": 6, "candidates": 16}
    return {key: hurried(value) if isinstance(value, dict) else value for key, value in node.items()} | few


def completed(node: dict[str, Any]) -> dict[str, Any]:
    """A node with an untrained autoencoder in the place of the checkpoint that only the user can name."""
    return {key: composed_model("autoencoder", ()) if value == "???" else value for key, value in node.items()}


@dataclass(frozen=True)
class Case:
    """One model on one kind of data."""

    model: str
    data: str
    conditional: bool = False
    words: tuple[str, ...] = ()  # flags before the overrides: --config-dir
    plugins: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.model}-{self.data}" + "-labels" * self.conditional

    @property
    def spec(self) -> DataSpec:
        return SPECS[self.data]

    @property
    def cls(self) -> type[GenerativeModel]:
        return resolve(named(self.model, self.words)["_target_"], at="model", plugins=self.plugins)

    @property
    def always(self) -> bool:
        """Whether its recipe is nothing without labels."""
        return bool(named(self.model, self.words).get("conditional"))

    def node(self) -> dict[str, Any]:
        """The model's node as `genkit train model=…` composes it, but for numbers of steps."""
        node = hurried(completed(composed_model(self.model, self.words)))
        return node | {"conditional": True} if self.conditional else node

    def build(self, spec: DataSpec | None = None) -> GenerativeModel:
        torch.manual_seed(seed_of(0, "weights"))
        return build(self.node(), at="model", expect=GenerativeModel, plugins=self.plugins, spec=spec or self.spec)

    def batch(self, n: int | None = None) -> Batch:
        """Data that says something: every class has a pattern of its own."""
        n, spec, g = n or SIZES[self.data], self.spec, generator_of(0, self.data)
        y = torch.arange(n) % (spec.num_classes or 1)
        patterns = torch.rand(spec.num_classes or 1, *spec.shape, generator=g)
        x = patterns[y] + 0.1 * torch.randn(n, *spec.shape, generator=g)
        if (count := spec.kind.count) is not None:
            x = spec.scale((x.clamp(0, 0.999) * count).floor())
        if spec.condition is None:
            return {"x": x, "y": y}
        return {"x": x, "c": torch.cat([-x, x.roll(1, 2)], 1)}


def cases(models: Sequence[str], words: Sequence[str] = (), plugins: Sequence[str] = ()) -> Iterator[Case]:
    """The kinds of data on which each model is asked.

    Presets of one class differ in their parts, not in how they meet the data: the plainest of each is asked on every
    kind that it models, and with labels too, where the class can be conditional. The others are asked on two: points
    without labels and digits with them, where they model both.
    """
    for name in models:
        every = list(everywhere(Case(name, "toy", words=tuple(words), plugins=tuple(plugins))))
        quickest = {
            case.data: case for case in every if case.data in ("toy", "digits")
        }  # with labels, if there are any
        if name not in EVERYWHERE and len(quickest) == 2:
            every = [next(case for case in every if case.data == "toy"), quickest["digits"]]
        yield from every


def quick(every: Sequence[Case]) -> Iterator[Case]:
    """The cases of `make test`; `make slow` has the others.

    The plainest model of each class on all small data; a preset of the same parts on digits, on tokens, or on points
    where it models neither, with labels where it takes them.
    """
    last = {(case.model, case.data): case for case in every}
    for case in every:
        preset = case.data != "toy" or (case.model, "digits") not in last
        if case.data != "mnist" and (case.model in EVERYWHERE or (preset and case == last[case.model, case.data])):
            yield case


def everywhere(one: Case) -> Iterator[Case]:
    """A model on every kind of data that it models, with labels too where it may have them."""
    for data, spec in SPECS.items():
        if (data == "pairs") != issubclass(one.cls, ConditionalOnImage):
            continue  # to the others they are images like any
        if data == "mnist" and issubclass(one.cls, Completes):
            continue  # pixel by pixel, which takes seconds, and digits say the same
        if one.model in OF_FEW_VALUES and spec.dim > 4:
            continue
        if one.model in OF_IMAGES and spec.modality != "image":
            continue
        if one.cls.unfit(spec) is None:
            yield replace(one, data=data, conditional=one.always)
            labelled = issubclass(one.cls, Conditional) and "conditional" in parameters(one.cls)
            if labelled and data != "mnist" and not one.always:
                yield replace(one, data=data, conditional=True)


@dataclass(frozen=True)
class Subject:
    """A trained model of a case."""

    case: Case
    model: GenerativeModel
    batch: Batch

    @property
    def y(self) -> Tensor | None:
        """Labels where the model takes them."""
        return self.batch["y"] if self.case.conditional else None

    def labels(self, n: int) -> Tensor | None:
        return torch.arange(n) % (self.case.spec.num_classes or 1) if self.case.conditional else None

    @torch.no_grad()
    def sample(self, indices: Sequence[int], seed: int = 0, model: GenerativeModel | None = None) -> Tensor:
        y = self.labels(max(indices) + 1)
        noise = SampleNoise(seed, indices)
        return (model or self.model).sample(len(indices), y=None if y is None else y[list(indices)], noise=noise)


def trained(case: Case) -> Subject:
    """Built, a few steps in each of its phases, prepared, in eval mode."""
    model, batch = case.build().train(), case.batch()
    torch.manual_seed(seed_of(0, "train", 0))
    model.initialise(batch)
    phases = tuple(dict.fromkeys(model.phases)) * STEPS
    parts = model.trainable()
    optimizers = {name: torch.optim.Adam(part.parameters(), lr=1e-3) for name, part in parts.items()}
    for step, phase in enumerate(phases):
        torch.manual_seed(seed_of(0, "train", step))
        model.step, model.progress = step, step / len(phases)
        optimizers[phase].zero_grad()
        model.losses(batch, phase)["loss"].backward()
        optimizers[phase].step()
    model.zero_grad(set_to_none=True)
    model.eval()
    model.prepare([batch])
    return Subject(case, model, batch)
