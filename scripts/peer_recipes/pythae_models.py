"""VAE and autoencoder of pythae with its default network: `--how vae` or `--how ae`.

    python -m pip install torch==2.13.0 pythae               # in an environment of its own

One hidden layer on both sides, Adam at 1e-3, batches of 128, 16 latents. The convolutions of its MNIST and CIFAR
benchmarks have up to seventeen million parameters and are made for a GPU: those of MNIST make 61 steps in five minutes
of one thread.

Samples come from Gaussians that its own sampler fits to the codes of the training images, the better of the two that
it offers for both models: not its ten, but as many as genkit's presets fit.
"""

from __future__ import annotations

import torch
from loop import Job, job, own_word
from pythae.models import AE, VAE, AEConfig, VAEConfig
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from torch import nn

LATENTS = 16
GAUSSIANS = {8: 40, 28: 200, 32: 100}  # by the side of the images
OF_A_LABEL = 2  # of the digits


def model_of(of: Job, how: str) -> nn.Module:
    """Of the library."""
    shape = tuple(of.x.shape[1:])
    if how == "vae":  # its squared error of values in [0, 1] counts so little beside the KL term that no latent is used
        return VAE(VAEConfig(input_dim=shape, latent_dim=LATENTS, reconstruction_loss="bce"))
    return AE(AEConfig(input_dim=shape, latent_dim=LATENTS))


def sampled(model: nn.Module, unit: torch.Tensor, gaussians: int, n: int) -> torch.Tensor:
    """n samples by Gaussians that are fitted to the codes of examples in [0, 1]."""
    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=gaussians))
    sampler.fit(unit)
    return sampler.sample(n, batch_size=500, return_gen=True).cpu()


def main() -> None:
    """Train, then draw."""
    how = own_word("--how")
    of = job()
    unit = (of.x + 1) / 2  # its decoders end in a sigmoid
    model = model_of(of, how)
    optimizer, steps = torch.optim.Adam(model.parameters(), 1e-3), 0
    for x, _ in of.batches(128):
        optimizer.zero_grad()
        model({"data": (x + 1) / 2}).loss.backward()
        optimizer.step()
        steps += 1
    model.eval()
    y = of.drawn_labels(of.n)
    if of.y is None or y is None:
        drawn = sampled(model, unit, GAUSSIANS[of.x.shape[2]], of.n)
    else:  # as genkit's own: Gaussians of each label
        counts = y.bincount(minlength=of.classes).tolist()
        each = [sampled(model, unit[of.y == label], OF_A_LABEL, n) for label, n in enumerate(counts) if n]
        drawn = torch.cat(each)
    of.write(drawn.reshape(of.n, *of.x.shape[1:]) * 2 - 1, steps, parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
