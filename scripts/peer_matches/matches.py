"""Who plays whom."""

from __future__ import annotations

from typing import Any

from peer_matches.match import Match, Peer

DIFFUSERS, ZUKO = ("diffusers", "scipy"), ("numpy", "zuko")
PEERS = {
    "diffusers U-Net, OT flow matching": Peer("unet.py", DIFFUSERS, ("--how", "flow")),
    "diffusers U-Net, EDM loop": Peer("unet.py", DIFFUSERS, ("--how", "edm")),
    "denoising-diffusion-pytorch": Peer("ddpm.py", ("denoising-diffusion-pytorch",)),
    "pythae VAE": Peer("pythae_models.py", ("pythae",), ("--how", "vae")),
    "pythae AE": Peer("pythae_models.py", ("pythae",), ("--how", "ae")),
    "DCGAN loop": Peer("dcgan.py", ("numpy",)),
    "R3GAN reference": Peer("r3gan.py", ("requests",), ("--rate", "1e-3"), source="https://github.com/brownvc/R3GAN"),
    "zuko NSF": Peer("zuko_flow.py", ZUKO),
    "zuko NSF, coupling": Peer("zuko_flow.py", ZUKO, ("--passes", "2")),
    "GPT-2 of transformers, nanoGPT's recipe": Peer("gpt2.py", ("transformers",)),
    "pytorch-generative Gated PixelCNN": Peer(
        "gated_pixel_cnn.py",
        ("scikit-learn", "tensorboard", "torchvision"),
        source="https://github.com/EugenHotaj/pytorch-generative",
    ),
    "CTGAN": Peer("ctgan_tables.py", ("ctgan",), ("--how", "ctgan")),
    "TVAE": Peer("ctgan_tables.py", ("ctgan",), ("--how", "tvae")),
}
DIFFUSION = ("diffusers U-Net, OT flow matching", "diffusers U-Net, EDM loop")
GANS = ("DCGAN loop", "R3GAN reference")


def ours(experiment: str, *words: str) -> tuple[str, ...]:
    return (f"experiment={experiment}", *words)


UNLABELLED = ("model.conditional=false",)
TEN = ("latent_density=mixture", "latent_density.components=10")  # of codes that nothing has shaped
FORTY = "latent_density.components=40"  # those of the presets are for each label
FLOAT = ("trainer.precision=32-true",)  # the peers' own: bfloat16 is slower where a processor only emulates it
MNIST: dict[str, Any] = {"data": ("data=mnist",), "n": 2000}
CIFAR: dict[str, Any] = {"data": ("data=cifar10",), "n": 2000}
FAIR = ("data=table", "data.root={out}/fair.csv", "data.test=0.5", "data.val=0.05", "data.drop=[affairs]")  # the answer
ROWS: dict[str, Any] = {"data": FAIR, "n": 2864, "kind": "tables", "table": "fair", "peers": ("CTGAN", "TVAE")}
MATCHES = {
    "digits_diffusion": Match(
        ours("digits_diffusion", "model.clusters=3", "model.guidance_scale=1.1"), DIFFUSION, labels=True
    ),
    "digits_diffusion_unlabelled": Match(
        ours("digits_diffusion", *UNLABELLED, "model.clusters=20", "model.guidance_scale=1.1"),
        (*DIFFUSION, "denoising-diffusion-pytorch"),
    ),
    "digits_vae_unlabelled": Match(ours("digits_vae", *UNLABELLED, FORTY), ("pythae VAE",)),
    "digits_autoencoder_unlabelled": Match(ours("digits_denoising_autoencoder", *UNLABELLED, FORTY), ("pythae AE",)),
    "digits_autoencoder": Match(ours("digits_autoencoder"), ("pythae AE",), labels=True),
    "digits_sngan": Match(ours("digits_sngan"), GANS, labels=True),
    "digits_flow": Match(ours("digits_flow"), ("zuko NSF",), labels=True),
    "mnist_diffusion": Match(ours("mnist_diffusion", *FLOAT), DIFFUSION, **MNIST),
    "mnist_grey_vae": Match(ours("mnist_grey_vae"), ("pythae VAE",), **MNIST),
    "mnist_sngan": Match(ours("mnist_sngan"), ("DCGAN loop",), labels=True, **MNIST),
    "cifar10_diffusion": Match(
        ours("cifar10_diffusion", *FLOAT, "trainer.max_steps=1800"), DIFFUSION[:1], labels=True, **CIFAR
    ),
    "cifar10_vae": Match(
        ours("cifar10_vae", *FLOAT, *UNLABELLED, "latent_density.components=20"), ("pythae VAE",), **CIFAR
    ),
    "cifar10_autoencoder": Match(
        ours("cifar10_autoencoder", *FLOAT, "model.latent_dim=192", "model.squash_output=true", *TEN),
        ("pythae AE",),
        **CIFAR,
    ),
    "cifar10_glow": Match(ours("cifar10_glow", *FLOAT), ("zuko NSF, coupling",), **CIFAR),
    "cifar10_dcgan": Match(ours("cifar10_dcgan", *FLOAT), GANS, labels=True, **CIFAR),
    "pydoc_gpt": Match(ours("pydoc_gpt"), ("GPT-2 of transformers, nanoGPT's recipe",), kind="text", n=1000),
    "mnist_pixel_cnn": Match(ours("mnist_pixel_cnn"), ("pytorch-generative Gated PixelCNN",), kind="binary", n=2000),
    "fair_vae": Match(("model=vae", *FAIR, "trainer.max_steps=3500", "trainer.threads=1"), **ROWS),
}
