"""Tables, links and names on the pages against the code and the configuration."""

import builtins
import importlib
import importlib.util
import inspect
import json
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pages import FENCE, FILE, PAGES, ROOT, name_of, table, ticked
from script import script_named

from genkit.assembly.resume_checks import BUDGET, FREE, MAX_STEPS
from genkit.checkpoint.manifest import CONTENT, MANIFEST, Manifest
from genkit.cli import VERBS
from genkit.component import Component
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.words import Words
from genkit.config.resolve import resolve

DOCS = ROOT / "docs"
CATALOG = Catalog.of(Words())
FAMILIES = sorted((DOCS / "families").glob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NAMED = re.compile(r"`((?:genkit|conf|tests|scripts|docs|\.ci)/[\w./-]*)`")


def load_yaml(path):
    """As Hydra reads it, in which 1e-3 is a number."""
    return OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")), resolve=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_paths_lead_somewhere(page):
    text = FILE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        picture = target.startswith("docs/images/") and not any((DOCS / "images").glob("*"))
        assert "://" in target or picture or (page.parent / target).exists(), target
    for path in NAMED.findall(text):
        assert (ROOT / path).exists() or path.endswith("/mixture.py") or path.endswith("/mixture.yaml"), path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_classes_and_functions_exist(page):
    text = FILE.sub("", page.read_text(encoding="utf-8"))
    for dotted in set(re.findall(r"\bgenkit(?:\.\w+)+\.\w+", text)):
        module, _, name = dotted.rpartition(".")
        found = "mixture" in dotted or name in vars(importlib.import_module(module))
        assert found or importlib.util.find_spec(dotted), dotted  # a name in a module, or a module itself


def test_names_in_capitals_are_those_of_the_code():
    """What a page calls `DataSpec` is a class of genkit; an earlier name of it would stand for nothing."""
    source = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "genkit").rglob("*.py"))
    known = set(
        re.findall(r"^class (\w+)|^(?:type )?(\w+)\b.* = ", source, re.MULTILINE)
    )  # `Batch` is a name of a type
    known = {name for pair in known for name in pair} | vars(builtins).keys()
    for page in PAGES:
        text = FENCE.sub("", FILE.sub("", page.read_text(encoding="utf-8")))
        said = set(re.findall(r"`([A-Z][A-Za-z]*[a-z][A-Za-z]*)(?:\([^`]*\))?`", text))
        assert said <= known, f"{name_of(page)}: {said - known}"


def test_the_families_and_the_data_of_the_readme():
    page = ROOT / "README.md"
    linked = [LINK.findall(row[0])[0] for row in table(page, "family")]
    assert sorted(linked) == [name_of(family) for family in FAMILIES]
    described = [ticked(row[0])[0] for row in table(DOCS / "data.md", "data", "what it is")]
    assert sorted(described) == sorted(CATALOG.options("data"))
    text = page.read_text(encoding="utf-8")
    assert f"{len(CATALOG.options('model'))} models" in text
    assert f"{len(CATALOG.options('experiment'))} complete configurations" in text


def test_the_readme_names_every_command():
    assert {name for row in table(ROOT / "README.md", "to", "commands") for name in ticked(row[1])} == {*VERBS, "help"}


def test_the_table_of_uses_is_what_the_classes_can():
    from genkit.assembly.uses import markdown

    assert f"\n\n{markdown()}\n\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_of_experiments_is_what_their_files_say():
    file = ROOT / "scripts" / "experiments.py"
    script = script_named("experiments")
    assert script.PAGE.read_text(encoding="utf-8") == script.render(), f"run {file.relative_to(ROOT)}"
    named = {ticked(line)[0] for line in script.render().splitlines() if line.startswith("| `")}
    assert named == set(CATALOG.options("experiment"))


def test_tables_of_feature_spaces_and_samplers_are_complete():
    assert {ticked(row[0])[0] for row in table(DOCS / "evaluation.md", "features")} == set(CATALOG.options("features"))
    tables = ("diffusion", "order"), ("ebm", "error")
    samplers = [
        name
        for page, column in tables
        for row in table(DOCS / "families" / f"{page}.md", "sampler", column)
        for name in ticked(row[0])
    ]
    assert sorted(samplers) == sorted(CATALOG.options("sampler"))


def test_terms_of_the_glossary_stand_in_order():
    terms = [row[0].split(",")[0].lower() for row in table(DOCS / "glossary.md", "term")]
    assert terms == sorted(terms)
    assert {"floor", "coverage", "ema", "phase", "levels", "features", "stored values"} <= set(terms)


def members_of(page: Path) -> list[str]:
    """The models of a family's page: its own, and those of its table of members."""
    members = table(page, "member") if "| member |" in page.read_text(encoding="utf-8") else []
    return [page.stem, *(ticked(row[0])[0] for row in members)]


def test_every_model_stands_on_one_page():
    named = [name for page in FAMILIES for name in members_of(page)]
    assert sorted(named) == sorted(CATALOG.options("model"))


