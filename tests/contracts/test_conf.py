"""Every YAML under conf/: its targets resolve, its keys are the constructor's own, and it composes.

A new YAML is tested by standing there.
"""

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from model_contract import composed_with
from omegaconf import OmegaConf

from genkit.commands.list import promised
from genkit.config.build import build_factory, check, parameters, schema_of
from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import DRAWING, Catalog, conf_dir
from genkit.config.hydra.quicker import quicker
from genkit.config.hydra.words import Words
from genkit.config.resolve import FOREIGN, resolve
from genkit.errors import ConfigError
from genkit.nn.backbone import Backbone

CONF = conf_dir()
FILES = sorted(CONF.rglob("*.yaml"))
CATALOG = Catalog.of(Words())
GIVEN = {"spec"}  # what build passes; a backbone's shapes come from the model
SHAPES = {"in_shape", "out_shape", "num_classes", "time"}


@cache
def load_yaml(file: Path) -> Any:
    """As Hydra reads it: 1e-3 is a number, where YAML 1.1 says text."""
    with quicker():
        return OmegaConf.to_container(OmegaConf.load(file), resolve=False)


def nodes(value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping with a `_target_`, with its place."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield at, value
        for key, item in value.items():
            yield from nodes(item, f"{at}.{key}" if at else str(key))


def given_to(cls: type, target: str) -> set[str]:
    return set(FOREIGN.get(target, ())) | GIVEN | (SHAPES if issubclass(cls, Backbone) else set())


def name_of(file: Path) -> str:
    return file.relative_to(CONF).as_posix()


def test_a_target_resolves_and_its_keys_are_the_constructors(subtests):
    for file, at, node in [(path, at, node) for path in FILES for at, node in nodes(load_yaml(path))]:
        with subtests.test(f"{name_of(file)}: {at}"):
            cls = resolve(node["_target_"], at=at or file.stem)
            known, keys = parameters(cls), node.keys() - {"_target_"}
            own = known.keys() - given_to(cls, node["_target_"])
            assert keys <= own
            # what the owner of a factory gives (a sampler's denoiser) has no default and stands in no YAML
            left_out = {name for name in own - keys if known[name].default is not inspect.Parameter.empty}
            assert not left_out, "every argument must be there to be overridden"
            if cls.__module__.startswith("genkit."):
                assert own <= schema_of(cls).keys(), "an argument without annotation cannot be checked"


def choices() -> Iterator[tuple[str, dict[str, str]]]:
    """(verb, group -> option) until every option of every group has been chosen, and one of each group of each verb.

    The options of different groups are chosen in one command line, since none changes what another one is; experiments
    and the models of a training, which do, are chosen alone, further below.
    """
    chosen: set[str] = set()
    for verb in ("train", *DRAWING):
        groups = [group for group in CATALOG.defaults(verb) if (verb, group) != ("train", "model")]
        left = {group: list(CATALOG.options(group))[: 1 if group in chosen else None] for group in groups}
        chosen |= left.keys()
        if "metric" in left:  # several may be chosen
            left["metric"] = [f"[{','.join(CATALOG.options('metric'))}]"]
        left.pop("experiment", None)
        while any(left.values()):
            yield verb, {group: options.pop() for group, options in left.items() if options}


def test_every_option_composes(subtests):
    for verb, chosen in choices():
        with subtests.test(f"{verb} {chosen}"):
            config = composed(verb, [f"{group}={option}" for group, option in chosen.items()])
            assert all(config[group] for group in chosen)
            if "metric" in chosen:
                assert {name for name in CATALOG.options("metric") if "/" not in name} <= config["metric"].keys()


@pytest.mark.slow
def test_what_an_experiment_promises_was_reached_by_what_it_does(subtests):
    for name, file in CATALOG.options("experiment").items():
        with subtests.test(name):
            config = composed("train", [f"experiment={name}"])
            steps, batch = config["trainer"]["max_steps"], config["data"]["batch_size"]
            assert promised(file).startswith(f"{steps:,} steps of {batch}, ")


@pytest.mark.slow
def test_a_models_values_suit_the_optimizer_it_chose(subtests):
    for model in CATALOG.options("model"):
        with subtests.test(model):
            config = composed_with(model)
            assert config["model"]
            check(config["optimizer"], at="optimizer", expect=object)
            weight = torch.nn.Parameter(torch.zeros(2, 2))
            build_factory(config["optimizer"], at="optimizer")([weight])  # a range that its class alone knows


def test_values_pass_their_own_schema(subtests):
    for file in (file for file in FILES if file.parent != CONF):
        group = file.relative_to(CONF).parts[0]
        for at, node in nodes(load_yaml(file)):
            with subtests.test(f"{name_of(file)}: {at}"):
                check(without_references(node), at=at or group, expect=object, gives=None)


def without_references(value: Any) -> Any:
    """A node without the keys that another key or the user fills in, at any depth."""
    if not isinstance(value, dict):
        return value
    filled_in = {k for k, v in value.items() if isinstance(v, str) and ("${" in v or v == "???")}
    return {k: without_references(v) for k, v in value.items() if k not in filled_in}


def test_the_schema_test_can_fail():
    with pytest.raises(ConfigError):
        check({"_target_": "torch.optim.SGD", "lr": "fast"}, at="optimizer", expect=object)
