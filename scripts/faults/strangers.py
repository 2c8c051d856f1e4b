"""Run folders of strangers: every field of every file, every entry as a link, a pipe, a giant, every text hostile.

    python scripts/faults/strangers.py --n 150

Cases of six kinds, of which each is put to some of `genkit.load`, `sample`, `verify`, `compare` and `train resume=`, in
one process under an alarm: values of the JSON files, with right hashes; entries of the folder; texts; sizes; loggers,
optimizers and plugins; YAML. Nothing may be read, written or deleted outside the folder, no command may wait, end in an
"internal error", print a control character or more than a screen, or take more than a gigabyte.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults import Tally, options, run_genkit, train, workplace

import genkit
from genkit.checkpoint.manifest import Entry, Manifest, parse_manifest
from genkit.errors import GenkitError

SECONDS = 60
MEMORY = 2**30  # bytes that a case may add to the peak of the process
SCREEN = 20_000  # characters
STEP = "checkpoints/step-00000006"
HOSTILE = "\x1b]0;x\x07[red]\x9b2J\u202e[/x]:smile:" + "a" * 100_000
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ud800-\udfff]")
OWN_CODES = (0, 1, 2, 3, 4, 5, 6)  # 1 only with a line that is no internal error

Change = Callable[[Path], object]
Case = tuple[str, Change, tuple[str, ...]]  # name, what is done to a copy of the run, the verbs that it is put to
LOADS, RESUMES = ("load", "verify"), ("verify", "resume")


class Late(Exception):
    """A command that waits."""


def rewrite(run: Path, **texts: bytes) -> None:
    """Other content of files of the checkpoint, under a manifest with the right hashes."""
    import hashlib

    folder = run / STEP
    manifest = parse_manifest((folder / "manifest.json").read_bytes(), folder / "manifest.json")
    files = dict(manifest.files)
    for name, data in texts.items():
        (folder / name).write_bytes(data)
        files[name] = Entry(len(data), hashlib.sha256(data).hexdigest())
    changed = Manifest(manifest.kind, manifest.step, files, manifest.aliases, manifest.genkit)
    (folder / "manifest.json").write_bytes(changed.render())


# Values -------------------------------------------------------------------------------------------------------------


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a JSON tree, containers included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def mutated(value: Any, path: tuple[Any, ...], what: str) -> Any:
    """A copy of the tree with another value at a place."""
    result = copy.deepcopy(value)
    *parents, last = path
    place = result
    for key in parents:
        place = place[key]
    if what == "deleted":
        del place[last]
    else:
        place[last] = MUTATIONS[what](place[last])
    return result


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def other_type(value: Any) -> Any:
    return {"a": 1} if isinstance(value, str | int | float | list) else "word"


def deep(value: Any) -> Any:
    for _ in range(40):
        value = [value]
    return value


MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "of another type": other_type,
    "null": lambda value: None,
    "huge": lambda value: 2**62,
    "vast": lambda value: 10**300,
    "negative": lambda value: -1,
    "a fraction": lambda value: 0.5,
    "an empty text": lambda value: "",
    "an empty list": lambda value: [],
    "an empty mapping": lambda value: {},
    "a boolean": lambda value: True,
    "nan": lambda value: "nan",
    "nested": deep,
    "hostile": lambda value: HOSTILE,
    "an object": lambda value: {"_target_": "os.system", "command": "touch canary"},
}


def values(run: Path, n: int, dice: random.Random) -> Iterator[Case]:
    """Each JSON file with one value changed."""
    folder = run / STEP
    trees = {name: json.loads((folder / name).read_text()) for name in ("config.json", "training.json")}
    trees["run.json"] = json.loads((run / "run.json").read_text())
    places = {name: list(leaves(tree)) for name, tree in trees.items()}
    verbs = {"config.json": (*LOADS, "resume", "sample"), "training.json": RESUMES, "run.json": RESUMES}
    whats = ["deleted", *MUTATIONS]
    for number in range(n):
        name = list(trees)[number % 3]
        path, what = dice.choice(places[name]), whats[number // 3 % len(whats)]
        data = dumped(mutated(trees[name], path, what))

        def change(copied: Path, name: str = name, data: bytes = data) -> None:
            if name == "run.json":
                (copied / name).write_bytes(data)
            else:
                rewrite(copied, **{name: data})

        chosen = verbs[name] if name != "config.json" else (*LOADS, dice.choice(["resume", "sample"]))
        yield f"{name}: {'.'.join(map(str, path))[:80]} {what}", change, chosen


# Entries ------------------------------------------------------------------------------------------------------------


def replaced(entry: str, put: Callable[[Path], object]) -> Change:
    """The entry of a run folder gives way to something else."""

    def change(run: Path) -> None:
        path = run / entry
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        put(path)

    return change


def bind(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def giant(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 * 2**30)


FILES = ("run.json", "config.yaml", "metrics.jsonl", "latest", "best", ".lock", "samples", "checkpoints", STEP)
CONTENT = ("manifest.json", "config.json", "model.safetensors", "training.json", "training.safetensors")
LISTED = tuple(f"{STEP}/{name}" for name in CONTENT)


def entries(outside: Path) -> Iterator[Case]:
    puts: dict[str, Callable[[Path], object]] = {
        "a pipe": os.mkfifo,
        "a socket": bind,
        "a folder": os.mkdir,
        "a link to a file outside": lambda path: path.symlink_to(outside / "file"),
        "a link to a folder outside": lambda path: path.symlink_to(outside),
        "a link to a device": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path),
        "a link to nowhere": lambda path: path.symlink_to(outside / "made"),
        "3 GiB of nothing": giant,
    }
    for entry in (*FILES, *LISTED):
        for name, put in puts.items():
            verbs = ("resume",) if entry in FILES[:7] else ("load", "resume")
            yield f"{entry} is {name}", replaced(entry, put), verbs


# Texts --------------------------------------------------------------------------------------------------------------


def texts(run: Path) -> Iterator[Case]:
    """Every text of a file at once, and names of files."""
    folder = run / STEP

    def hostile(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: hostile(item) for key, item in value.items()}
        if isinstance(value, list):
            return [hostile(item) for item in value]
        return HOSTILE if isinstance(value, str) and not value.startswith("genkit.run/") else value

    for name in ("config.json", "training.json", "run.json"):
        where = run if name == "run.json" else folder
        data = dumped(hostile(json.loads((where / name).read_text())))

        def change(copied: Path, name: str = name, data: bytes = data) -> None:
            if name == "run.json":
                (copied / name).write_bytes(data)
            else:
                rewrite(copied, **{name: data})

        yield f"every text of {name}", change, ("load", "sample", "verify", "export", "eval", "resume")
    record = json.loads((run / "run.json").read_text())
    for key, value in record.items():
        if isinstance(value, str) and key != "schema":
            text = dumped(record | {key: HOSTILE})
            yield f"{key} of run.json", lambda copied, text=text: (copied / "run.json").write_bytes(text), ("resume",)
    short = HOSTILE[:200].replace("/", "|")
    yield "a folder beside", lambda copied: (copied / short).mkdir(), ("verify", "resume")
    yield (
        "a tensor's name",
        lambda copied: rewrite(copied, **{"model.safetensors": tensor(HOSTILE)}),
        ("load", "resume"),
    )
    yield (
        "a line of metrics",
        lambda copied: (copied / "metrics.jsonl").write_text(json.dumps({"step": 1, HOSTILE: HOSTILE}) + "\n"),
        ("resume",),
    )
    for name in ("latest", "best", ".lock", "config.yaml"):
        yield (
            f"the content of {name}",
            lambda copied, name=name: (copied / name).write_text(HOSTILE, "utf-8"),
            ("load", "resume"),
        )


def tensor(name: str, dtype: str = "F32", shape: tuple[int, ...] = (2,), size: int = 8, header: int = 0) -> bytes:
    """A safetensors file of one tensor."""
    text = json.dumps({name: {"dtype": dtype, "shape": list(shape), "data_offsets": [0, size]}}).encode()
    return (header or len(text)).to_bytes(8, "little") + text + bytes(min(size, 100))


# Sizes --------------------------------------------------------------------------------------------------------------


def sizes(run: Path) -> Iterator[Case]:
    config = json.loads((run / STEP / "config.json").read_text())
    mlp, flow = "genkit.nn.mlp.MLP", "genkit.models.flow.Flow"
    vector = {"_target_": "genkit.flows.vector_flow.Couplings"}
    vast = {"shape": [2**28], "modality": "vector", "value_range": None, "levels": None, "num_classes": None}
    models: dict[str, dict[str, Any]] = {
        "1,024 layers": {"backbone": {"_target_": mlp, "width": 16, "depth": 1024}},
        "widths of 65,536": {"backbone": {"_target_": mlp, "width": 65536, "depth": 1024}},
        "a latent of 65,536": {"latent_dim": 65536},
        "2^31 - 1 draws": {"elbo_draws": 2**31 - 1},
        "a UNet of 10,000 levels": {"backbone": {"_target_": "genkit.nn.unet.UNet", "channels": [1] * 10_000}},
        "a transformer of 1,024 blocks": {"backbone": {"_target_": "genkit.nn.dit.DiT", "depth": 1024, "width": 65536}},
        "a mixture of 1,000": {
            "latent_density": {
                "_target_": "genkit.models.latent_density.GaussianMixture",
                "components": 1000,
            }
        },
    }
    for name, change in models.items():
        yield name, _config(config | {"model": config["model"] | change}), ("load",)
    for shape in ([2**30], [2**15, 2**15], [1, 2**13, 2**13], [2**26, 1, 1], [1] * 1000, [2**62]):
        spec = config["spec"] | {"shape": shape}
        yield f"a shape of {shape[:3]}", _config(config | {"spec": spec}), ("load", "sample")
    for layers in (6, 1024):
        node = {"_target_": flow, "transform": {"_target_": vector["_target_"], "layers": layers}}
        yield f"a flow of {layers} layers on 2^28 values", _config(config | {"spec": vast, "model": node}), ("load",)
    for key in ("levels", "num_classes"):
        spec = config["spec"] | {key: 2**31 - 1}
        yield f"{key} of 2^31 - 1", _config(config | {"spec": spec}), ("load", "sample")
    toy = {"_target_": "genkit.data.sources.toy.Toy", "name": "two_moons", "n_train": 2**31 - 1}
    yield "data of 2^31 - 1", _config(config | {"data": toy, "train": config["train"] | {"data": toy}}), ("resume",)
    heads = {"a header of 4 EiB": 2**62, "a header of 0": 0, "a header past the end": 10**6}
    for name, length in heads.items():
        data = length.to_bytes(8, "little") + b"{}" + bytes(100)
        yield name, lambda run, data=data: rewrite(run, **{"model.safetensors": data}), ("load", "verify")
    files = {
        "a tensor larger than its file": tensor("a", size=2**40, shape=(2**38,)),
        "a tensor of 2^62": tensor("a", size=8, shape=(2**62,)),
        "a tensor of negative length": tensor("a", shape=(-2,)),
        "a tensor of no known type": tensor("a", "F128"),
        "overlapping offsets": tensor("a", size=8, shape=(2, 1))[:-1],
    }
    for name, data in files.items():
        yield name, lambda run, data=data: rewrite(run, **{"model.safetensors": data}), ("load", "verify", "resume")
    for name in ("config.json", "training.json"):
        for text in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 63 + b"]" * 63, b'"' + b"a" * (17 * 2**20) + b'"'):
            yield f"{name} of {text[:4]!r}", lambda run, name=name, text=text: rewrite(run, **{name: text}), RESUMES


def _config(config: dict[str, Any]) -> Change:
    data = dumped(config)
    return lambda run: rewrite(run, **{"config.json": data})


# Foreign classes, YAML ----------------------------------------------------------------------------------------------


def foreign(run: Path, outside: Path) -> Iterator[Case]:
    config = json.loads((run / STEP / "config.json").read_text())
    loggers = "genkit.loggers"
    nodes: dict[str, tuple[str, Any]] = {
        "a logger's folder": ("logger", {"_target_": f"{loggers}.tensorboard.TensorBoard", "folder": str(outside)}),
        "a tracking address": ("logger", {"_target_": f"{loggers}.mlflow.MLflow", "uri": f"sqlite:///{outside}/made"}),
        "a server": ("logger", {"_target_": f"{loggers}.mlflow.MLflow", "uri": "http://127.0.0.1:9"}),
        "wandb online": ("logger", {"_target_": f"{loggers}.wandb.WandB", "online": True}),
        "a logger of lightning's": ("logger", {"_target_": "lightning.pytorch.loggers.WandbLogger", "offline": True}),
        "a logger that is a call": ("logger", {"_target_": "os.system", "command": f"touch {outside}/made"}),
        "an optimizer that is a call": ("optimizer", {"_target_": "os.system", "command": f"touch {outside}/made"}),
        "an optimizer of torch's": ("optimizer", {"_target_": "torch.optim.LBFGS"}),
        "a nested optimizer": ("optimizer", {"_target_": "torch.optim.SGD", "lr": {"_target_": "os.getcwd"}}),
        "an optimizer's odd argument": ("optimizer", {"_target_": "torch.optim.AdamW", "lr": "much"}),
        "a callback of lightning's": ("callbacks", {"a": {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint"}}),
        "a callback that is a call": (
            "callbacks",
            {"a": {"_target_": "os.system", "command": f"touch {outside}/made"}},
        ),
        "a callback of a plugin": ("callbacks", {"a": {"_target_": "evil_module.Model"}}),
        "a metric that is a call": ("metric", {"a": {"_target_": "os.system", "command": f"touch {outside}/made"}}),
        "features of a file": (
            "features",
            {"_target_": "genkit.features.custom.CustomFeatures", "weights": "/dev/zero"},
        ),
        "a strategy": ("trainer", config["train"]["trainer"] | {"strategy": {"_target_": "os.system"}}),
        "plugins": ("plugins", ["evil_module"]),
        "an embedded model": ("embedded", {"autoencoder": {"ckpt": "/dev/zero", "ckpt_sha256": "", "named": ""}}),
        "an override": ("optimizer_overrides", {"generator": {"lr": "x"}}),
        "a schedule that is a call": ("lr_schedule", {"_target_": "os.system"}),
        "an average that is a call": ("ema", {"_target_": "os.system"}),
    }
    for name, (key, node) in nodes.items():
        yield name, _config(config | {"train": config["train"] | {key: node}}), ("resume",)
    yield "data that is a call", _config(config | {"data": {"_target_": "os.system"}}), ("load", "sample")
    for root in ("/dev/zero", str(outside / "pipe"), "/proc/self/mem", HOSTILE):
        data = {"_target_": "genkit.data.sources.mnist.MNIST", "root": root}
        yield (
            f"data at {root[:20]!r}",
            _config(config | {"data": data, "train": config["train"] | {"data": data}}),
            ("resume",),
        )
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 11))
    yamls = {
        "aliases": laughs,
        "an alias of itself": "a: &a\n  b: *a\n",
        "a tag": f"a: !!python/object/apply:os.system ['touch {outside}/made']\n",
        "brackets": "[" * 10**5,
        "braces": "{a: " * 10**4,
        "nothing": "",
        "a list": "- 1\n",
        "an interpolation": "seed: ${oc.env:HOME}\n",
        "a binary": "\x00\x01",
        "a long line": "a: " + "b" * 10**6,
        "merge keys": "a: &a {b: 1}\nc:\n  <<: *a\n",
    }
    for name, text in yamls.items():

        def change(copied: Path, text: str = text) -> None:
            shutil.rmtree(copied / "checkpoints")
            (copied / "checkpoints").mkdir()
            (copied / "latest").unlink()
            (copied / "config.yaml").write_text(text)

        yield f"YAML with {name}", change, ("resume",)


# Trial --------------------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, object]:
    """What lies outside: names, contents, times of access."""
    return {
        str(path): (path.read_bytes() if path.is_file() and not path.is_symlink() else None, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.name != "pipe"
    }


def attempt(verb: str, run: Path) -> tuple[int, str]:
    """A verb on a run folder: exit code and what was said."""
    match verb:
        case "load":
            try:
                genkit.load(run)
            except GenkitError as error:
                return error.exit_code, f"genkit: error: {error}\n"
            return 0, ""
        case "resume":
            return run_genkit("train", f"resume={run}", "trainer.max_steps=8")
        case "sample":
            return run_genkit("sample", f"ckpt={run}", "n=1", f"out={run.parent / 'out'}")
        case "export":
            return run_genkit("export", f"ckpt={run}", f"out={run.parent / 'out'}")
        case "eval":
            few = ("n=20", "metric=mse", "features=raw", "floor_repeats=0", "bootstrap=0", "cache=false")
            return run_genkit("eval", f"ckpt={run}", f"out={run.parent / 'out'}", *few)
        case _:
            return run_genkit("verify", f"ckpt={run}")


def _late(number: int, frame: object) -> None:
    raise Late


class Watch:
    """Notes every file that this process opens below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened = str(folder), list[str]()
        self.on = False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path.startswith(self.folder) or path in ("/dev/zero", "/proc/self/mem"):
                self.opened.append(path)


