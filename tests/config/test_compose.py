"""What the primary configurations compose to: who wins over whom, and the forms that a value can take."""

from pathlib import Path

import pytest


@pytest.fixture
def train(genkit):
    def compose(*words):
        code, (config,), _ = genkit("train", *words)
        assert code == 0
        return config

    return compose


@pytest.fixture
def evaluate(genkit):
    def compose(*words):
        code, (config,), _ = genkit("eval", "samples=.", *words)
        assert code == 0
        return config

    return compose


def test_a_model_sets_what_suits_it_over_the_optimizers_own_values(train):
    assert train()["optimizer"] == {"_target_": "o.AdamW", "lr": 5e-4, "weight_decay": 0.01}
    assert train("model=gan")["optimizer"] == {"_target_": "o.Adam", "lr": 7e-4, "betas": [0.9, 0.999]}
    assert train("model=gan")["ema"]["decay"] == 0.5


def test_a_plain_model_leaves_everything_else_alone(train):
    config = train("model=plain")
    assert config["model"] == {"_target_": "m.P", "backbone": None}
    assert config["optimizer"]["lr"] == 0.2


def test_the_command_line_wins_over_the_model(train):
    assert train("model=gan", "optimizer=sgd", "optimizer.lr=3")["optimizer"] == {
        "_target_": "o.SGD",
        "lr": 3,
        "momentum": 0.9,
    }
    assert train("model=gan", "ema=null")["ema"] is None


def test_an_experiment_wins_over_the_model_and_the_keys_of_train(train):
    config = train("experiment=fast")
    assert (config["seed"], config["optimizer"]["lr"], config["optimizer"]["_target_"]) == (7, 9e-4, "o.Adam")
    assert config["model"]["backbone"] == {"_target_": "b.UNet", "width": 32}
    assert train("experiment=fast", "seed=1", "model=diffusion")["model"]["_target_"] == "m.D"


def test_a_chosen_backbone_reaches_the_model(train):
    assert train()["model"]["backbone"] is None
    assert train("backbone=unet", "backbone.width=4")["model"]["backbone"]["width"] == 4


def test_phases_have_their_own_rates(train):
    assert train("optimizer_overrides.generator.lr=1e-4")["optimizer_overrides"] == {"generator": {"lr": 1e-4}}


@pytest.mark.parametrize("form", ["[fid,kid]", "suite/image", "[suite/image]", "[suite/image,kid]"])
def test_metrics_are_a_list_or_a_suite(evaluate, form):
    assert set(evaluate(f"metric={form}")["metric"]) == {"fid", "kid"}


def test_one_metric_or_none(evaluate):
    assert evaluate()["metric"] is None
    assert evaluate("metric=fid")["metric"] == {"fid": {"_target_": "m.FID"}}
    assert evaluate("metric=[fid,kid]", "metric.kid.degree=2")["metric"]["kid"]["degree"] == 2


def test_placeholders_are_there_to_be_set_and_vanish_under_an_option(evaluate):
    Path("x").touch()  # a path that is not there is refused
    assert evaluate()["sampler"] == {"steps": None}
    assert evaluate("sampler.steps=4", "data.root=x")["sampler"] == {"steps": 4}
    assert evaluate("data.root=x")["data"] == {"root": "x"}
    assert evaluate("sampler=heun", "sampler.steps=4")["sampler"] == {"_target_": "s.Heun", "steps": 4, "churn": 0.0}
    assert evaluate("sampler=once", "data=digits")["sampler"] == {"_target_": "s.Once"}
    assert evaluate("data=digits")["data"] == {"_target_": "d.Digits", "batch_size": 8}


def test_guidance_and_temperature(evaluate):
    config = evaluate("guidance.scale=2", "temperature=0.7")
    assert (config["guidance"], config["temperature"]) == ({"scale": 2, "interval": None, "weak": None}, 0.7)
