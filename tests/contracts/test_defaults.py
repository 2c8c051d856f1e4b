"""A default stands once: the YAML of a class says what its constructor says, unless it is a preset that differs.

YAMLs list every key, so that help, completion and key checks work before anything is imported. What they list for the
default form of a class is held here to the constructor's own values, at every depth.
"""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

import genkit
from genkit.component import Component
from genkit.config.build import parameters
from genkit.config.hydra.catalog import DRAWING, Catalog
from genkit.config.hydra.words import Words
from genkit.config.resolve import resolve

CATALOG = Catalog.of(Words())
PRIMARY = ("train", *DRAWING)
# class -> the option with its defaults, where several options are of that class; None: every option is a preset
SEVERAL = {
    "Autoregressive": "gpt", "ClassifierFeatures": "digits", "DPMSolverSampler": "dpm_solver", "EBM": "ebm",
    "Flow": "flow",
    "ImageGAN": None,
    "NetworkPrior": None,
    "VectorFlow": None,
}  # fmt: skip
PACKAGE = Path(genkit.__file__).parent
NEUTRAL = (0, 1, -1)  # no scale, no share, no draw: says nothing that could be decided otherwise elsewhere
# argument -> constructors of one room whose numbers are equal for reasons of their own
COINCIDE: Mapping[str, Set[str]] = {
    "bins": {"RationalQuadratic", "SplinePyramid"},  # on [-4, 4] of latents; on [0, 1] of pixels
    "depth": {
        "BidirectionalTransformer",
        "CausalPatches",
        "CausalTransformer",
        "DiT",
        "GPT",
        "MADE",
        "MLP",
        "PixelCNN",
        "PixelRNN",
        "RNADE",
        "ResidualConv",
        "SplinePyramid",
        "TransformerPrior",
    },  # blocks of different networks
    "elbo_draws": {"MaskedDiffusion", "VAE"},  # draws of hidden places; draws of a latent
    "features": {"GAN", "TransformerPrior"},
    "hidden_channels": {"ImageFlow", "SplinePyramid"},
    "steps": {
        "AncestralSampler",
        "CausalPatches",
        "DDIMSampler",
        "EulerMaruyamaSampler",
        "EulerSampler",
        "HybridDenoising",
        "ImageFlow",
    },  # of samplers; of layers
    "width": {"DiT", "MLP"},
}


def load_yaml(file) -> dict[str, Any]:
    """Values as Hydra reads them, in which 1e-3 is a number."""
    return OmegaConf.to_container(OmegaConf.load(file), resolve=False)


def own_nodes() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(group, option, node) of every option that describes an object of genkit, models included."""
    for group in sorted(CATALOG.groups):
        for option, file in CATALOG.options(group).items():
            value = load_yaml(file)
            for node in (value, *value.values()):  # a metric's file and a model's hold their node below a key
                if group != "experiment" and isinstance(node, dict) and node.get("_target_", "").startswith("genkit."):
                    yield group, option, node


def default_forms() -> dict[str, Mapping[str, Any]]:
    """Place -> node that must say what the constructor says."""
    by_class = defaultdict(list)
    for group, option, node in own_nodes():
        by_class[resolve(node["_target_"], at=option).__name__].append((group, option, node))
    assert {name for name, found in by_class.items() if len(found) > 1} <= SEVERAL.keys(), "name the default form"
    chosen = {
        f"{group}={option}": node
        for name, found in by_class.items()
        for group, option, node in found
        if SEVERAL.get(name, option) == option
    }
    for verb in PRIMARY:
        own = CATALOG.own_keys(verb)
        chosen |= {f"{verb}: {key}": node for key, node in own.items() if isinstance(node, dict) and "_target_" in node}
    return chosen


def drift(node: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The arguments of a node, at any depth, that its constructor has other defaults for."""
    known = parameters(resolve(node["_target_"], at=at))
    for key, value in node.items():
        place = f"{at}.{key}".lstrip(".")
        if key == "_target_" or (isinstance(value, str) and ("${" in value or value == "???")):
            continue
        default = known[key].default
        items = value if isinstance(value, list) else [value]
        objects = [item for item in items if isinstance(item, dict) and "_target_" in item]
        if objects:
            yield from (line for item in objects for line in drift(item, place))
            kinds = [type(item) for item in (default if isinstance(default, tuple) else [default])]
            if any(issubclass(kind, Component) for kind in kinds):
                named = [resolve(item["_target_"], at=place) for item in objects]
                yield from () if kinds == named else [f"{place}: {named}, by default {kinds}"]
        elif default is not inspect.Parameter.empty and value != (list(default) if type(default) is tuple else default):
            yield f"{place}: {value}, by default {default}"


def test_the_default_form_of_a_class_says_what_its_constructor_says(subtests):
    for place, node in default_forms().items():
        with subtests.test(place):
            assert list(drift(node)) == []


def test_drift_is_seen_at_any_depth():
    penalty = {"_target_": "genkit.models.gan.gradient_penalty.R1", "gamma": 9.0}
    node = {"_target_": "genkit.models.gan.gan.GAN", "latent_dim": 7, "penalties": [penalty]}
    lines = list(drift(node))
    assert [line.partition(":")[0] for line in lines] == ["latent_dim", "penalties.gamma", "penalties"]


def test_a_file_that_others_begin_from_is_no_option(tmp_path):
    for name in ("_base", "own"):
        (tmp_path / "experiment").mkdir(exist_ok=True)
        (tmp_path / "experiment" / f"{name}.yaml").write_text("seed: 1\n")
    options = Catalog.of(Words(flags={"--config-dir": str(tmp_path)})).options("experiment")
    assert "own" in options
    assert not [name for name in options if name.startswith("_")]


def literal(default: ast.expr) -> object:
    """What is written, None where a name stands in it."""
    try:
        return ast.literal_eval(default)
    except ValueError:
        return None


def written_defaults(init: ast.FunctionDef) -> Iterator[tuple[str, object]]:
    """Argument and default, where that is written as a literal."""
    arguments = init.args
    late = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [(late, arguments.defaults), (arguments.kwonlyargs, arguments.kw_defaults)]
    for argument, default in (pair for names, values in pairs for pair in zip(names, values, strict=True)):
        if default is not None:
            yield argument.arg, literal(default)


def constructor_numbers(room: Path) -> dict[tuple[str, object], list[str]]:
    """(argument, number written as its default) -> the constructors of a room that write it."""
    found = defaultdict(list)
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(room.rglob("*.py"))]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    for cls in classes:
        for init in (node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"):
            for argument, value in written_defaults(init):
                if type(value) in (int, float, tuple) and value not in (*NEUTRAL, ()):
                    found[argument, value].append(cls.name)
    return found


def test_a_number_of_several_constructors_is_one_constant(subtests):
    for room in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        for (argument, value), classes in constructor_numbers(room).items():
            with subtests.test(f"{room.name}: {argument}"):
                once = len(classes) == 1 or COINCIDE.get(argument, set()) >= set(classes)
                assert once, f"{argument} = {value} in {classes}: name it once"
