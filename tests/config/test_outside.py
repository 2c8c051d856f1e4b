"""What a user adds from outside the package: a folder of YAMLs, a module of classes; and what `list` says of them."""

import errno
import sys

import pytest

from genkit import cli
from genkit.component import Component
from genkit.config.build import build, check
from genkit.config.hydra.failure import failure_of
from genkit.config.hydra.launch import compose_option
from genkit.errors import ConfigError, DataError
from genkit.printing import one_line

MODULE = '''
from genkit.component import Component, PositiveInt

class Mine(Component):
    """A thing of one's own."""
    def __init__(self, size: PositiveInt = 2):
        self.size = size

class Plain:
    def __init__(self, size: int = 2): ...
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module in the working directory that is not on the path."""
    (tmp_path / "mine_of_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield "mine_of_test"
    sys.modules.pop("mine_of_test", None)


def test_a_plugin_is_allowed_only_where_the_user_lists_it(plugin):
    node = {"_target_": f"{plugin}.Mine", "size": 3}
    with pytest.raises(ConfigError, match=r"plugins=\[mine_of_test\]"):
        build(node, at="model")
    assert plugin not in sys.modules
    for trusted in (True, False):
        assert build(node, at="model", plugins=[plugin], trusted=trusted).size == 3
    with pytest.raises(ConfigError, match="did you mean Mine"):
        check({"_target_": f"{plugin}.Mien"}, at="model", plugins=[plugin])
    with pytest.raises(ConfigError, match="cannot import nothing_here"):
        check({"_target_": "nothing_here.X"}, at="model", plugins=["nothing_here"])


OLD = """
from genkit.data.dataset import Dataset

class Old(Dataset):
    def augment(self, x, index, generator):
        return x
"""


def test_what_a_plugin_refuses_itself_is_said_as_it_is(plugin, tmp_path):
    """A dataset that was written for the version before `view`."""
    (tmp_path / f"{plugin}.py").write_text(OLD)
    with pytest.raises(ConfigError, match=rf"^plugins: {plugin}: Old: augment\(.*\) is no longer called: .*shows$"):
        build({"_target_": f"{plugin}.Old"}, at="data", plugins=[plugin])


def test_a_checkpoint_has_nothing_imported_below_a_plugin(tmp_path, monkeypatch):
    """Neither a module of the package that the package itself does not import, nor its parent's other children."""
    package = tmp_path / "package_of_test"
    package.mkdir()
    (package / "__init__.py").write_text("from package_of_test.used import Mine\n")
    (package / "used.py").write_text(MODULE)
    (package / "unused.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n{MODULE}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    own = {"plugins": ["package_of_test"], "trusted": False}
    for target in ("package_of_test.Mine", "package_of_test.used.Mine"):
        assert build({"_target_": target, "size": 3}, at="model", **own).size == 3
    with pytest.raises(ConfigError, match=r"add plugins=\[package_of_test\.unused\]"):
        build({"_target_": "package_of_test.unused.Mine"}, at="model", **own)
    assert not (tmp_path / "canary").exists()
    build({"_target_": "package_of_test.unused.Mine"}, at="model", plugins=["package_of_test.unused"], trusted=False)
    assert (tmp_path / "canary").exists()
    for name in [name for name in sys.modules if name.startswith("package_of_test")]:
        del sys.modules[name]


def test_what_a_plugin_imports_is_not_the_plugins(plugin):
    with pytest.raises(ConfigError, match="does not derive"):
        check({"_target_": f"{plugin}.Plain"}, at="x", expect=object, plugins=[plugin], trusted=False)
    with pytest.raises(ConfigError, match="does not derive"):
        check({"_target_": f"{plugin}.PositiveInt"}, at="x", expect=object, plugins=[plugin])
    assert issubclass(check({"_target_": f"{plugin}.Mine"}, at="x", plugins=[plugin], trusted=False), Component)


@pytest.fixture
def own_conf(tmp_path):
    folder = tmp_path / "own conf"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "mine.yaml").write_text("_target_: mine_of_test.Mine\nsize: 3\n")
    (folder / "model" / "noted.yaml").write_text("# Said in the YAML\n_target_: mine_of_test.Mine\nsize: 3\n")
    return folder


def test_a_config_dir_adds_options(genkit, own_conf):
    for where in (["--config-dir", str(own_conf)], [f"hydra.searchpath=['file://{own_conf}']"]):
        code, (config,), _ = genkit("train", *where, "model=mine", "model.size=4")
        assert (code, config["model"]["size"]) == (0, 4)
        assert "did you mean mine?" in genkit("train", *where, "model=mien")[2]
        assert "did you mean model.size?" in genkit("train", *where, "model=mine", "model.sise=1")[2]


def test_list_reads_classes_without_importing_them(plugin, own_conf, capsys):
    assert cli.main(["list", "models", "--config-dir", str(own_conf)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split(maxsplit=1) == ["noted", "Said in the YAML"] for line in lines)
    assert plugin not in sys.modules


@pytest.mark.parametrize("kind", ["models", "data", "metrics", "optimizers", "features"])
def test_list_says_something_of_every_option(kind, capsys):
    assert cli.main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_one_option_of_a_group(conf):
    assert compose_option("metric", "suite/image").keys() == {"fid", "kid"}
    assert compose_option("backbone", "unet") == {"_target_": "b.UNet", "width": 32}
    with pytest.raises(ConfigError, match="backbone=unett"):
        compose_option("backbone", "unett")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a\nb"), 3, "error: a b"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 6, "error: /x: No space left on device"),
        (BrokenPipeError(), 141, ""),
        (KeyError("x"), 1, "internal error: KeyError: 'x' (debug=true shows the traceback)"),
    ],
)
def test_failures(error, code, line):
    failure = failure_of(error)
    assert (failure.code, failure.line) == (code, line)


def test_control_characters_are_shown():
    assert one_line("a\x1b[31mb\n  c") == "a\\x1b[31mb c"
