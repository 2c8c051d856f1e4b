"""Short trainings made to fail in one way each, and healthy ones: seconds of one core each.

A kind of fault is a name and the words of `genkit train` that plant it. Seeds differ within a kind, and so do model and
data, as far as the fault does not ask for one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

USUAL = ("trainer=cpu", "data.batch_size=128", "trainer.max_steps=300", "trainer.val_every_n_steps=20")
FEW = ("samples.every_n_steps=100",)
MLP = ("backbone=mlp", "backbone.width=64", "backbone.depth=2")
FLOW = ("model=flow", "model.transform.vector.layers=4", "model.transform.vector.hidden_features=32")
AUTOREGRESSIVE = (
    "model=nsf_autoregressive",
    "data=toy",
    "data.n_train=64",
    "optimizer.lr=1e-2",
    "optimizer.weight_decay=0",
    "trainer.max_steps=200",
)
TOY = ("data=toy", "data.n_train=8000")
VAE, DIFFUSION = ("model=vae", *MLP), ("model=diffusion", *MLP)
SMALL_GAN = ("model=gan", "backbone=mlp", "backbone.width=64", "backbone.depth=1")
PLAIN_GAN = (
    *SMALL_GAN,
    "model.loss={_target_: genkit.models.gan.adversarial_loss.NonSaturatingLoss}",
    "model.penalties=[]",
    "optimizer.betas=[0.5,0.999]",
    "ema=null",
)
FAST_GENERATOR = ("optimizer.lr=2e-4", "samples.watch_n=256", "trainer.max_steps=500")
CONSTANT = ("lr_schedule=constant",)
CRITIC = (
    "model=wgan_gp",
    *MLP,
    "backbone.octaves=3",
    "model.latent_dim=8",
    "model.n_critic=2",
    "model.penalties=[{_target_: genkit.models.gan.gradient_penalty.GradientPenalty, weight: 1.0}]",
    "optimizer.lr=2e-3",
    "lr_schedule=cosine",
    "ema.decay=0.99",
    "trainer.max_steps=1600",
    "trainer.val_every_n_steps=100",
)
DIGITS = ("data=digits",)
SHORT = ("trainer.max_steps=40", "trainer.val_every_n_steps=4", "trainer.log_every_n_steps=2")
LONGER = ("trainer.max_steps=800", "trainer.val_every_n_steps=40")


class Planted(NamedTuple):
    """A training.

    Attributes:
        kind: The fault, or "healthy".
        name: Of the run.
        words: Of `genkit train`.
    """

    kind: str
    name: str
    words: tuple[str, ...]


KINDS: dict[str, list[tuple[str, ...]]] = {
    "mode collapse": [
        (*PLAIN_GAN, *TOY, *FAST_GENERATOR, "+optimizer_overrides.generator.lr=1e-2"),
        (*PLAIN_GAN, *DIGITS, *FAST_GENERATOR, "+optimizer_overrides.generator.lr=5e-3"),
    ],
    "memorisation": [(*AUTOREGRESSIVE, f"data.name={name}") for name in ("eight_gaussians", "two_moons", "pinwheel")],
    "posterior collapse": [
        ("model=beta_vae", *MLP, *TOY, "model.objective.beta=30"),
        ("model=beta_vae", *MLP, *DIGITS, "model.objective.beta=300"),
    ],
    "discriminator winning": [
        (*PLAIN_GAN, *TOY, "model.latent_dim=2", "optimizer.lr=2e-3", "+optimizer_overrides.generator.lr=1e-6"),
        (*PLAIN_GAN, *DIGITS, "optimizer.lr=2e-3", "+optimizer_overrides.generator.lr=1e-6"),
    ],
    "divergence": [
        (*VAE, *TOY, *CONSTANT, "optimizer.lr=30", "trainer.gradient_clip=0"),
        (*DIFFUSION, *TOY, *CONSTANT, "optimizer=sgd", "optimizer.lr=100", "trainer.gradient_clip=0"),
        (*FLOW, *TOY, *CONSTANT, "optimizer.lr=3", "trainer.gradient_clip=0"),
        (*VAE, *DIGITS, *CONSTANT, "optimizer=sgd", "optimizer.lr=1", "trainer.gradient_clip=0"),
    ],
    "underfitting": [(*model, *SHORT) for model in ((*VAE, *DIGITS), (*DIFFUSION, *DIGITS), (*FLOW, *TOY))],
    "overfitting": [
        (*FLOW, "data=toy", "data.n_train=60", "optimizer.lr=5e-3"),
        (*FLOW, "data=toy", "data.name=two_moons", "data.n_train=40", "optimizer.lr=5e-3"),
    ],
    "step size too large": [
        (*VAE, *TOY, "optimizer.lr=0.3"),
        (*DIFFUSION, *TOY, "optimizer.lr=0.3"),
        (*FLOW, *TOY, "optimizer.lr=0.1"),
        (*VAE, *DIGITS, "optimizer.lr=0.1"),
    ],
    "step size too small": [
        (*VAE, *TOY, "optimizer.lr=2e-6"),
        (*DIFFUSION, *TOY, "optimizer.lr=5e-6"),
        (*FLOW, *TOY, "optimizer.lr=1e-6"),
    ],
    "averaging horizon": [
        (*VAE, *TOY, "ema.decay=0.9999"),
        (*DIFFUSION, *TOY, "ema.decay=0.999"),
        (*FLOW, *TOY, "ema.decay=0.9999"),
    ],
    "too few samples": [
        (*VAE, *DIGITS, "metric=fid", "quick.every_n_steps=100", "quick.n=24"),
        (*DIFFUSION, *TOY, "metric=[energy,mode_coverage]", "quick.every_n_steps=100", "quick.n=20"),
    ],
}  # fmt: skip

HEALTHY: list[tuple[str, ...]] = [
    (*VAE, *TOY),
    (*VAE, *DIGITS),
    (*FLOW, *TOY),
    (*FLOW, *TOY, "data.name=two_moons"),
    (*DIFFUSION, *TOY, *LONGER),
    (*DIFFUSION, *DIGITS, *LONGER),
    (*SMALL_GAN, *TOY, "trainer.max_steps=800"),
    (*CRITIC, *TOY),
    ("model=autoencoder", *MLP, *DIGITS),
    ("model=nce_ebm", *MLP, *TOY),
]

RUNS = 10  # of each kind
HEALTHY_RUNS = 30


def planted(kind: str, runs: int = RUNS) -> Iterator[Planted]:
    """The trainings of a kind, its variants in turn, each with a seed of its own."""
    variants = HEALTHY if kind == "healthy" else KINDS[kind]
    for i in range(runs):
        words = ("train", *USUAL, *FEW, *variants[i % len(variants)], f"seed={i}")
        yield Planted(kind, f"{kind.replace(' ', '_')}-{i}", words)


def all_planted() -> Iterator[Planted]:
    """The whole protocol: ten of each kind and thirty healthy ones."""
    for kind in KINDS:
        yield from planted(kind)
    yield from planted("healthy", HEALTHY_RUNS)
