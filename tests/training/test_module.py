"""The one module: phases against a loop by hand, the averaged copy, the noise, what a configuration may override."""

from __future__ import annotations

import copy
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from training_cases import SEED, Mean, Points, TinyGAN, averaged, difference, module_of, new, run_in, train

from genkit.config.build import build_factory
from genkit.data.loader import TrainLoader
from genkit.errors import ConfigError
from genkit.noise import seed_of
from genkit.training.ema import EMA
from genkit.training.lr_schedule import CosineLR, LRSchedule

RATES = {"discriminator": 2e-2, "generator": 5e-3}


class Steps(pl.Callback):
    """The states of the model and of its averaged copy after each optimizer step."""

    def __init__(self) -> None:
        self.live: list[dict[str, Tensor]] = []
        self.averaged: list[dict[str, Tensor] | None] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.micro_batch % pl_module.accumulate == 0:
            self.live.append(copy.deepcopy(pl_module.model.state_dict()))
            copied = pl_module.averaged
            self.averaged.append(None if copied is None else copy.deepcopy(copied.state_dict()))


def by_hand(model: TinyGAN, steps: int, accumulate: int, clip: float, schedule: LRSchedule) -> None:
    """Two optimizers, one per network, each called in its own steps."""
    modules = model.trainable()
    optimizers = {
        name: torch.optim.AdamW(module.parameters(), lr=RATES[name], weight_decay=0.3)
        for name, module in modules.items()
    }
    loader, m = TrainLoader(Points(), seed=SEED), 0
    for step in range(steps):
        phase = model.phases[step % len(model.phases)]
        model.train().zero_grad()
        for _ in range(accumulate):
            torch.manual_seed(seed_of(SEED, "train", m, 0))
            (model.losses(loader.batch(m), phase)["loss"] / accumulate).backward()
            m += 1
        if clip:
            torch.nn.utils.clip_grad_norm_(modules[phase].parameters(), clip)
        optimizers[phase].param_groups[0]["lr"] = RATES[phase] * schedule.factor(step, steps)
        optimizers[phase].step()


@pytest.mark.parametrize(
    ("n_critic", "clip", "accumulate"), [(1, 0.0, 1), (1, 0.05, 2), (3, 0.05, 1), (2, 0.0, 2), (5, 0.05, 2)]
)
def test_phases_are_two_optimizers_to_the_last_bit(n_critic: int, clip: float, accumulate: int) -> None:
    schedule, steps = CosineLR(warmup_steps=3), 20
    hand = new(TinyGAN, n_critic)
    by_hand(hand, steps, accumulate, clip, schedule)
    module = module_of(
        new(TinyGAN, n_critic),
        optimizer=lambda groups: torch.optim.AdamW(groups, lr=RATES["discriminator"], weight_decay=0.3),
        optimizer_overrides={"generator": {"lr": RATES["generator"]}},
        lr_schedule=schedule,
        ema=averaged(),
        max_steps=steps,
        accumulate=accumulate,
    )
    train(module, gradient_clip=clip, val_every_n_steps=4)
    assert difference(module.model, hand) == 0.0
    assert difference(module.model, new(TinyGAN, n_critic)) > 0.01


def test_only_the_phase_that_is_served_moves() -> None:
    """AdamW would shrink the other network's weights if it were given a gradient of zero instead of none."""
    steps = Steps()
    module = module_of(
        new(TinyGAN, 2), optimizer=lambda groups: torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.5), max_steps=6
    )
    before = copy.deepcopy(module.model.state_dict())
    train(module, steps)
    for step, after in enumerate(steps.live):
        serves = module.model.phases[step % 3]
        moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
        assert moved == {serves, "seen"}
        before = after


def test_frozen_parameters_stay_and_are_shared_by_the_averaged_copy() -> None:
    module = module_of(new(TinyGAN), ema=averaged())
    train(module)
    live, copied = module.model, module.averaged
    assert isinstance(live, TinyGAN)
    assert isinstance(copied, TinyGAN)
    assert torch.equal(live.basis.weight, new(TinyGAN).basis.weight)
    assert live.basis.weight is copied.basis.weight
    assert not live.basis.weight.requires_grad
    assert not set(map(id, live.generator.parameters())) & set(map(id, copied.parameters()))
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert not copied.training


def test_the_averaged_copy_is_made_after_the_first_step_and_follows_by_the_formula() -> None:
    """d = min(d_max, (1 + n) / (10 + n)) after n steps, and only of the network just stepped."""
    steps, decay = Steps(), 0.3
    module = module_of(new(TinyGAN), ema=averaged(decay), max_steps=8)
    assert module.averaged is None
    train(module, steps)
    assert steps.averaged[0] is not None
    assert all(torch.equal(steps.averaged[0][name], steps.live[0][name]) for name in steps.live[0])
    for n in range(1, 8):
        old, new_, live = steps.averaged[n - 1], steps.averaged[n], steps.live[n]
        assert old is not None
        assert new_ is not None
        d = min(decay, (1 + n) / (10 + n))
        for name, value in new_.items():
            stepped = name.startswith(module.model.phases[n % 2])
            expected = d * old[name] + (1 - d) * live[name] if stepped else old[name]
            torch.testing.assert_close(value, live[name] if name == "seen" else expected, rtol=0, atol=1e-6)
    assert (1 + 1) / (10 + 1) < decay < (1 + 3) / (10 + 3)  # both branches of the formula were met


