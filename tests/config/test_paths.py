"""Paths reach the task letter by letter, whatever they are made of."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from genkit.config.hydra.arguments import read_arguments
from genkit.config.hydra.paths import quote_path, split_paths
from genkit.errors import ConfigError

NASTY = [
    "a=b", "a b", " a ", "a,b", "[a]", "[a,b]", "a[0]", "{a: 1}", "it's", 'say "hi"', "'quoted'", "a'b\"c", "$HOME",
    "${x}", "${oc.env:HOME}", "a${b", "}${", "\\", "a\\", "a\\\\", "\\'", "a\\'b", "\\${x}", "\\\\${x}", "${x}\\",
    "ü漢😀", "a\nb", "a\tb", "#a", "a:b", "(a)", "a;b|c&d", "*?", "%20", "true", "3", "-1", "null.npz", "???", "!x",
    "@x", "a/b=c/d e", "/", ".", "a=",
]  # fmt: skip


def value_of(word):
    """What OmegaConf gives for an override, and whether it would be a sweep."""
    override = OverridesParser.create().parse_override(word)
    assert not override.is_sweep_override()
    return OmegaConf.to_container(OmegaConf.create({"x": override.value()}), resolve=True)["x"]


def interpolated(path: str) -> bool:
    return "${" in path


@pytest.mark.parametrize("path", [path for path in NASTY if not interpolated(path)])
def test_round_trip(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert value_of(quote_path(f"out={path}")) == path


@pytest.mark.parametrize("path", [path for path in NASTY if "/" not in path and path != "."])
def test_round_trip_of_what_exists(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(path).mkdir()
    for multirun in (False, True):
        assert value_of(quote_path(f"ckpt={path}", multirun)) == path
    if not interpolated(path):
        assert value_of(quote_path(f"ckpt=[{path},{path}]")) == [path.strip()] * 2 or path.strip() != path


def test_a_path_survives_composition_and_a_sweep(genkit):
    for path in ("a=b ${x}, [c] 'd' \"e\" \\ ü", "${oc.env:HOME}"):
        (Path(path) / "checkpoints").mkdir(parents=True)  # what exists is taken letter by letter
        code, (config,), _ = genkit("train", f"run_dir={path}", f"resume={path}")
        assert code == 0
        assert config["run_dir"] == config["resume"] == path
        (Path(path) / "S").mkdir()
        _, jobs, _ = genkit("train", "-m", f"run_dir={path}/S", "seed=0,1", "hydra/launcher=basic")
        assert [job["run_dir"] for job in jobs] == [f"{path}/S/0-seed=0", f"{path}/S/1-seed=1"]


@pytest.mark.parametrize("word", ["ckpt=null", "ckpt=", "seed=1,2", "model=[a,b]", "~out", "ckpt"])
def test_other_overrides_are_left_alone(word):
    assert quote_path(word) == word


def test_lists_sweeps_and_names_with_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "[x,y]", "c=d"):
        Path(name).mkdir()
    assert value_of(quote_path("ckpt=[c=d,no such, e]")) == ["c=d", "no such", "e"]
    assert value_of(quote_path("ckpt=[a,b,c=d]")) == ["a,b", "c=d"]
    assert value_of(quote_path("ckpt=[x,y]")) == "[x,y]"
    assert value_of(quote_path("ckpt=[]")) == []
    assert value_of(quote_path("ckpt=[c=d, ]")) == ["c=d"]
    assert value_of(quote_path("samples=[p,q]")) == ["p", "q"]
    assert value_of(quote_path("reference=[p,q]")) == "[p,q]"
    assert split_paths("a,b,z") == ["a,b", "z"]
    assert quote_path("ckpt=p=1,q=2", multirun=True) == "ckpt='p=1','q=2'"
    assert quote_path("out=p,q", multirun=True) == "out='p,q'"


def test_quotes_set_by_hand_are_taken_off_only_where_the_bare_path_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b").mkdir()
    assert value_of(quote_path("ckpt='a=b'")) == "a=b"
    assert value_of(quote_path("ckpt='c=d'")) == "'c=d'"


def test_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert value_of(quote_path("out=~/x")) == "/somewhere/x"


def test_the_environment_and_the_clock_are_resolved_in_a_path(monkeypatch):
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    assert value_of(quote_path("run_dir=${oc.env:SCRATCH}/a")) == "/scratch/me/a"
    assert value_of(quote_path("out=${oc.env:NO_SUCH_NAME,here}/a")) == "here/a"
    assert value_of(quote_path("run_dir=runs/${now:%%}")) == "runs/%"
    assert value_of(quote_path("ckpt=[${oc.env:SCRATCH}/a,b]")) == ["/scratch/me/a", "b"]


@pytest.mark.parametrize("path", ["${oc.env:NO_SUCH_NAME}/a", "lr${optimizer.lr}", "a${", "${hydra:job.num}", "${x}"])
def test_any_other_interpolation_in_a_path_is_refused(path):
    with pytest.raises(ConfigError, match=r"^run_dir="):
        quote_path(f"run_dir={path}")
    with pytest.raises(ConfigError, match=r"^ckpt="):
        read_arguments([f"ckpt={path}"], ["ckpt"], "usage")