def trial(case: Case, run: Path, work: Path, outside: Path, watch: Watch, tally: Tally) -> None:
    name, change, verbs = case
    tally.add("cases")
    before = snapshot(outside)
    for verb in verbs:
        copied = work / "copy"
        shutil.copytree(run, copied, symlinks=True)
        change(copied)
        what = f"{verb}: {name}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        watch.on = True
        signal.alarm(SECONDS)
        try:
            code, said = attempt(verb, copied)
        except Late:
            code, said = -1, ""
            tally.expect(False, "waits", what)
        except Exception as error:
            code, said = -1, f"{type(error).__name__}: {error}"[:300]
            tally.expect(False, "tracebacks", f"{what}: {said}")
        finally:
            signal.alarm(0)
            watch.on = False
        tally.add(f"{verb}: exit {code}")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - peak
        tally.expect("internal error" not in said, "internal errors", f"{what}: {said[-300:]!r}")
        told = code in (0, -1) or ("\n" in said and code in OWN_CODES)
        tally.expect(told, "odd codes", f"{what}: {code}")
        tally.expect(CONTROL.search(said) is None, "raw control characters", f"{what}: {said[:200]!r}")
        tally.expect(len(said) < SCREEN, "more than a screen", f"{what}: {len(said)}")
        tally.expect(grown < MEMORY, "memory", f"{what}: {grown:,} bytes")
        tally.expect(not watch.opened, "reads outside", f"{what}: {watch.opened[:3]}")
        watch.opened.clear()
        tally.expect(before == snapshot(outside), "changes outside", what)
        tally.expect(not Path("canary").exists() and "evil_module" not in sys.modules, "code that ran", what)
        for path in (copied, work / "out"):
            shutil.rmtree(path, ignore_errors=True)


