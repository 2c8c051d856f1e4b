"""State dicts of earlier versions: flags that modules had once are left out, wherever the module stands in a model."""

import pytest
import torch
from torch import nn

from genkit.assembly.start_weights import Start
from genkit.data.spec import DataSpec
from genkit.flows.linear import ActNorm
from genkit.models.autoencoder.autoencoder import Autoencoder
from genkit.models.diffusion import Diffusion
from genkit.models.latent_diffusion import LatentDiffusion
from genkit.models.quantized.quantizer import VectorQuantizer
from genkit.models.vae.prior import VampPrior
from genkit.upgrade import upgraded

PLANE = DataSpec(shape=(2,), modality="vector", num_classes=3)
ONCE = {
    "actnorm": (lambda: ActNorm(2), ["initialised"]),
    "vamp": (lambda: VampPrior(spec=PLANE, latent_dim=2, num_classes=3, components=4), ["initialised"]),
    "vq": (lambda: VectorQuantizer(num_codes=3, channels=2), ["initialised"]),
    "diffusion": (lambda: Diffusion(spec=PLANE), ["measured"]),
    "latent_diffusion": (
        lambda: LatentDiffusion(spec=PLANE, autoencoder=Autoencoder),
        ["measured", "diffusion.measured"],
    ),
}


@pytest.mark.parametrize("name", ONCE)
def test_a_state_of_an_earlier_version_has_flags_that_are_left_out(name):
    make, flags = ONCE[name]
    module, other = nn.Sequential(make()), nn.Sequential(make())
    earlier = module.state_dict() | {f"0.{flag}": torch.tensor(True) for flag in flags}
    assert not [key for key in module.state_dict() if key.endswith(("initialised", "measured"))]
    other.load_state_dict(earlier)
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in other.state_dict().items())
    assert upgraded(module, earlier).keys() == module.state_dict().keys()
    stored = {f"raw.{key}": value for key, value in earlier.items()} | {"raw.step": torch.tensor(1)}
    assert upgraded(module, stored, "raw.").keys() == {*(f"raw.{key}" for key in module.state_dict()), "raw.step"}


def test_any_other_name_is_still_refused():
    layer = ActNorm(2)
    with pytest.raises(RuntimeError, match="initialized"):
        layer.load_state_dict(layer.state_dict() | {"initialized": torch.tensor(True)})


def test_a_new_run_begins_from_the_weights_of_an_earlier_version():
    model, old = Diffusion(spec=PLANE), Diffusion(spec=PLANE)
    old.denoiser.data_std.fill_(3.0)
    earlier = old.state_dict() | {"measured": torch.tensor(True)}
    Start(earlier, {"ckpt": "old", "partial": False, "step": 1}, "Diffusion").fill(model)
    assert model.denoiser.data_std == 3.0
