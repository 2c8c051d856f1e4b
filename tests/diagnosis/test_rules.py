"""Each rule on curves made by hand: it names its fault with its numbers, and is silent on what is near it."""

from __future__ import annotations

import math

import pytest

from genkit import cli
from genkit.diagnosis.evidence import Evidence, ScoreFacts, at, smoothed, travel
from genkit.diagnosis.mode_collapse import expected
from genkit.diagnosis.rules import RULES, diagnose

STEPS = list(range(10, 1010, 10))
ADAM = {"optimizer._target_": "torch.optim.AdamW", "optimizer.lr": 1e-3, "trainer.max_steps": 1000}


def curve(f):
    return [(float(step), float(f(step / 1000))) for step in STEPS]


def cosine(rate: float):
    return curve(lambda t: rate * 0.5 * (1 + math.cos(math.pi * t)))


def falling(t: float) -> float:
    return 1 + 2 * math.exp(-12 * t)


HEALTHY = {"train/loss": curve(falling), "val/loss": curve(falling)[4::5], "lr/model": cosine(1e-3)}


def evidence(settings=None, **series):
    changed = {key.replace("__", "/"): points for key, points in series.items()}
    return Evidence(series=HEALTHY | changed, step=1000, steps=1000, settings=ADAM | (settings or {}))


def shares(*values: float, kind: str = "modes"):
    return {f"samples__{kind}__{i}": [(1000, value)] for i, value in enumerate(values)}