def make_outside(work: Path) -> Path:
    outside = work / "outside"
    (outside / "folder").mkdir(parents=True)
    for name in ("file", "folder/file", "step-00000001.png"):
        (outside / name).write_text("somebody's own\n")
    os.mkfifo(outside / "pipe")
    return outside


def cases(run: Path, outside: Path, n: int, dice: random.Random) -> Iterator[Case]:
    yield from values(run, n, dice)
    yield from entries(outside)
    yield from texts(run)
    yield from sizes(run)
    yield from foreign(run, outside)


def make_run(work: Path) -> Path:
    plan = (
        "trainer.max_steps=6",
        "checkpoint.every_n_steps=6",
        "samples.every_n_steps=0",
        "trainer.log_every_n_steps=1",
    )
    code, said = run_genkit(
        *train("vae", *plan, "data.batch_size=256", "checkpoint.monitor=null", f"run_dir={work / 'run'}")
    )
    assert code == 0, said
    return work / "run"


def main() -> int:
    arguments, tally = options(__doc__, 150), Tally()
    dice = random.Random(arguments.seed)
    signal.signal(signal.SIGALRM, _late)
    with workplace(arguments.folder) as work:
        os.chdir(work)
        sys.path.append(str(work))
        Path("evil_module.py").write_text("open('canary', 'w')\nclass Model: pass\n")
        run, outside = make_run(work), make_outside(work)
        watch = Watch(outside)
        for case in cases(run, outside, arguments.n, dice):
            trial(case, run, work, outside, watch, tally)
        os.chdir(work.parent)
    return tally.conclude("run folders of strangers")


if __name__ == "__main__":
    sys.exit(main())
