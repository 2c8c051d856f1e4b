"""A density of each label: fitted to its own latents, drawn with the noise of its own rows, read from older files."""

from functools import partial

import pytest
import torch
from model_cases import PLANE, Affine

from genkit.data.spec import Batch
from genkit.models.autoencoder.autoencoder import Autoencoder
from genkit.models.base import GenerativeModel
from genkit.models.density_per_label import PerLabel
from genkit.models.kernel_density import KernelDensity
from genkit.models.latent_density import GaussianDensity, GaussianMixture
from genkit.models.vae.vae import VAE
from genkit.noise import SampleNoise, generator_of

KINDS = {
    "gaussian": GaussianDensity,
    "mixture": partial(GaussianMixture, components=2),
    "kernel": partial(KernelDensity, points=16),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
MODELS = {
    "autoencoder": partial(Autoencoder, spec=PLANE, latent_dim=2, backbone=Affine),
    "vae": partial(VAE, spec=PLANE, latent_dim=2, backbone=Affine),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
CENTRES = torch.tensor([[-6.0, 0.0], [6.0, 2.0], [0.0, 9.0]])


def labelled(n: int = 300) -> Batch:
    y = torch.arange(n) % 3
    return {"x": CENTRES[y] + 0.3 * torch.randn(n, 2, generator=generator_of(0, "labelled")), "y": y}


def prepared(model: partial, kind: partial | type, conditional: bool = True) -> GenerativeModel:
    """Encoder and decoder are the identity, whatever the label: z is x."""
    torch.manual_seed(0)
    made = model(latent_density=kind, conditional=conditional).eval()
    rows = len(made.encoder.linear.weight)
    made.encoder.set(torch.eye(rows, 2), torch.tensor([0.0, 0.0, -9.0, -9.0])[:rows])
    made.decoder.set(torch.eye(2), torch.zeros(2))
    for table in (made.encoder.table, made.decoder.table):
        if table is not None:
            torch.nn.init.zeros_(table.weight)
    if isinstance(made, VAE):
        made.likelihood.log_std.data.fill_(-5.0)
    made.prepare([labelled()])
    return made


@every_kind
def test_no_labels_give_no_rows(kind) -> None:
    density = PerLabel(kind, latent_dim=2, num_classes=3)
    density.fit(labelled()["x"], labelled()["y"])
    assert density.sample(SampleNoise(0, []), torch.empty(0, dtype=torch.int64)).shape == (0, 2)


@torch.no_grad()
@every_kind
@every_model
def test_samples_of_a_label_are_where_its_data_is(model, kind) -> None:
    y = torch.tensor([2, 0, 0, 1] * 20)
    x = prepared(model, kind).sample(80, y=y, noise=SampleNoise(0, range(80)))
    assert torch.equal(torch.cdist(x, CENTRES).argmin(1), y)


@torch.no_grad()
@every_kind
def test_a_row_depends_on_its_label_and_its_noise_alone(kind) -> None:
    density = PerLabel(kind, latent_dim=2, num_classes=3)
    density.fit(labelled()["x"], labelled()["y"])
    y = torch.tensor([2, 0, 1, 1, 0])
    whole = density.sample(SampleNoise(0, range(5)), y)
    others = torch.tensor([2, 0, 0, 1, 1])
    torch.testing.assert_close(density.sample(SampleNoise(0, range(5)), others)[:2], whole[:2])
    torch.testing.assert_close(density.sample(SampleNoise(0, range(3, 5)), y[3:]), whole[3:])


def test_a_label_without_latents_is_given_those_of_all() -> None:
    z, y = labelled()["x"], labelled()["y"]
    density, shared = PerLabel(GaussianDensity, latent_dim=2, num_classes=4), GaussianDensity(latent_dim=2)
    density.fit(z, y)
    shared.fit(z)
    assert torch.equal(density.of(3).sample(SampleNoise(0, range(4))), shared.sample(SampleNoise(0, range(4))))


@torch.no_grad()
@every_kind
@every_model
def test_a_state_of_one_density_for_all_labels_loads_and_samples_to_the_same_bytes(model, kind) -> None:
    """As it was before: the buffers of a model without labels, decoded by label."""
    shared, new = prepared(model, kind, conditional=False), prepared(model, kind)
    density = {name: value for name, value in shared.state_dict().items() if name.startswith("latent_density.")}
    new.load_state_dict({**new.state_dict(), **density})
    y, n = torch.arange(50) % 3, 50
    was = shared.sample(n, noise=SampleNoise(0, range(n)))
    assert torch.equal(new.sample(n, y=y, noise=SampleNoise(0, range(n))), was)  # the decoder does not look at labels
    again = prepared(model, kind)
    again.load_state_dict(new.state_dict())
    assert torch.equal(again.sample(n, y=y, noise=SampleNoise(0, range(n))), was)
