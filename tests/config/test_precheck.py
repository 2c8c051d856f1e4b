"""What is refused before torch is imported is what would be refused after."""

import subprocess
import sys
import threading

import pytest

from genkit import cli
from genkit.config.build import Reader
from genkit.config.hydra.catalog import Catalog, load_yaml
from genkit.config.hydra.closed_keys import NULLABLE, faults
from genkit.config.hydra.precheck import check_folders, check_node, gpu_possible
from genkit.config.hydra.signature import Object, Unknown, signature_of
from genkit.config.hydra.words import Words
from genkit.config.resolve import FOREIGN
from genkit.errors import ConfigError
from genkit.storage.exclusive import FILE_SUFFIXES, refuse_in_use

CATALOG = Catalog.of(Words())
PROBES = [None, True, -1, 0, 1, 10**13, 0.5, -0.5, 1e30, "auto", "zzz", [], [1], ["x"], {"a": 1}]
HYDRA_VERBS = [name for name, verb in cli.VERBS.items() if verb.hydra]


def targets() -> list[str]:
    """Every class that a YAML of genkit names."""
    found: set[str] = set()

    def walk(node: object) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            if key == "_target_" and str(value).startswith("genkit."):
                found.add(value)
            walk(value)

    for group in CATALOG.groups:
        for file in CATALOG.options(group).values():
            walk(load_yaml(file))
    for verb in ("train", "sample", "eval"):
        walk(CATALOG.own_keys(verb))
    return sorted(found)


def refusal(check, *arguments: object) -> str:
    try:
        check(*arguments)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("target", targets())
def test_source_and_class_refuse_the_same_values_in_the_same_words(target):
    """For every argument and a row of values: what the source refuses, the class refuses so; nothing plain passes."""
    signature = signature_of(target)
    reader = Reader((), True)
    for name, hint in signature.hints.items():
        if name in signature.required:  # most are genkit's own to give, which the class says first
            continue
        for value in PROBES:
            node = {"_target_": target, name: value}
            early = refusal(check_node, node, "at")
            late = refusal(lambda node: reader.plan(node, "at", object, tuple(signature.required)), node)
            if early:
                assert early == late, (name, value)
            elif late.startswith(f"at.{name}: ") and "given by genkit" not in late:
                assert any(kind.__name__ in str(hint) for kind in (Unknown, Object)), (name, value, late)
    wrong = refusal(check_node, {"_target_": target, "no_such": 1}, "at")
    assert wrong.startswith("at.no_such: ")
    assert "has no such argument" in wrong


def test_foreign_classes_are_read_too():
    """torch's optimizers, without torch: their arguments, and the ranges that torch checks inside."""
    for target in ("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD", "torch.optim.RMSprop"):
        assert set(FOREIGN[target]) <= signature_of(target).required
        assert refusal(check_node, {"_target_": target, "lr": -1}, "optimizer").startswith("optimizer.lr: -1 is not")
        assert "did you mean optimizer.lr" in refusal(check_node, {"_target_": target, "lrr": 1}, "optimizer")
    assert signature_of("my_package.Net") is None


REFUSED = [
    ["train", "model=vae", "model.latent_dim=abc"], ["train", "trainer.max_steps=-1"], ["train", "optimizer.lr=-1"],
    ["train", "run_dir=full"], ["sample", "ckpt=nowhere"], ["sample", "ckpt=full", "out=full"], ["train", "seed=abc"],
    ["eval", "samples=nowhere.npz", "data=digits"], ["train", "trainer.devices=0"], ["train", f"run_dir={'x' * 300}"],
    ["train", "run_dir=" + "/".join(["y" * 200] * 25)], ["train", "model=vea"], ["train", "+seeed=7"],
    ["train", "experiment=digits_diffusion", "model=vae"], ["train", "'run_dir=${oc.env:NO_SUCH_NAME}/a'"],
    ["train", "run_dir=z${model.latent_dim}"],
]  # fmt: skip


def test_refusals_import_no_torch(tmp_path):
    """One process for all: each is one short line with code 2, 3 or 4, and torch stays out of it."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    code = f"""
