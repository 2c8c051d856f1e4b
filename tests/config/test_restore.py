"""What a command line may change of a checkpoint's model."""

import pytest

from genkit.config.restore import changed
from genkit.errors import ConfigError

GAN = {"_target_": "genkit.models.gan.GAN", "latent_dim": 8}


def test_a_key_that_is_younger_than_the_checkpoint_is_known_all_the_same():
    assert changed(GAN, {"truncation": 0.5}) == {**GAN, "truncation": 0.5}


def test_what_is_null_or_empty_leaves_the_checkpoints_value():
    assert changed({**GAN, "truncation": 0.7}, {"truncation": None, "sampler": {}}) == {**GAN, "truncation": 0.7}


def test_a_node_is_changed_in_part_and_replaced_by_one_with_a_target():
    model = {"_target_": "genkit.models.diffusion.Diffusion", "sampler": {"_target_": "a", "steps": 3, "churn": 0.0}}
    assert changed(model, {"sampler": {"steps": 9}})["sampler"] == {"_target_": "a", "steps": 9, "churn": 0.0}
    assert changed(model, {"sampler": {"_target_": "b"}})["sampler"] == {"_target_": "b"}


@pytest.mark.parametrize("key", ["sampler", "temperature", "guidance.scale"])
def test_what_the_models_class_does_not_take_is_refused(key):
    with pytest.raises(ConfigError, match=rf"{key}: genkit\.models\.gan\.GAN has none"):
        changed(GAN, {key: 2.0})
