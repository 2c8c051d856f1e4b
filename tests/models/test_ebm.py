"""An energy-based model as a whole: what its numbers are of, and what it refuses."""

import math

import pytest
import torch
from torch import Tensor, nn

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.energy.contrastive import JEM, PersistentCD
from genkit.models.energy.ebm import EBM
from genkit.models.energy.energy_diffusion import EnergyDiffusion
from genkit.models.energy.langevin import MALA
from genkit.models.energy.normaliser import Quadrature
from genkit.models.energy.objective import NCE
from genkit.nn.backbone import Backbone
from genkit.nn.mlp import MLP

PLANE = DataSpec((2,), "vector", num_classes=3)
SMALL = DataSpec((1, 4, 4), "image", value_range=(-1.0, 1.0), levels=17, num_classes=3)


class Bowl(Backbone):
    """f(u) = −‖u − m‖² / 2, with m = 1 for every value, and a constant that no density depends on."""

    def __init__(self, *, in_shape, out_shape, num_classes=None, time=False, height: float = 5.0) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.full(out_shape, height))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return self.height - (x.flatten(1) - 1).square().sum(1, keepdim=True) / 2


def bowl(**options) -> EBM:
    """On data of mean (3, −1) and spreads 2 and 0.5."""
    model = EBM(spec=PLANE, backbone=Bowl, tail=1000.0, **options)
    torch.manual_seed(0)
    x = torch.tensor([3.0, -1.0]) + torch.tensor([2.0, 0.5]) * torch.randn(50_000, 2)
    model.initialise({"x": x})
    return model.eval()


def truth(model: EBM, x: Tensor) -> Tensor:
    """log N(x; m + σ, σ²), which that network stands for."""
    z = (x - model.centre) / model.spread - 1
    return -z.square().sum(1) / 2 - math.log(2 * math.pi) - model.spread.log().sum()


def test_its_density_is_in_the_datas_own_units() -> None:
    model = bowl()
    torch.testing.assert_close(model.spread, torch.tensor([2.0, 0.5]), rtol=0.03, atol=0)
    x = torch.randn(9, 2)
    torch.testing.assert_close(model.log_prob(x), truth(model, x), rtol=1e-4, atol=1e-3)
    assert (model.bound, model.costly) == ("exact", False)
    difference = model.energy(x) + model.log_prob(x)
    torch.testing.assert_close(difference, difference[:1].expand(9), rtol=0, atol=1e-4)  # low where likely


def test_its_score_is_the_gradient_of_its_density() -> None:
    model, x = bowl(), torch.randn(5, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.log_prob(x).sum(), x)
    torch.testing.assert_close(model.score(x), gradient)
    with pytest.raises(ConfigError, match=r"noise level 0\.5"):
        model.score(x, level=0.5)


def test_its_samples_are_those_of_its_density() -> None:
    model = bowl(sampler=MALA(steps=40, step=0.8))
    x, n = model.sample(3000), 3000
    for k in range(2):
        mean, std = float(model.centre[k] + model.spread[k]), float(model.spread[k])
        assert float(x[:, k].mean()) == pytest.approx(mean, abs=5 * std / math.sqrt(n))
        assert float(x[:, k].std()) == pytest.approx(std, rel=5 / math.sqrt(2 * n))


def test_it_samples_whatever_mode_the_caller_is_in() -> None:
    model = bowl()
    x = model.sample(3)
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            assert torch.equal(model.sample(3), x)
    assert not x.requires_grad


def test_log_z_follows_the_weights() -> None:
    model = bowl()
    before = model.log_z()
    assert model.log_z() is before
    with torch.no_grad():
        model.network.height += 2
    assert float(model.log_z().value - before.value) == pytest.approx(2, abs=1e-5)
    facts = model.normaliser_facts()
    assert facts["log_z"] == pytest.approx(float(model.log_z().value))
    assert set(facts) == {"log_z", "log_z_se", "log_z_method"}


def test_labels_have_normalisers_of_their_own() -> None:
    model = bowl(conditional=True)
    with torch.no_grad():
        model.network.height += torch.tensor([0.0, 10.0, -10.0])
    x = torch.randn(3, 2)
    torch.testing.assert_close(model.log_prob(x, torch.tensor([0, 1, 2])), truth(model, x), rtol=1e-4, atol=1e-3)
    with pytest.raises(ConfigError, match="needs labels"):
        model.energy(x)  # its labels were not trained on one scale


def test_a_joint_model_has_an_energy_without_labels() -> None:
    model, x = EBM(spec=SMALL, objective=JEM, conditional=True), torch.randn(4, 1, 4, 4).clamp(-1, 1)
    each = torch.stack([model.energy(x, torch.full((4,), y)) for y in range(3)])
    torch.testing.assert_close(model.energy(x), -torch.logsumexp(-each, 0))
    with pytest.raises(ConfigError, match=r"^model\.objective: JEM learns from labels: set model\.conditional=true$"):
        EBM(spec=SMALL, objective=JEM)


def test_the_data_decides_what_is_left_open() -> None:
    assert isinstance(EBM(spec=SMALL).objective, PersistentCD)
    assert EBM(spec=SMALL).bound == "estimate"
    assert EBM(spec=SMALL).costly
    with pytest.raises(ConfigError, match="covers up to 4 values"):
        EBM(spec=SMALL, objective=NCE)
    with pytest.raises(ConfigError, match="choose AnnealedImportance"):
        EBM(spec=SMALL, normaliser=Quadrature()).log_z()


class Normalised(MLP):
    """A network with statistics of the batch."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.norm = nn.BatchNorm1d(3)


def test_a_network_that_couples_the_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^backbone: Normalised has batch normalisation"):
        EBM(spec=PLANE, backbone=Normalised)


def test_its_chains_are_state_of_the_training_alone() -> None:
    model = EBM(spec=PLANE, objective=PersistentCD).train()
    model.losses({"x": torch.randn(8, 2)}, "model")
    assert not [name for name in model.state_dict() if "chain" in name]
    other = EBM(spec=PLANE, objective=PersistentCD)
    other.load_training_state(model.training_state())
    assert torch.equal(other.training_state()["chains"], model.training_state()["chains"])
    with pytest.raises(ValueError, match="does not have"):
        EBM(spec=PLANE).load_training_state(model.training_state())


@pytest.mark.parametrize("conditional", [False, True])
def test_an_energy_at_all_levels_agrees_with_its_score(conditional: bool) -> None:
    torch.manual_seed(0)
    model = EnergyDiffusion(spec=PLANE, backbone=MLP, conditional=conditional).eval()
    x, y = torch.randn(5, 2, requires_grad=True), torch.arange(5) % 3 if conditional else None
    for level in (None, 0.5, 3.0):
        (gradient,) = torch.autograd.grad(model.energy(x, y, level=level).sum(), x)
        torch.testing.assert_close(-gradient, model.score(x, y, level=level), rtol=1e-3, atol=1e-4)
    with pytest.raises(ConfigError, match=r"knows the noise levels from 0\.002 to 80"):
        model.energy(x, y, level=100.0)
    if conditional:
        assert model.energy(x).shape == (5,)  # as of no label
