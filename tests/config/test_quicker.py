"""A composition without Hydra's detours is the same composition, and refuses the same in the same words."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf, _utils

from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import conf_dir
from genkit.config.hydra.quicker import in_c, quicker
from genkit.errors import ConfigError

PLAIN = _utils.get_yaml_loader
needs_c = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is built without its parser in C")

VALUES = """
numbers: [1e-3, 5.0e-4, 1_000, 0x1f, -.inf, .nan, 1:30, +1, "1"]
words: [yes, off, null, ~, 2024-01-01, a b, "???", "ä – 😀"]
interpolated: {width: '${model.width}', 1: one, true: two}
text: |
  two
  lines
folded: >-
  one
  line
shared: &it {a: 1}
again: {<<: *it, b: 2}
"""


def read(text: str, loader: Callable[[object], object]) -> str:
    """What a file of this text holds, or the words in which it is refused."""
    try:
        return repr(yaml.load(io.StringIO(text), loader))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return str(error)


@needs_c
def test_every_file_of_the_catalogue_is_read_alike() -> None:
    files = sorted(conf_dir().rglob("*.yaml"))
    assert len(files) > 100
    for file in files[:: len(files) // 25]:
        text = file.read_text(encoding="utf-8")
        assert read(text, in_c(PLAIN)) == read(text, PLAIN()), file


@needs_c
@pytest.mark.parametrize(
    "text",
    [VALUES, "", "# nothing", "- 1\n- 2", "a: 1\na: 2", "a: [1, 2", "a: 1\n\tb: 2", "a: b: c", "a: *nobody",
     "a: !!tag 1", "a: \x00", "--- 1\n--- 2", "%YAML 3.0\n--- 1", "{a: 1, a: 2}", "a: @b", "?", "'"],
)  # fmt: skip
def test_values_and_refusals_are_those_of_omegaconf(text: str) -> None:
    assert read(text, in_c(PLAIN)) == read(text, PLAIN())


@needs_c
def test_a_file_is_read_in_c_and_named_where_it_is_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(VALUES, encoding="utf-8")
    bad.write_text("a: 1\nb: [2\n")
    whole = OmegaConf.to_container(OmegaConf.load(good), resolve=False)
    with pytest.raises(yaml.YAMLError) as plain:
        OmegaConf.load(bad)
    with quicker(), quicker():
        with good.open(encoding="utf-8") as file:
            assert isinstance(_utils.get_yaml_loader()(file), yaml.cyaml.CParser)
        assert repr(OmegaConf.to_container(OmegaConf.load(good), resolve=False)) == repr(whole)
        with pytest.raises(yaml.YAMLError) as quick:
            OmegaConf.load(bad)
    assert str(quick.value) == str(plain.value)
    assert 'bad.yaml", line' in str(quick.value)


def test_without_the_parser_in_c_the_loader_is_omegaconfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert in_c.__wrapped__(lambda: yaml.SafeLoader) is yaml.SafeLoader


def fail(replaced: bool) -> None:
    assert replaced
    raise ConfigError("no")


def test_hydra_is_left_as_it_was_even_by_an_error() -> None:
    from hydra._internal import defaults_list

    before = _utils.get_yaml_loader, defaults_list._create_interpolation_map
    with pytest.raises(ConfigError), quicker(), quicker():
        fail(defaults_list._create_interpolation_map is not before[1])
    assert (_utils.get_yaml_loader, defaults_list._create_interpolation_map) == before


def test_a_choice_may_be_named_by_another(tmp_path: Path) -> None:
    """The one kind of choice that reads the map of choices."""
    for group in ("model", "experiment"):
        (tmp_path / group).mkdir()
    (tmp_path / "model" / "twin.yaml").write_text("a: 1\n")
    named = "# @package _global_\ndefaults:\n  - /model@own: ${experiment}\nseed: 7\n"
    (tmp_path / "experiment" / "twin.yaml").write_text(named)
    config = composed("train", ["--config-dir", str(tmp_path), "experiment=twin"])
    assert (config["own"], config["seed"]) == ({"a": 1}, 7)


def test_another_version_of_hydra_composes_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal import defaults_list

    with monkeypatch.context() as patched:
        patched.delattr(defaults_list, "_create_interpolation_map")
        with quicker():
            assert PLAIN is _utils.get_yaml_loader
