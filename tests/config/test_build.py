"""The builder against a module of its own: right nodes build, every wrong one gives one line with its key."""

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

import pytest
import torch

from genkit.component import Component, PositiveInt, Probability, Range
from genkit.config.build import build, build_factory, check, parameters, schema_of
from genkit.config.resolve import FOREIGN, resolve
from genkit.errors import ConfigError

HERE = __name__
SPEC = object()


class Part(Component):
    def __init__(self, size: PositiveInt = 3):
        self.size = size


class Net(Component):
    def __init__(self, width: PositiveInt, *, in_shape: tuple[int, ...], out_shape: tuple[int, ...]):
        self.width, self.in_shape, self.out_shape = width, in_shape, out_shape


class NetFactory(Protocol):
    def __call__(self, *, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Net: ...


class Whole(Component):
    def __init__(
        self,
        latent_dim: PositiveInt,
        dropout: Probability = 0.0,
        kind: Literal["a", "bb"] = "a",
        flag: bool = False,
        name: str | None = None,
        limit: PositiveInt | None = None,
        sizes: tuple[int, ...] = (),
        pair: tuple[float, float] = (0.0, 1.0),
        table: dict[str, float] | None = None,
        folder: Path | None = None,
        part: Part | None = None,
        parts: Sequence[Part] = (),
        net: NetFactory | None = None,
        maker: Callable[..., Part] | None = None,
        rate: Annotated[float, Range(0.0, 1.0, open_low=True)] = 1.0,
        *,
        spec: object,
    ):
        for key, value in list(locals().items()):
            if key != "self":
                setattr(self, key, value)


@dataclass
class Options(Component):
    steps: PositiveInt = 10
    mode: Literal["min", "max"] = "min"


class Foreign:
    """Not a Component."""


PART = {"_target_": f"{HERE}.Part"}
NET = {"_target_": f"{HERE}.Net", "width": 4}


def whole(**arguments):
    node = {"_target_": f"{HERE}.Whole", "latent_dim": 16, **arguments}
    return build(node, at="model", plugins=[HERE], spec=SPEC)


def test_arguments_arrive_as_annotated():
    made = whole(dropout=1, sizes=[1, 2], pair=[0, 2], table={"a": 1}, folder="x/y", limit=None, kind="bb")
    assert made.latent_dim == 16
    assert made.spec is SPEC
    assert isinstance(made.dropout, float)
    assert made.sizes == (1, 2)
    assert made.pair == (0.0, 2.0)
    assert made.table == {"a": 1.0}
    assert made.folder == Path("x/y")


def test_nested_objects_are_built():
    made = whole(part={**PART, "size": 7}, parts=[PART, {**PART, "size": 1}])
    assert made.part.size == 7
    assert [part.size for part in made.parts] == [3, 1]


def test_factories_are_finished_by_the_owner_and_share_nothing():
    made = whole(net=NET, maker=PART)
    first, second = (made.net(in_shape=(1,), out_shape=(2,)) for _ in range(2))
    assert (first.width, first.in_shape, first.out_shape) == (4, (1,), (2,))
    assert first is not second
    assert made.maker(size=9).size == 9


def test_dataclasses_are_components_too():
    assert build({"_target_": f"{HERE}.Options", "steps": 3}, at="o", plugins=[HERE]) == Options(steps=3)


WRONG = {
    "unknown": ({"latent_dm": 3}, "model.latent_dm", "did you mean model.latent_dim"),
    "given": ({"spec": 3}, "model.spec", "given by genkit"),
    "text for int": ({"latent_dim": "abc"}, "model.latent_dim", "'abc' is not an integer"),
    "bool for int": ({"latent_dim": True}, "model.latent_dim", "true is not an integer"),
    "float for int": ({"latent_dim": 16.0}, "model.latent_dim", "write 16"),
    "null": ({"latent_dim": None}, "model.latent_dim", "null is not an integer ≥ 1"),
    "minus one": ({"limit": -1}, "model.limit", "-1 is not an integer ≥ 1"),
    "range": ({"dropout": 1.5}, "model.dropout", "1.5 is not a finite number in [0, 1]"),
    "open range": ({"rate": 0}, "model.rate", "0 is not a finite number in (0, 1]"),
    "nan": ({"dropout": math.nan}, "model.dropout", "finite"),
    "infinity": ({"pair": [0, math.inf]}, "model.pair[1]", "finite"),
    "huge": ({"dropout": 10**400}, "model.dropout", "finite"),
    "bool for float": ({"dropout": True}, "model.dropout", "true is not a finite number"),
    "number for bool": ({"flag": 1}, "model.flag", "1 is not true or false"),
    "literal": ({"kind": "BB"}, "model.kind", "one of a, bb; did you mean bb"),
    "text": ({"name": 3}, "model.name", "3 is not text"),
    "short tuple": ({"pair": [1]}, "model.pair", "a list [a finite number, a finite number]"),
    "inside a list": ({"sizes": [1, "x"]}, "model.sizes[1]", "'x' is not an integer"),
    "inside a mapping": ({"table": {"a": "x"}}, "model.table.a", "'x' is not a finite number"),
    "no node": ({"part": 3}, "model.part", "_target_"),
    "nested range": ({"part": {**PART, "size": 0}}, "model.part.size", "0 is not an integer ≥ 1"),
    "nested in a list": ({"parts": [PART, {**PART, "sise": 1}]}, "model.parts[1].sise", "model.parts[1].size"),
    "wrong class": ({"part": {"_target_": f"{HERE}.Options"}}, "model.part", "Options is no Part"),
    "factory argument of the model": ({"net": {**NET, "in_shape": [1]}}, "model.net.in_shape", "given by genkit"),
    "factory lacks its own": ({"net": {"_target_": f"{HERE}.Net"}}, "model.net.width", "missing"),
    "factory of the wrong class": ({"net": PART}, "model.net", "Part is no Net"),
}


@pytest.mark.parametrize(("arguments", "key", "text"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line_with_its_key(arguments, key, text):
    with pytest.raises(ConfigError) as caught:
        whole(**arguments)
    line = str(caught.value)
    assert line.startswith(f"{key}:")
    assert text in line
    assert "\n" not in line


def test_missing_arguments_and_nodes_are_named():
    with pytest.raises(ConfigError, match=r"^model\.latent_dim: missing; Whole needs an integer ≥ 1"):
        build({"_target_": f"{HERE}.Whole"}, at="model", plugins=[HERE], spec=SPEC)
    with pytest.raises(ConfigError, match=r"^model: null describes no object"):
        build(None, at="model")


def test_check_constructs_nothing():
    class Loud(Part):
        def __init__(self):
            raise AssertionError

    Loud.__module__ = HERE
    globals()["Loud"] = Loud
    assert check({"_target_": f"{HERE}.Loud"}, at="x", plugins=[HERE]) is Loud


FORBIDDEN = [
    "os.system", "genkit.cli.os.system", "genkit.cli.main", "genkit.__main__.main", "genkit.errors.ConfigError",
    "genkit.models.base.GenerativeModel", "genkit.models.base.nn.Linear", "genkit.data.spec.DataSpec",
    "genkit.noise.SampleNoise", "genkit.models.nothing.X", "builtins.eval", "subprocess.Popen", "torch.load",
    "torch.optim.sys.exit", "torch.optim.lr_scheduler.LambdaLR", "lightning.pytorch.Trainer", "pathlib.Path", "os", "",
    "genkit", "genkit.models", "genkit..models.X", "genkit.data.../../x.Y", None, 3, ["os.system"],
]  # fmt: skip


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("target", FORBIDDEN, ids=str)
def test_what_no_configuration_may_name(target, trusted):
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=r"^at\._target_"):
        resolve(target, at="at", trusted=trusted)
    assert "genkit.__main__" not in set(sys.modules) - before


def test_a_checkpoint_names_components_only():
    for target in ("torch.optim.Adam", f"{HERE}.Part"):
        with pytest.raises(ConfigError, match="checkpoint"):
            check({"_target_": target}, at="x", trusted=False)
    foreign = {"_target_": f"{HERE}.Foreign"}
    assert check(foreign, at="x", expect=object, plugins=[HERE]) is Foreign
    with pytest.raises(ConfigError, match="does not derive"):
        check(foreign, at="x", expect=object, plugins=[HERE], trusted=False)


def test_a_checkpoint_holds_literals_only():
    os.environ["GENKIT_TEST_SECRET"] = "s"
    node = {"_target_": f"{HERE}.Whole", "latent_dim": 1, "table": {"a": ["${oc.env:GENKIT_TEST_SECRET}"]}}
    with pytest.raises(ConfigError, match=r"^m\.table\.a\.0: .*interpolation"):
        build(node, at="m", plugins=[HERE], trusted=False, spec=SPEC)
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(ConfigError, match="nested more than"):
        build({**node, "table": deep}, at="m", plugins=[HERE], trusted=False, spec=SPEC)


def test_optimizers_are_factories():
    weight = torch.nn.Parameter(torch.zeros(2))
    make = build_factory({"_target_": "torch.optim.AdamW", "lr": 1e-3, "betas": [0.5, 0.9]}, at="optimizer")
    optimizer = make([weight])
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.9)
    assert optimizer is not make([weight])
    with pytest.raises(ConfigError, match=r"^optimizer\.lr=-1\.0: AdamW: Invalid learning rate"):
        build_factory({"_target_": "torch.optim.AdamW", "lr": -1.0}, at="optimizer")([weight])
    with pytest.raises(ConfigError, match=r"^optimizer\.params: .*given by genkit"):
        build_factory({"_target_": "torch.optim.AdamW", "params": []}, at="optimizer")
    with pytest.raises(ConfigError, match=r"did you mean optimizer\.lr"):
        build_factory({"_target_": "torch.optim.AdamW", "lrr": 1}, at="optimizer")


@pytest.mark.parametrize(("key", "value"), [("lr", -1.0), ("betas", [0.5, 2.0]), ("eps", -1.0), ("weight_decay", -1)])
def test_what_a_foreign_class_refuses_is_named_by_its_key(key, value):
    node = {"_target_": "torch.optim.AdamW", "lr": 0.1, key: value}
    with pytest.raises(ConfigError, match=rf"^optimizer\.{key}=[^\n]*: AdamW: "):
        build_factory(node, at="optimizer")([torch.nn.Parameter(torch.zeros(2))])


@pytest.mark.parametrize("target", [name for name in FOREIGN if name.startswith("torch.")])
def test_listed_torch_classes_exist_and_can_be_read(target):
    cls = resolve(target, at="x")
    assert set(FOREIGN[target]) <= set(parameters(cls))
    schema_of(cls)
