"""Options that a GPU asks for, where a CPU can tell whether they change what is computed."""

from __future__ import annotations

import copy

import pytest
import torch
from model_contract import Case
from torch import Tensor, nn

from genkit.data.counter_stream import ViewStream
from genkit.data.loader import TrainLoader
from genkit.data.resident import Resident, resident
from genkit.data.sources.digits import Digits
from genkit.data.split import InMemory
from genkit.errors import ConfigError
from genkit.models.base import GenerativeModel
from genkit.tensor_cores import allow_tf32
from genkit.training.compilation import compile_networks
from genkit.training.layout import channels_last, settle
from genkit.training.options import TrainerOptions

CPU = torch.device("cpu")
CONVOLUTIONAL = ["vae", "dcgan", "sagan", "glow", "flow", "diffusion", "vq_vae", "r3gan"]
COMPILED = {"vae": 2, "glow": 5, "r3gan": 1, "contractive_autoencoder": 1, "latent_diffusion": 3}


def gradients(model: GenerativeModel, case: Case) -> list[Tensor]:
    """The losses and gradients of every phase, from the same noise."""
    found = []
    for phase in dict.fromkeys(model.phases):
        torch.manual_seed(1)
        loss = model.losses(case.batch(), phase)["loss"]
        learning = [p for p in model.trainable()[phase].parameters() if p.requires_grad]
        found += [loss.detach(), *torch.autograd.grad(loss, learning, allow_unused=True)]
    return [tensor for tensor in found if tensor is not None]


def ready(name: str) -> tuple[Case, GenerativeModel]:
    case = Case(name, "digits")
    model = case.build().train()
    torch.manual_seed(2)
    model.initialise(case.batch())
    return case, model


def agree(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-4 * float(a.abs().max()) + 1e-7)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_channels_last_changes_no_value(name: str) -> None:
    case, model = ready(name)
    before = gradients(copy.deepcopy(model), case)  # whose running statistics move
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    channels_last(model)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    agree(before, gradients(model, case))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if i else ()) for i, name in enumerate(COMPILED)]
)
def test_compiled_networks_compute_the_same(name: str) -> None:
    case, model = ready(name)
    before, names = gradients(copy.deepcopy(model), case), list(model.state_dict())
    compile_networks(model, backend="eager")
    compiled = [module for module in model.modules() if module._compiled_call_impl is not None]
    assert len(compiled) == COMPILED[name]
    assert list(model.state_dict()) == names
    assert all(module._compiled_call_impl is None for module in copy.deepcopy(model).modules())  # the averaged copy
    agree(before, gradients(model, case))


@pytest.mark.parametrize("name", ["mean_flow", "cnf", "maf"])
def test_a_model_without_a_network_to_compile_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="has no network that can be compiled: leave"):
        compile_networks(Case(name, "toy").build())


def adam(model: nn.Module, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused or None)


def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        gradient = torch.randn(parameter.shape)
        parameter.grad = torch.empty_like(parameter).copy_(gradient)
    optimizer.step()


@pytest.mark.parametrize("fused", [False, True])
def test_a_restored_optimizer_steps_as_this_run_does(fused: bool) -> None:
    """Whatever the run that wrote it did: channels first or last, one kernel or one for each parameter."""
    one, other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    other.load_state_dict(one.state_dict())
    channels_last(other)
    before, after = adam(one, not fused), adam(other, fused)
    stepped(one, before, 0)
    other.load_state_dict(one.state_dict())
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    settle(after)
    assert after.param_groups[0]["fused"] == (fused or None)
    assert after.state[other.weight]["exp_avg"].stride() == other.weight.stride() != one.weight.stride()
    stepped(one, before, 1)
    stepped(other, after, 1)
    torch.testing.assert_close(other.weight.detach(), one.weight.detach(), rtol=1e-6, atol=1e-7)


def test_batches_of_resident_data_are_the_same() -> None:
    data = Digits()
    here, there = TrainLoader(data, seed=3), TrainLoader(data, seed=3, device=CPU, room=2**30)
    assert isinstance(there.train, Resident)
    for number in (0, 5, 17):
        assert all(torch.equal(value, there.batch(number)[name]) for name, value in here.batch(number).items())


@pytest.mark.parametrize(("room", "kind"), [(64, Resident), (63, InMemory)])
def test_data_lie_on_the_device_where_they_fit(room: int, kind: type) -> None:
    assert type(resident(InMemory(torch.zeros(4, 16, dtype=torch.uint8)), CPU, room)) is kind


class Flipped(Digits):
    """Digits, mirrored."""

    random_views = True

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        return values.flip(-1)


def test_random_views_are_drawn_on_the_cpu() -> None:
    assert not isinstance(TrainLoader(Flipped(), seed=3, room=2**30).train, Resident)


def test_precision_auto_is_float32_on_a_cpu() -> None:
    options = TrainerOptions(accelerator="cpu", precision="auto")
    assert options.number_format == options.lightning()["precision"] == "32-true"


@pytest.mark.parametrize(("native", "found"), [(True, "bf16-mixed"), (False, "32-true")])
def test_precision_auto_asks_the_gpu(native: bool, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert TrainerOptions(accelerator="gpu", precision="auto").number_format == found
    assert TrainerOptions(accelerator="gpu", precision="16-mixed").number_format == "16-mixed"


def test_one_switch_for_products_and_convolutions() -> None:
    for allowed, precision in ((True, "high"), (False, "highest")):
        allow_tf32(allowed)
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.cudnn.allow_tf32 is allowed