def defaults_of(model: str) -> dict:
    """Key to default of everything that a model's YAML says: choices of groups, then values."""
    node = load_yaml(CATALOG.options("model")[model])
    chosen = {
        key.removeprefix("override /"): value for entry in node.pop("defaults", []) for key, value in entry.items()
    }
    found = dict(chosen)

    def walk(value, at):
        if isinstance(value, dict):
            if "_target_" in value and at != "model":
                found[at] = value["_target_"].rpartition(".")[2]
            for key, item in value.items():
                if key != "_target_":
                    walk(item, f"{at}.{key}" if at else key)
        elif isinstance(value, str) and value.startswith("${"):
            found.setdefault(value[2:-1], None)
        else:
            found[at] = value

    walk(node, "")
    return found


@pytest.mark.parametrize("page", FAMILIES, ids=lambda page: page.stem)
def test_the_keys_of_a_family_and_their_defaults(page):
    said = {}
    for key, default, _ in table(page, "key", "default"):
        (name,), (text,) = ticked(key), ticked(default)
        said[name] = OmegaConf.to_container(OmegaConf.create(f"value: {text}"))["value"]
    assert said == defaults_of(page.stem)


def test_layers_are_those_that_the_imports_obey():
    rows = [ticked(row[0])[0] for row in table(DOCS / "architecture.md", "layer")]
    source = (ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8")
    assert rows == re.findall(r'"(\w+)"', source.partition("LAYERS = [")[2].partition("]")[0])
    packages = {path.parent.name for path in (ROOT / "genkit").glob("*/__init__.py")}
    assert packages == set(rows) - {"cli", "api"}  # which are files


def test_contracts_stand_in_the_files_beside_them():
    for names, where, _ in table(DOCS / "architecture.md", "contract"):
        places = [ROOT / place for place in ticked(where)]
        found = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
        source = "\n".join(file.read_text(encoding="utf-8") for file in found)
        for name in ticked(names):
            defined = re.search(rf"^(?:class |def ){name}\b|^{name}\b.* = ", source, re.MULTILINE)
            assert defined or not places, f"{name} in {where}"


def test_what_to_derive_from_and_what_to_write():
    for thing, base, write, _ in table(DOCS / "extending.md", "to add"):
        module, _, name = ticked(base)[0].rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        assert issubclass(cls, Component), thing
        if inspect.isabstract(cls):
            assert set(ticked(write)) == cls.__abstractmethods__, thing
        else:
            assert all(callable(getattr(cls, method)) for method in ticked(write)), thing


def test_metrics_and_which_way_they_go():
    rows = {ticked(row[0])[0]: row[1:] for row in table(DOCS / "evaluation.md", "metric")}
    assert sorted(rows) == [name for name in CATALOG.options("metric") if "/" not in name]
    for name, (arrow, compares, _) in rows.items():
        cls = resolve(load_yaml(CATALOG.options("metric")[name])["_target_"], at=name)
        assert arrow == ("→" if cls.best_at_floor else "↑" if cls.higher_is_better else "↓"), name
        needs = {"samples": "fake", "likelihood": "log_prob", "reconstruction": "reconstruction"}[compares]
        assert needs in cls.requires, name


def test_the_protocol_of_the_datasets():
    from genkit.data.sources.digits import Digits
    from genkit.data.sources.toy import Toy

    rows = {row[0]: " | ".join(row[1:]) for row in table(DOCS / "evaluation.md", "data")}
    digits, toy = Digits(), Toy()
    for data, numbers in {
        "`digits`": (digits.eval_n, len(digits.split("test")), len(digits.everything)),
        "`toy`": (toy.eval_n, len(toy.split("test"))),
    }.items():
        assert all(f"{number:,}" in rows[data] for number in numbers)
    repeats = load_yaml(CATALOG.primary_file("eval"))["floor_repeats"]
    assert all(f"| {repeats} " in row for data, row in rows.items() if data != "a file")


def test_the_files_of_a_checkpoint_and_its_manifest():
    page = DOCS / "checkpoint.md"
    rows = {ticked(name)[0]: exported for name, _, exported in table(page, "file of a checkpoint")}
    assert rows.keys() == CONTENT["checkpoint"] | {MANIFEST}
    assert {name for name, exported in rows.items() if exported == "yes"} == CONTENT["export"]
    keys = [ticked(row[0])[0] for row in table(page, "key")]
    assert sorted(keys) == sorted(json.loads(Manifest("checkpoint", 1, {}).render()))


def test_what_a_resumed_run_may_change():
    text = (DOCS / "checkpoint.md").read_text(encoding="utf-8").partition("Free are")[2].partition("Anything else")[0]
    said = {name.removesuffix(".*") for name in ticked(text.replace("\n", " "))}
    assert said == {*FREE, MAX_STEPS, BUDGET}


def test_the_exit_codes_of_errors():
    from genkit import errors

    said = {int(ticked(code)[0]) for code, _ in table(DOCS / "reliability.md", "code")}
    classes = [cls for cls in vars(errors).values() if inspect.isclass(cls)]
    assert said == {0, 130, 141, 143} | {cls.exit_code for cls in classes}


def test_the_fault_scripts_are_those_of_the_page():
    said = {ticked(name)[0] for name, _ in table(DOCS / "reliability.md", "script")}
    found = {path.name for path in (ROOT / "scripts" / "faults").glob("*.py")} - {"faults.py"}
    assert said == found


def test_every_fault_has_a_test_that_exists():
    for _, name in table(DOCS / "reliability.md", "what goes wrong"):
        path, _, function = ticked(name)[0].partition("::")
        assert f"\ndef {function}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), name
