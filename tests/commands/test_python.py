"""genkit from Python: models that learn, samples by a seed, verbs as functions; nothing of the caller's is touched."""

import random

import numpy as np
import pytest
import torch

import genkit as package
from genkit.data.digits import Digits
from genkit.data.toy import Toy

FAMILIES = ["vae", "autoencoder", "diffusion", "gan", "flow"]


@pytest.fixture(params=FAMILIES)
def run(request):
    return request.getfixturevalue(request.param)


def drawn() -> tuple[float, float, float]:
    """The next number of each global generator."""
    return float(torch.randn(1)), float(np.random.random()), random.random()


def seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_a_loaded_model_learns(run, weights):
    model = package.load(run, weights=weights).train()
    data = (Toy(n_train=50) if model.spec.modality == "vector" else Digits()).split("train")
    batch = {"x": model.spec.scale(data.x[:16]), "y": data.y[:16]}
    parts = model.trainable()
    learning = {id(p) for part in parts.values() for p in part.parameters()}
    assert {id(p) for p in model.parameters() if p.requires_grad} == learning
    for phase, part in parts.items():
        model.losses(batch, phase)["loss"].backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())


def test_a_model_samples_by_a_seed_what_the_command_samples(run):
    from command_cases import done

    done("sample", f"ckpt={run}", "n=6", "seed=3", "out=drawn")
    with np.load("drawn/samples.npz") as file:
        stored = torch.from_numpy(file["x"])
    model = package.load(run)
    x = model.spec.unscale(model.sample(6, seed=3))
    assert torch.equal(x.movedim(1, -1) if model.spec.modality == "image" else x, stored)
