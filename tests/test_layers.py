"""Imports go down the list of layers only, read from the source with `ast`: a forbidden import needs no execution."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "genkit"
LAYERS = [
    "cli",
    "api",
    "commands",
    "assembly",
    "config",
    "training",
    "loggers",
    "checkpoint",
    "judging",
    "report",
    "diagnosis",
    "evaluation",
    "features",
    "metrics",
    "models",
    "inverse",
    "translation",
    "diffusion",
    "flows",
    "coding",
    "data",
    "nn",
    "web",
    "storage",
]
BOTTOM = {
    "distributions",
    "noise",
    "batch_noise",
    "ranks",
    "environment",
    "component",
    "errors",
    "printing",
    "progress",
    "signals",
    "stopwatch",
    "tensor_cores",
    "terminal",
    "upgrade",
}  # and genkit itself
FRAMEWORKS = {"lightning", "hydra", "omegaconf", "lightning_fabric", "pytorch_lightning"}
ALLOWED = {
    "api": {"omegaconf"},
    "commands": FRAMEWORKS,
    "assembly": FRAMEWORKS,
    "config": {"hydra", "omegaconf"},
    "training": {"lightning"},
}
FORBIDDEN_ANYWHERE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "torchvision"}
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def imports(file: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, except for type checkers only."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            found.add(node.module)
            if node.module == "genkit":
                found |= {f"genkit.{alias.name}" for alias in node.names}
    return found


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else "genkit"


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)


def test_imports_go_down(subtests):
    for file in FILES:
        own = layer(name_of(file))
        if own in ("__init__", "__main__"):
            continue  # the package itself and its entry stand above every layer
        lower = BOTTOM | {"genkit", "__version__"} | set(LAYERS[LAYERS.index(own) :] if own in LAYERS else ())
        with subtests.test(name_of(file)):
            assert not {
                name for name in imports(file) if name.partition(".")[0] == "genkit" and layer(name) not in lower
            }


def test_frameworks_stay_in_their_layers(subtests):
    for file in FILES:
        roots = {module.partition(".")[0] for module in imports(file)}
        with subtests.test(name_of(file)):
            assert not (roots & FRAMEWORKS) - ALLOWED.get(layer(name_of(file)), set())
            assert not roots & FORBIDDEN_ANYWHERE


def test_the_entry_point_is_standard_library():
    tree = ast.parse((PACKAGE / "cli.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in top if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
def test_sampling_and_scoring_import_no_lightning(verb):
    """Followed through every import of genkit's own modules, inside functions too."""
    seen, queue = set(), [f"genkit.commands.{verb}"]
    while queue:
        module = queue.pop()
        file = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
        if module in seen or not file.is_file():
            continue
        seen.add(module)
        found = imports(file)
        assert "lightning" not in {name.partition(".")[0] for name in found}, module
        queue += [name for name in found if name.startswith("genkit.")]


def test_nothing_pays_for_matplotlib_before_it_draws(subtests):
    """It is imported by what draws with it, itself or by way of a module of `report`, and that where it draws."""
    tops = {
        name_of(path): {
            node.module for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)
        }
        for path in FILES
    }
    report = {name_of(path) for path in (PACKAGE / "report").glob("*.py")}
    drawing = {name for name, top in tops.items() if any(str(module).startswith("matplotlib") for module in top)}
    assert drawing <= report
    while more := {name for name in report - drawing if tops[name] & drawing}:
        drawing |= more
    for name in tops.keys() - drawing:
        with subtests.test(name):
            assert not drawing & tops[name]


def test_no_public_class_name_stands_for_two_things():
    """A name that a reader meets twice, in an import or a configuration, is one class."""
    homes: dict[str, list[str]] = {}
    for file in FILES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name_of(file))
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_no_two_test_files_share_a_name():
    """Pytest imports them by their names alone, and collects nothing where two are alike."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