import sys
from genkit import cli
codes = [cli.main(argv) for argv in {REFUSED}]
print(*codes, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    *codes, imported = done.stdout.split()
    lines = done.stderr.splitlines()
    assert imported == "False"
    assert set(codes) <= {"2", "3", "4"}
    assert len(lines) == len(REFUSED)
    assert all(line.startswith("genkit: error: ") for line in lines)
    assert max(map(len, lines)) < 400
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "file"]


def test_a_missing_file_names_its_neighbour(tmp_path, capsys):
    (tmp_path / "vae-run").mkdir()
    cli.main(["sample", f"ckpt={tmp_path / 'vae-rnu'}"])
    assert f"did you mean {tmp_path / 'vae-run'}?" in capsys.readouterr().err


def test_a_gpu_is_refused_at_once_where_there_can_be_none(monkeypatch, capsys):
    from genkit.config.hydra import precheck

    assert gpu_possible() in (True, False)
    monkeypatch.setattr(precheck, "gpu_possible", lambda: False)
    assert cli.main(["train", "trainer=gpu"]) == 2
    assert "try: genkit train trainer=cpu" in capsys.readouterr().err
    assert cli.main(["sample", "ckpt=x", "device=cuda"]) == 2
    assert "try: genkit sample ckpt=x device=cpu" in capsys.readouterr().err


def dotted(node: dict, prefix: str = ""):
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict) and "_target_" not in value:
            yield from dotted(value, f"{prefix}{key}.")


def without(node: dict, key: str) -> dict:
    first, _, rest = key.partition(".")
    if not rest:
        return {name: value for name, value in node.items() if name != first}
    return {**node, first: without(node[first], rest)}


@pytest.mark.parametrize("verb", HYDRA_VERBS)
def test_every_key_is_needed_and_no_other_is_known(verb):
    """Over all keys of a verb: taken out, it is missed by name; beside it, another is unknown."""
    own, groups = CATALOG.own_keys(verb), CATALOG.defaults(verb)
    assert not list(faults(own, own, groups))
    for key in dotted(own):
        assert key in dict(faults(without(own, key), own, groups))
        text = dict(faults(own | {f"{key.partition('.')[0]}x": 1}, own, groups))
        assert list(text) == [f"{key.partition('.')[0]}x"]
        parent = own.get(key)
        if isinstance(parent, dict) and parent and key not in groups:
            assert bool(list(faults(own | {key: None}, own, groups))) == (key not in NULLABLE)
            assert bool(list(faults(own | {key: 3}, own, groups))) == (key not in NULLABLE)
    assert not list(faults(own | {"_width": 64}, own, groups))  # for interpolations of a file of the user's own


@pytest.mark.parametrize(
    "verb", [pytest.param("train", marks=pytest.mark.slow), "sample", pytest.param("eval", marks=pytest.mark.slow)]
)
def test_every_top_level_key_can_be_typed_with_every_mark(verb, genkit):
    """`~key`, `+key=1`, `key=null` of the whole command: it runs, or is one line with code 2; never a KeyError."""
    base = ["ckpt=."] if verb == "sample" else []
    for i, key in enumerate(CATALOG.own_keys(verb)):
        word = (f"~{key}", f"++{key}=1", f"{key}=null")[i % 3]
        code, ran, err = genkit(verb, *(part for part in base if not part.startswith(f"{key}=")), word)
        assert code in (0, 2, 3, 4), (word, err)
        assert "internal error" not in err
        # sweep.jobs and search are of the command: no job sees them
        assert all(CATALOG.own_keys(verb).keys() - {"sweep", "search"} <= config.keys() for config in ran)


def test_verbs_run_in_a_thread(capsys):
    """As in a notebook: no signal handler is installed there."""
    codes: list[int] = []
    thread = threading.Thread(
        target=lambda: codes.extend([cli.main(["list", "models"]), cli.main(["train", "seed=x"])])
    )
    thread.start()
    thread.join()
    assert codes == [0, 2]


@pytest.mark.parametrize("key", ["out", "run_dir"])
def test_a_folder_called_like_a_file_is_refused_early_and_late_in_the_same_words(key, tmp_path):
    for suffix in FILE_SUFFIXES:
        path = str(tmp_path / f"name{suffix}")
        late = refusal(refuse_in_use, path, "")
        assert f"it names a folder, not a file; did you mean {tmp_path}/name?" in late
        assert refusal(check_folders, {key: path}) == f"{key}: {late}"
