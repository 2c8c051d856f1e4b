"""What a command line may change of a checkpoint's model."""

from functools import partial

import pytest
import torch

from genkit.assembly.restore import load_model
from genkit.assembly.sampling_changes import sorted_changes, with_changes
from genkit.checkpoint.write import write_checkpoint
from genkit.config.build import build
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, ConfigError
from genkit.models.base import GenerativeModel
from genkit.models.diffusion import Diffusion
from genkit.models.gan import gan
from genkit.models.latent_density import GaussianDensity
from genkit.noise import SampleNoise, generator_of

GAN = {"_target_": "genkit.models.gan.gan.GAN", "latent_dim": 8}


def test_a_key_that_is_younger_than_the_checkpoint_is_known_all_the_same():
    assert with_changes(GAN, {"truncation": 0.5}, gan.GAN) == {**GAN, "truncation": 0.5}


def test_what_is_null_or_empty_leaves_the_checkpoints_value():
    assert sorted_changes(gan.GAN, {"truncation": None, "sampler": {}}) == ({}, [])


def test_a_node_is_changed_in_part_and_replaced_by_one_with_a_target():
    model = {"_target_": "genkit.models.diffusion.Diffusion", "sampler": {"_target_": "a", "steps": 3, "churn": 0.0}}
    assert with_changes(model, {"sampler": {"steps": 9}}, Diffusion)["sampler"] == {
        "_target_": "a",
        "steps": 9,
        "churn": 0.0,
    }
    assert with_changes(model, {"sampler": {"_target_": "b"}}, Diffusion)["sampler"] == {"_target_": "b"}


@pytest.mark.parametrize("key", ["sampler", "temperature", "guidance.scale", "guidance.weak"])
def test_what_the_models_class_does_not_take_is_refused(key):
    refusal = rf"{key}: genkit\.models\.gan\.gan\.GAN takes no such setting: .*; it has truncation$"
    with pytest.raises(ConfigError, match=refusal):
        sorted_changes(gan.GAN, {key: 2.0})


@pytest.mark.parametrize("key", ["guidance.weak", "guidance.interval"])
def test_a_key_that_changes_nothing_alone_asks_for_the_other_one(key):
    node = {"_target_": "genkit.models.diffusion.Diffusion"}
    with pytest.raises(ConfigError, match=rf"{key}: it goes with guidance\.scale="):
        with_changes(node, sorted_changes(Diffusion, {key: [1.0, 2.0]})[0], Diffusion)
    with_own = {**node, "guidance_scale": 2.0}
    assert with_changes(with_own, {"guidance.interval": [1.0, 2.0]}, Diffusion)["guidance_interval"] == [1.0, 2.0]
    kept, [(call, given)] = sorted_changes(
        Diffusion, {"guidance.weak": "run", "guidance.scale": 2.0, "sampler": {"steps": 3}}
    )
    assert (kept, call.method, given) == ({"sampler": {"steps": 3}}, "guide", {"weak": "run", "scale": 2.0})


def test_an_autoencoder_of_a_time_when_labels_shared_one_density_samples_to_the_same_bytes(tmp_path):
    """Its file holds the buffers of a model without labels; the decoder is told the label."""
    spec = DataSpec(shape=(2,), modality="vector", num_classes=3)
    node = {
        "_target_": "genkit.models.autoencoder.autoencoder.Autoencoder",
        "latent_dim": 2,
        "backbone": {"_target_": "genkit.nn.mlp.MLP", "width": 8, "depth": 1},
        "latent_density": {"_target_": "genkit.models.latent_density.GaussianDensity"},
        "conditional": True,
    }
    model = build(node, at="model", expect=GenerativeModel, spec=spec)
    shared = GaussianDensity(latent_dim=2)
    shared.fit(torch.randn(50, 2, generator=generator_of(0, "z")))
    state = model.state_dict() | {f"latent_density.{name}": value for name, value in shared.state_dict().items()}
    config = {"schema": "genkit.config/1", "model": node, "spec": spec.to_json()}
    folder = write_checkpoint(tmp_path, 1, config=config, model=state, training_tensors={}, training={}, pointers=())
    y, noise = torch.arange(20) % 3, partial(SampleNoise, 0, range(20))
    found = load_model(folder)
    assert torch.equal(found.sample(20, y=y, noise=noise()), found.decode(shared.sample(noise()), y))


GOOD = {"shape": [4], "modality": "sequence", "value_range": None, "levels": None, "num_classes": None}
TOKENS = {"name": "categorical", "vocabulary": 5, "specials": ["eos"]}
STRANGE = {
    "another kind": {"kind": {**TOKENS, "name": "quaternion"}},
    "no kind": {"kind": []},
    "a word": {"kind": "categorical"},
    "no vocabulary": {"kind": {"name": "categorical", "specials": []}},
    "a vocabulary of words": {"kind": {**TOKENS, "vocabulary": "5"}},
    "an endless vocabulary": {"kind": {**TOKENS, "vocabulary": 2**40}},
    "numbers for specials": {"kind": {**TOKENS, "specials": [1]}},
    "too many specials": {"kind": {**TOKENS, "specials": [str(i) for i in range(1000)]}},
    "too few symbols": {"kind": {**TOKENS, "symbols": ["a"]}},
    "an empty range": {"value_range": [1.0, 1.0]},
    "a range of words": {"value_range": ["a", "b"]},
    "levels of words": {"value_range": [0.0, 1.0], "levels": "17"},
    "too few names": {"names": ["age"]},
    "names that are none": {"names": [1, 2, 3, 4]},
    "no shape": {"shape": []},
    "another modality": {"modality": "smell"},
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_strangers_specification_of_data_is_refused_in_one_line(case, tmp_path):
    config = {"schema": "genkit.config/1", "model": GAN, "spec": GOOD | STRANGE[case]}
    folder = write_checkpoint(tmp_path, 1, config=config, model={}, training_tensors={}, training={}, pointers=())
    with pytest.raises(CheckpointError, match="lacks a model or a data spec: not genkit's"):
        load_model(folder)