@pytest.mark.parametrize(("steps", "decay"), [(1, 0.999), (20_000, 0.999), (100_000, 0.9998)])
def test_the_average_of_a_long_run_looks_back_on_a_twentieth_of_it(steps: int, decay: float) -> None:
    assert EMA().of_run(steps) == pytest.approx(decay, abs=1e-12)
    assert EMA(0.5).of_run(steps) == 0.5
    copied, live = [torch.zeros(1)], [torch.ones(1)]
    EMA().update(copied, live, 10**6, steps)
    assert float(copied[0]) == pytest.approx(1 - decay, rel=1e-4)


def test_validation_looks_at_the_averaged_copy_and_changes_nothing() -> None:
    """Even with dropout, and with the validation's own draws of noise."""
    for kind in (TinyGAN, Mean):
        with_, without = (module_of(new(kind), ema=averaged(0.5)) for _ in range(2))
        train(with_, val_every_n_steps=3)
        train(without, val_every_n_steps=1000)
        assert with_.validated
        assert not without.validated
        assert difference(with_, without) == 0.0


def test_validation_terms_are_those_of_the_averaged_copy() -> None:
    module = module_of(new(Mean), ema=averaged(), max_steps=6)
    train(module, val_every_n_steps=6)
    assert isinstance(module.averaged, Mean)
    assert isinstance(module.model, Mean)
    val = Points().split("val").x
    losses = [float((val - model.mean.detach()).square().mean()) for model in (module.averaged, module.model)]
    assert module.validated["val/loss"] == pytest.approx(losses[0], rel=1e-5)
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


def test_validation_has_every_distinct_phase_once() -> None:
    module = module_of(new(TinyGAN, 3), max_steps=4)
    train(module, val_every_n_steps=4)
    assert module.validated.keys() == {
        "val/discriminator/loss",
        "val/discriminator/real",
        "val/generator/loss",
    }
    assert [phase for training, phase, *_ in TinyGAN.calls if not training] == ["discriminator", "generator"] * 2


def test_noise_is_a_function_of_the_seed_and_the_micro_batch() -> None:
    train(module_of(new(TinyGAN), accumulate=2, max_steps=4))
    once = [z for training, *_, z in TinyGAN.calls if training]
    torch.randn(100)
    train(module_of(new(TinyGAN), accumulate=2, max_steps=4), val_every_n_steps=1)
    again = [z for training, *_, z in TinyGAN.calls if training]
    assert len(once) == 8
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not any(torch.equal(once[0], z) for z in once[1:])  # not even within one accumulation window
    train(module_of(new(TinyGAN), accumulate=2, max_steps=4, seed=SEED + 1))
    assert not torch.equal(TinyGAN.calls[0][-1], once[0])


def test_the_model_is_told_its_step_and_progress() -> None:
    train(module_of(new(TinyGAN), accumulate=2, max_steps=3), val_every_n_steps=100)
    assert [step for _, _, step, _ in TinyGAN.calls] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"generatr": {"lr": 1.0}}, ["optimizer_overrides.generatr", "discriminator, generator"]),
        ({"generator": {"lrr": 1.0}}, ["optimizer_overrides.generator.lrr", "Adam has no such argument", "lr, betas"]),
        ({"generator": {"params": 1.0}}, ["optimizer_overrides.generator.params"]),
        ({"generator": {"lr": -1.0}}, ["optimizer_overrides.generator.lr", "negative"]),
    ],
)
def test_wrong_overrides_are_refused(overrides: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        module_of(TinyGAN(), optimizer_overrides=overrides).configure_optimizers()
    assert all(word in str(refusal.value) for word in words)


def test_asking_for_the_optimizer_twice_gives_the_same_rates() -> None:
    module = module_of(TinyGAN(), lr_schedule=CosineLR(warmup_steps=10))
    module.configure_optimizers()
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert [(group["name"], group["lr"]) for group in groups] == [
        ("discriminator", pytest.approx(1e-3)),
        ("generator", pytest.approx(1e-3)),
    ]


def _optimizer_of(**changes: Any) -> torch.optim.Optimizer:
    """The optimizer of a module, its class and arguments from a configuration."""
    node = {"_target_": "torch.optim.AdamW", "lr": 1e-2, "foreach": None, "fused": None} | changes
    make = build_factory(node, at="optimizer", expect=torch.optim.Optimizer)
    module = module_of(TinyGAN(), optimizer=make, fused=True)
    optimizer: torch.optim.Optimizer = module.configure_optimizers()["optimizer"]
    return optimizer


def test_one_kernel_is_taken_where_it_is_wanted_and_nothing_else_was_said() -> None:
    assert [group["fused"] for group in _optimizer_of().param_groups] == [True, True]
    assert [group["fused"] for group in _optimizer_of(fused=False).param_groups] == [False, False]
    assert [group["fused"] for group in _optimizer_of(foreach=True).param_groups] == [None, None]


def test_without_an_average_the_model_itself_is_used_and_goes_on_training(tmp_path: Any) -> None:
    module, plain = module_of(new(Mean)), module_of(new(Mean))
    run_in(tmp_path / "run", module, every=2, pictures=3, val_every_n_steps=5)
    train(plain, val_every_n_steps=1000)
    assert isinstance(module.model, Mean)
    assert isinstance(plain.model, Mean)
    assert module.averaged is None
    assert torch.equal(module.model.mean, plain.model.mean)  # with dropout: train mode was restored
    assert not torch.equal(module.model.spread, plain.model.spread)  # prepared for the pictures and the checkpoints


def test_a_module_holds_one_group_per_phase() -> None:
    parts = module_of(TinyGAN(), optimizer_overrides={"generator": {"lr": 0.5}}).configure_optimizers()
    groups = {group["name"]: group for group in parts["optimizer"].param_groups}
    assert {name: group["lr"] for name, group in groups.items()} == {"discriminator": 1e-2, "generator": 0.5}
    assert sum(len(group["params"]) for group in groups.values()) == 8
