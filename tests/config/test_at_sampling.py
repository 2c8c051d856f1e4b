"""What a model may be told when it samples is declared once, by its class; the verbs and their YAML follow."""

import re
import sys
from typing import Annotated

import pytest

from genkit import cli
from genkit.assembly.nested_models import models_in
from genkit.component import AtSampling, Range
from genkit.config.hydra.catalog import DRAWING, PACKAGE, Catalog
from genkit.config.hydra.completion import candidates
from genkit.config.hydra.help import sections
from genkit.config.hydra.paths import holds_path
from genkit.config.hydra.synonyms import TERMS
from genkit.config.hydra.words import Words
from genkit.config.resolve import resolve
from genkit.config.sampling_arguments import (
    calls_of,
    declared,
    declared_by,
    help_of,
    nested_models,
    sweeps,
    trained_models,
)
from genkit.models.base import GenerativeModel

CATALOG = Catalog.of(Words())
MODULE = '''
from __future__ import annotations

from typing import Annotated, Optional

from genkit.component import AtSampling, Component, Range
from genkit.models.base import GenerativeModel, ModelFactory

TopK = Annotated[int, Range(1, 9), AtSampling("of the likeliest values: a few")]


class Own(GenerativeModel):
    """A model of somebody's own."""

    def __init__(self, *, spec, keep_k: TopK = 3, teacher: Optional[ModelFactory] = None): ...

    def losses(self, batch, phase): ...

    def draw(self, n, *, y=None, noise): ...

    def lean(
        self,
        critic: Annotated[GenerativeModel, AtSampling("a checkpoint", key="lean.critic", needs="lean.by=2")],
        by: Annotated[float, Range(0.0, 5.0), AtSampling("how far", key="lean.by")],
    ): ...
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> str:
    (tmp_path / "sampling_of_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "sampling_of_test"
    sys.modules.pop("sampling_of_test", None)


def models() -> list[type]:
    """Every class of a model that a YAML of genkit names."""
    from test_precheck import targets

    classes = [resolve(target, at="x") for target in targets() if target.startswith("genkit.models.")]
    return [cls for cls in classes if issubclass(cls, GenerativeModel)]


def test_the_source_says_what_the_classes_say():
    calls = [call for cls in models() for call in calls_of(cls)]
    keys = {key for cls in models() for key in declared_by(cls)} | {key for call in calls for key in call.arguments}
    assert keys == declared().keys() >= {"sampler", "temperature", "truncation", "guidance.scale", "guidance.weak"}
    assert {name for cls in models() for name in models_in({"_target_": f"{cls.__module__}.{cls.__name__}"})} == (
        nested_models()
    )


@pytest.mark.parametrize("verb", DRAWING)
def test_the_yaml_of_a_verb_has_the_declared_keys_with_their_help(verb):
    told = dict(pair for section in sections(CATALOG.primary_file(verb).read_text()) for pair in section.keys)
    for key, marks in declared().items():
        assert told[f"{key}=null" if f"{key}=null" in told else f"{key}.…"] == help_of(marks), key
    swept = {key.partition("=")[0].removeprefix("sweep.") for key in told if re.match(r"sweep\..*=", key)}
    assert swept - {"jobs"} == (sweeps(declared()).keys() if verb == "eval" else set())


def test_no_verb_and_no_setting_knows_a_word_of_a_family():
    files = [file for part in ("commands", "config") for file in (PACKAGE / part).rglob("*.py")]
    words = re.compile(r"temperature|truncation|guidance|keep_k|langevin")
    strings = re.compile(r'^\s*"""|^[^"]*$')  # examples in docstrings are none
    found = [
        (file.name, line)
        for file in files
        if file.name != "synonyms.py"  # what other tools call things, checked against what there is
        for line in re.sub(r'""".*?"""', "", file.read_text(), flags=re.DOTALL).splitlines()
        if words.search(line) and not strings.match(line)
    ]
    assert not found


def test_other_tools_words_lead_to_declared_keys():
    keys = {*declared(), *sweeps(declared())}
    tops = {key.partition(".")[0] for key in keys}
    meant = [term.key for verb in DRAWING for term in TERMS[verb].values() if term.key.partition(".")[0] in tops]
    assert meant
    assert set(meant) <= keys


def test_a_plugins_key_is_one_of_the_verbs(plugin, capsys):
    named = f"plugins=[{plugin}]"
    assert cli.main(["sample", named, "--help"]) == 0
    assert re.search(r"keep_k=null +of the likeliest values: a few", capsys.readouterr().out)
    for verb, words, reason in (
        ("sample", "keep_k=0", "keep_k: 0 is not an integer in [1, 9]"),
        ("sample", "lean.by=9", "lean.by: 9 is not a finite number in [0, 5]"),
        ("sample", "lean.critic=nowhere lean.by=2", "nowhere: no such folder"),
        ("sample", "kepe_k=4", f"did you mean keep_k? try: genkit sample {named} ckpt=. keep_k=4"),
        ("eval", "sweep.keep_k=[1,0]", "sweep.keep_k[1]: 0 is not an integer in [1, 9]"),
        (
            "eval",
            "sweep.keepk=[1,2]",
            f"did you mean sweep.keep_k? try: genkit eval {named} ckpt=. 'sweep.keep_k=[1,2]'",
        ),
    ):
        assert cli.main([verb, named, "ckpt=.", *words.split()]) in (2, 4)
        assert reason.replace("'", "") in capsys.readouterr().err.replace("'", "")
    assert cli.main(["sample", "ckpt=.", "keep_k=4"]) == 2  # a key of nobody's without the plugin
    assert "keep_k: unknown key" in (said := capsys.readouterr().err)
    assert "plugins=[PACKAGE]" in said
    assert candidates(f"genkit sample {named} kee", {"sample": True}) == ["keep_k="]


def test_a_trained_model_is_found_by_its_annotation(plugin):
    assert "lean.critic" in trained_models([plugin]) - trained_models()
    assert nested_models([plugin]) - nested_models() == {"teacher"}
    own = {"_target_": f"{plugin}.Own"}
    assert models_in({**own, "teacher": "run"}, [plugin]) == ["teacher"]
    assert models_in({**own, "teacher": None}, [plugin]) == []
    for key in ("model.teacher", "lean.critic"):
        assert holds_path(key, "a=b", [plugin])
        assert not holds_path(key, "a=b")


def test_a_mark_describes_its_argument():
    def f(keep_k: Annotated[int | None, Range(1, 9), AtSampling("few", key="a.k")]): ...

    class Own:
        __init__ = f

    [one] = declared_by(Own).values()
    assert (one.key, one.argument, one.is_object, one.is_trained_model) == ("a.k", "keep_k", False, False)
    assert list(one.sweeps) == ["a.k"]