DUPLICATES = {"samples__duplicates": [(1000, 0.0)]}
GAN = {
    "train__discriminator__real_logits": curve(lambda t: 20 * t),
    "train__discriminator__fake_logits": curve(lambda t: -20 * t),
}
MEMORY = {"copies/share": 0.9, "copies/expected": 0.5, "copies/n": 500.0, "copies/train": 200.0, "copies/closer": 0.1}
CASES = {
    "divergence": [
        Evidence(diverged=True, step=7),
        Evidence(series=HEALTHY, broken={"val/loss": 30}, step=1000),
        evidence(train__loss=curve(lambda t: falling(t) + 30 * t**4)),
    ],
    "step size too large": [
        evidence(train__loss=[*curve(falling)[:30], (310.0, 9e7), *curve(falling)[31:]]),
        evidence(train__loss=curve(lambda t: falling(t) + 8 * math.exp(-(((t - 0.4) / 0.05) ** 2)))),
        evidence(lr__model=cosine(0.5)),
    ],
    "step size too small": [
        evidence({"optimizer.lr": 1e-7}, lr__model=cosine(1e-7), train__loss=curve(lambda t: 3 - 0.01 * t)),
        evidence(lr__model=cosine(1e-5), val__loss=curve(lambda t: 3 - 0.1 * t)[4::5]),
    ],
    "underfitting": [
        evidence(train__loss=curve(lambda t: 3 - 2 * t), val__loss=curve(lambda t: 3 - 2 * t)[4::5]),
        evidence(
            train__loss=curve(lambda t: 3 - t), val__loss=curve(lambda t: 3 - t)[4::5], lr__model=curve(lambda t: 1e-3)
        ),
    ],
    "overfitting": [evidence(val__loss=curve(lambda t: falling(t) + 2 * t**2)[4::5])],
    "mode collapse": [
        evidence({"samples.n": 512}, **shares(0.5, 0.5, *[0.0] * 6), **DUPLICATES),
        evidence({"samples.n": 512}, **shares(0.9, 0.1, *[0.0] * 8, kind="classes"), **DUPLICATES),
        evidence(samples__duplicates=[(500, 0.0), (1000, 0.7)]),
    ],
    "memorisation": [Evidence(measured=MEMORY)],
    "posterior collapse": [
        evidence(val__active_units=[(1000, 0.0)], val__kl=[(1000, 1e-5)]),
        evidence(val__kl=[(1000, 0.01)]),
    ],
    "discriminator winning": [
        evidence(train__discriminator__adversarial=curve(lambda t: 1.4 * math.exp(-10 * t)), **GAN)
    ],
    "averaging horizon": [evidence({"ema.decay": 0.9999})],
    "too few samples": [
        Evidence(scores=[ScoreFacts("fid[digits]", 3.0, (1.0, 5.0), 24, 64)]),
        Evidence(scores=[ScoreFacts("quick energy", 3.0, None, 20, None, "quick.n")]),
    ],
}
SILENT = {
    "a healthy run": evidence(),
    "nothing": Evidence(),
    "a short run": Evidence(series={"train/loss": [(1, 3.0), (2, 9.0)], "val/loss": [(2, 3.0)]}, step=2, steps=2),
    "noise": evidence(train__loss=curve(lambda t: falling(t) + 0.3 * math.sin(900 * t))),
    "a term that is weighed in": evidence(train__loss=curve(lambda t: 2 * min(1, t / 0.1) + falling(t))),
    "a steep start": evidence(train__loss=[(10.0, 5e3), *curve(falling)[1:]]),
    "a rate of zero of SGD": evidence(
        {"optimizer._target_": "torch.optim.SGD"}, lr__model=cosine(1e-7)
    ),
    "settled at a small rate": evidence(lr__model=cosine(1e-5)),
    "weights that were trained before": evidence({"start": {"ckpt": "x"}}, lr__model=cosine(1e-7)),
    "a critic": evidence(train__discriminator__adversarial=curve(lambda t: -30 * t), **GAN),
    "logits that stay near": evidence(
        train__discriminator__adversarial=curve(lambda t: 1.4 * math.exp(-10 * t)),
        train__discriminator__real_logits=curve(lambda t: t),
        train__discriminator__fake_logits=curve(lambda t: -t),
    ),
    "all modes": evidence({"samples.n": 64}, **shares(*[0.1] * 10), **DUPLICATES),
    "few samples of many modes": evidence({"samples.n": 16}, **shares(*[1 / 16] * 16, *[0.0] * 9), **DUPLICATES),
    "classes that are no longer recognised": evidence(
        samples__classes__0=[(500, 1.0)], samples__classes__1=[(500, 0.0)], samples__duplicates=[(1000, 0.0)]
    ),
    "one active latent": evidence(val__active_units=[(1000, 1.0)], val__kl=[(1000, 0.01)]),
    "no memory": Evidence(measured=MEMORY | {"copies/share": 0.56}),
    "a handful of examples": Evidence(measured=MEMORY | {"copies/share": 0.75, "copies/train": 12.0}),
    "an average of the whole run": evidence({"ema.decay": 0.999}),
    "many samples": Evidence(scores=[ScoreFacts("fid", 3.0, (2.0, 4.0), 1000, 64)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_named_with_its_numbers(name: str) -> None:
    for case in CASES[name]:
        (fault,) = [fault for fault in diagnose(case) if fault.name == name]
        assert any(letter.isdigit() for letter in fault.seen)
        assert fault.seen.endswith(".")
        assert fault.advice.endswith(".")
        assert all("=" in word for word in fault.words)


@pytest.mark.parametrize("name", SILENT)
def test_what_is_near_a_fault_is_none(name: str) -> None:
    assert diagnose(SILENT[name]) == []


MODELS = {"discriminator winning": "gan", "mode collapse": "gan"}


@pytest.mark.parametrize("name", CASES)
def test_the_words_to_type_are_words_of_train(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = dict.fromkeys(fault.words for case in CASES[name] for fault in diagnose(case) if fault.name == name)
    for typed in filter(None, words):
        argv = ["train", f"model={MODELS.get(name, 'vae')}", "data=toy", *typed, "--cfg", "job"]
        assert cli.main(argv) == 0, capsys.readouterr().err


def test_every_rule_has_a_case() -> None:
    assert len(CASES) == len(RULES)
    found = {rule for rule in RULES for cases in CASES.values() for case in cases if rule(case) is not None}
    assert found == set(RULES)


def test_the_surest_come_first() -> None:
    both = evidence({"ema.decay": 0.9999}, val__kl=[(1000, 0.01)])
    assert [fault.certainty for fault in diagnose(both)] == ["sure", "likely"]


def test_distances_travelled_and_medians() -> None:
    assert travel([(10, 1.0), (30, 0.5)]) == [(10, 10.0), (30, 20.0)]
    assert smoothed([(0, 1.0), (1, 9.0), (2, 1.0)], 3) == [(0, 5.0), (1, 1.0), (2, 5.0)]
    assert [at([(10, 1.0), (20, 2.0)], step) for step in (5, 10, 15, 99)] == [1.0, 1.0, 1.0, 2.0]


@pytest.mark.parametrize("modes", [2, 8, 25])
def test_modes_that_even_samples_reach(modes: int) -> None:
    assert expected(modes, 0) == 0
    assert expected(modes, 1) == pytest.approx(1)
    assert expected(modes, 1e6) == pytest.approx(modes)
