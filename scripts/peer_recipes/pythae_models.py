"""VAE and autoencoder of pythae with its own networks: `--how vae` or `--how ae`, `--mlp` for its default network.

    python -m pip install torch==2.13.0 pythae               # in an environment of its own

Images of 28x28 take the convolutions of its MNIST benchmark, 32x32 colour those of CIFAR, which have seventeen million
parameters and are made for a GPU; others, and these with `--mlp`, its default of one hidden layer. Adam at 1e-3,
batches of 128, 16 latents.

Samples come from Gaussians that its own sampler fits to the codes of the training images, the better of the two that
it offers for both models: not its ten, but as many as genkit's presets fit.
"""

from __future__ import annotations

import sys

import torch
from loop import Job, job
from pythae.models import AE, VAE, AEConfig, VAEConfig
from pythae.models.nn.benchmarks import cifar, mnist
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from torch import nn

LATENTS = 16
GAUSSIANS = {8: 40, 28: 100, 32: 100}  # by the side of the images
NETWORKS = {
    (28, "vae"): (mnist.Encoder_Conv_VAE_MNIST, mnist.Decoder_Conv_AE_MNIST),
    (28, "ae"): (mnist.Encoder_Conv_AE_MNIST, mnist.Decoder_Conv_AE_MNIST),
    (32, "vae"): (cifar.Encoder_Conv_VAE_CIFAR, cifar.Decoder_Conv_AE_CIFAR),
    (32, "ae"): (cifar.Encoder_Conv_AE_CIFAR, cifar.Decoder_Conv_AE_CIFAR),
}


def model_of(of: Job, how: str, mlp: bool) -> nn.Module:
    """Of the library."""
    shape = tuple(of.x.shape[1:])
    if how == "vae":  # its squared error of values in [0, 1] counts so little beside the KL term that no latent is used
        config = VAEConfig(input_dim=shape, latent_dim=LATENTS, reconstruction_loss="bce")
    else:
        config = AEConfig(input_dim=shape, latent_dim=LATENTS)
    cls = VAE if how == "vae" else AE
    parts = None if mlp else NETWORKS.get((shape[1], how))
    return cls(config) if parts is None else cls(config, encoder=parts[0](config), decoder=parts[1](config))


def main() -> None:
    """Train, then draw."""
    how = sys.argv.pop(sys.argv.index("--how") + 1)
    sys.argv.remove("--how")
    if mlp := "--mlp" in sys.argv:
        sys.argv.remove("--mlp")
    of = job()
    unit = (of.x + 1) / 2  # its decoders end in a sigmoid
    model = model_of(of, how, mlp)
    optimizer, steps = torch.optim.Adam(model.parameters(), 1e-3), 0
    for x, _ in of.batches(128):
        optimizer.zero_grad()
        model({"data": (x + 1) / 2}).loss.backward()
        optimizer.step()
        steps += 1
    model.eval()
    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=GAUSSIANS[of.x.shape[2]]))
    sampler.fit(unit)
    drawn = sampler.sample(of.n, batch_size=500, return_gen=True).cpu()
    of.write(drawn.reshape(of.n, *of.x.shape[1:]) * 2 - 1, steps, parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
