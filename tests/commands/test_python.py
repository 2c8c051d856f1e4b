"""genkit from Python: models that learn, samples by a seed, verbs as functions; nothing of the caller's is touched."""

import builtins
import io
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import MLP, QUICK, done, lines, mostly_slow, run_json
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from rich.console import Console

import genkit as package
from genkit.api import words_of
from genkit.cli import VERBS
from genkit.data.sources.digits import Digits
from genkit.data.sources.toy import Toy
from genkit.errors import CheckpointError, ConfigError, DataError, GenkitError
from genkit.report.console import make_console
from genkit.training.module import GenerativeModule

FAMILIES = ["vae", "autoencoder", "diffusion", "gan", "flow"]


@pytest.fixture(params=mostly_slow(FAMILIES, "vae", "diffusion"))
def run(request):
    return request.getfixturevalue(request.param)


def drawn() -> tuple[float, float, float]:
    """The next number of each global generator."""
    return float(torch.randn(1)), float(np.random.random()), random.random()


def seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_a_loaded_model_learns(run, weights):
    model = package.load(run, weights=weights).train()
    data = (Toy(n_train=50) if model.spec.modality == "vector" else Digits()).split("train")
    batch = {"x": model.spec.scale(data.x[:16]), "y": data.y[:16]}
    parts = model.trainable()
    learning = {id(p) for part in parts.values() for p in part.parameters()}
    assert {id(p) for p in model.parameters() if p.requires_grad} == learning
    for phase, part in parts.items():
        model.losses(batch, phase)["loss"].backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())


def test_a_model_samples_by_a_seed_what_the_command_samples(run):
    done("sample", f"ckpt={run}", "n=6", "seed=3", "out=drawn")
    with np.load("drawn/samples.npz") as file:
        stored = torch.from_numpy(file["x"])
    model = package.load(run)
    x = model.spec.unscale(model.sample(6, seed=3))
    assert torch.equal(x.movedim(1, -1) if model.spec.modality == "image" else x, stored)


TINY = ("model=vae", *MLP, "model.latent_dim=4", *QUICK)
LANGEVIN = {"posterior": "latent_langevin", "posterior.pool": 50, "posterior.steps": 2, "posterior.langevin_steps": 2}
FEW = {"n": 16, "bootstrap": 2, "floor_repeats": 2}


def refused(call, **keys) -> None:
    with pytest.raises(GenkitError):
        call(**keys)


CALLS = {
    "load": lambda run: package.load(run),
    "model.sample": lambda run: package.load(run).sample(2),
    "model.nll": lambda run: package.load(run).nll(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)),
    "picture": lambda run: package.picture(torch.zeros(2, 1, 8, 8), package.load(run)),
    "sample": lambda run: package.sample(ckpt=run, n=4),
    "show": lambda run: package.sample(ckpt=run, show="reconstruction", n=4),
    "evaluate": lambda run: package.evaluate(FEW, ckpt=run, metric=["c2st", "kid"], baselines=True),
    "train": lambda run: package.train(*TINY, "trainer.max_steps=2", "trainer.threads=1"),
    "refused": lambda run: refused(package.train, model="vea"),
    "complete": lambda run: package.complete(LANGEVIN, ckpt=run, known="upper", n=2),
    "failed": lambda run: refused(package.sample, ckpt=run / "run.json"),
}


def process() -> tuple:
    """What there is one of in a process."""
    return (
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg, list(sys.argv), dict(os.environ), os.getcwd(),
        torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)],
    )  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_leaves_the_process_as_it_was(vae, name):
    seeded()
    expected, before = drawn(), process()
    seeded()
    CALLS[name](vae)
    assert drawn() == expected
    assert process() == before


def test_python_trains_samples_and_scores_what_the_commands_do(work):
    """The same bytes, and what is returned is what the files hold."""
    run = package.train(
        {"model": "vae", "backbone": "mlp", "trainer": {"max_steps": 4, "log_every_n_steps": 2}},
        *TINY,
        run_dir=Path("a b"),
    )
    done("train", *TINY, "trainer.max_steps=4", "trainer.log_every_n_steps=2", "run_dir=c")
    weights = "checkpoints/step-00000004/model.safetensors"
    assert (run.path / weights).read_bytes() == Path("c", weights).read_bytes()
    assert (run.path.name, run.step, run.info) == ("a b", 4, run_json(run.path))
    assert run.metrics == lines(run.path)
    command = run_json(run.path)["command"]
    assert command.startswith("genkit train ")
    assert {"model=vae", "trainer.max_steps=4", "run_dir=a b"} <= set(shlex.split(command))
    longer = package.train(resume=run.path, **{"trainer.max_steps": 6})
    assert (longer.path.name, longer.step) == ("a b", 6)

    samples = package.sample(ckpt="c", n=5, seed=2, out="s")
    done("sample", "ckpt=c", "n=5", "seed=2", "out=t")
    with np.load("t/samples.npz") as file:
        assert torch.equal(samples.x, torch.from_numpy(file["x"]).movedim(-1, 1))
    model = package.load("c")
    assert torch.equal(model.spec.unscale(model.sample(5, seed=2)), samples.x)
    assert samples.picture.read_bytes() == Path("t/grid.png").read_bytes()

    scores = package.evaluate(FEW, ckpt=["c", longer.path.name], metric=["fid", "coverage"], out="e")
    stored = json.loads(Path("e/results.json").read_text())["results"]
    assert [(r.metric, r.source, r.value) for r in scores.records] == [
        (r["metric"], r["source"], r["value"]) for r in stored
    ]
    assert scores.value("coverage", scores.records[-1].source) == stored[-1]["value"]
    assert scores.value("fid[digits]") == scores.value("fid") == stored[0]["value"]
    assert [each["metric"] for each in scores.rows()] == [r["name"] for r in stored]
    assert "fid[digits]" in str(scores)
    with pytest.raises(ConfigError, match="kid: not scored here; there are fid of"):
        scores.value("kid")


def test_a_run_gives_its_model(vae, work):
    run = package.train(*TINY, "trainer.max_steps=1", "run_dir=one")
    assert torch.equal(run.model().sample(3), package.load("one").sample(3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: package.train("model=vea"), ConfigError, "did you mean"),
        (lambda: package.train(modle="vae"), ConfigError, "modle"),
        (lambda: package.train(model="vae", seed="abc"), ConfigError, "seed"),
        (lambda: package.train("-m", "seed=1,2"), ConfigError, "-m: give words as key=value"),
        (lambda: package.train("--help"), ConfigError, "flags belong to the command line"),
        (lambda: package.train(3), ConfigError, "give words as key=value"),
        (lambda: package.train(model="vae", seed=object()), ConfigError, "seed: object is no value"),
        (lambda: package.train(model="vae", seed=[1, 2]), ConfigError, "seed"),
        (lambda: package.train(model="vae", **{"optimizer.lr": -1}), ConfigError, "optimizer.lr"),
        (lambda: package.sample(ckpt="none"), CheckpointError, "none"),
        (lambda: package.sample(), GenkitError, "ckpt"),
        (lambda: package.evaluate(samples="none.npz", data="digits"), DataError, "none.npz"),
        (lambda: package.evaluate(ckpt="none", reference="x"), GenkitError, "none|reference"),
        (lambda: package.load("none"), CheckpointError, "none"),
    ],
)
def test_what_is_wrong_is_raised_as_one_line(work, capsys, call, error, words):
    with pytest.raises(error, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().err == ""
    assert not any(work.iterdir())


def test_words_are_those_of_the_command_line():
    keys = {"trainer": {"max_steps": 3, "threads": None}, "model.conditional": True, "metric": ["fid", "kid"],
            "optimizer.lr": 1e-5, "run_dir": Path("a b"), "ckpt": [Path("x"), "y"]}  # fmt: skip
    assert words_of(("model=vae", keys), {"seed": 1}) == [
        "model=vae", "trainer.max_steps=3", "trainer.threads=null", "model.conditional=true", "metric=[fid,kid]",
        "optimizer.lr=1e-05", "run_dir=a b", "ckpt=[x,y]", "seed=1",
    ]  # fmt: skip


def test_threads_train_one_after_the_other(work):
    """Outside the main thread, where Python allows no signal handlers, as a server's and some notebooks' cells are."""
    made, failed = [], []

    def train(seed: int) -> None:
        try:
            made.append(package.train(*TINY, "trainer.max_steps=2", seed=seed, run_dir=f"run-{seed}"))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=train, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(run.path.name for run in made) == ["run-0", "run-1"]
    assert [run_json(run.path)["seed"] for run in sorted(made, key=lambda run: run.path)] == [0, 1]


def test_a_signal_keeps_a_checkpoint_and_then_reaches_the_caller(work, monkeypatch):
    step_of = GenerativeModule.training_step

    def training_step(self, *args):
        if self.global_step == 2:
            signal.raise_signal(signal.SIGINT)
        return step_of(self, *args)

    monkeypatch.setattr(GenerativeModule, "training_step", training_step)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            package.train(*TINY, "trainer.max_steps=9", run_dir="run")
    finally:
        signal.signal(signal.SIGINT, before)
    assert run_json(Path("run"))["status"] == "interrupted"
    assert package.train(resume="run").step == 9


def test_pictures_of_what_a_model_makes(vae, flow):
    model = package.load(vae)
    x = model.sample(6)
    assert package.picture(x, model).tobytes() == package.picture(x, model.spec).tobytes()
    assert package.picture(model.decode(torch.zeros(2, 4)), model).size != package.picture(x, model).size
    points = package.load(flow)
    assert min(package.picture(points.sample(9), points, "flow").size) > 100
    for wrong, of in ((x[0], model), (x[:0], model), (points.sample(2)[0], points)):
        with pytest.raises(DataError):
            package.picture(wrong, of)


def test_importing_genkit_imports_nothing_heavy():
    code = (
        "import sys, genkit; genkit.load, genkit.picture, dir(genkit);"
        " print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "hydra", "omegaconf", "lightning", "rich", "PIL", "matplotlib"} & set(found)


def test_training_twice_leaves_no_more_warning_filters_than_once(work):
    package.train(*TINY, "trainer.max_steps=1")
    filters = list(warnings.filters)
    package.train(*TINY, "trainer.max_steps=1")
    assert list(warnings.filters) == filters


def test_a_notebook_is_written_to_as_a_pipe(monkeypatch):
    """Where rich sees a notebook it would show its output by itself, whatever file it was given."""
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr(builtins, "get_ipython", shell, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert Console().is_jupyter
    out = io.StringIO()
    console = make_console(file=out)
    with console.status("scoring"), warnings.catch_warnings(action="error"):
        console.print("x" * 90)
    assert out.getvalue() == "x" * 90 + "\n"
    assert not console.is_interactive


def test_python_uses_a_model_as_the_commands_do(vae, work):
    """The folder, the rows of results.json, pictures and arrays; a compressed file and back."""
    filled = package.complete(LANGEVIN, ckpt=vae, known="upper", n=3, draws=2, out="filled")
    stored = json.loads(Path("filled/results.json").read_text())["results"]
    assert (filled.path, list(filled.rows)) == (Path("filled").resolve(), stored)
    assert filled.value("rmse", source="mean fill") == next(
        r["value"] for r in stored if (r["score"], r["source"]) == ("rmse", "mean fill")
    )
    assert filled.x.shape == (6, 1, 8, 8)
    assert filled.pictures == (filled.path / "complete.png",)
    assert filled._repr_png_() == filled.pictures[0].read_bytes()
    with pytest.raises(ConfigError, match="fid: no such score here; there are feature_distance"):
        filled.value("fid")

    file = package.compress(ckpt=vae, n=3, out="digits.gk")
    again = package.decompress(input=file.path, ckpt=vae, out="again")
    assert torch.equal(again.x[:, :, :4], filled.x[::2, :, :4])  # the same examples, whose upper half was known


def test_every_verb_of_python_is_a_verb_of_the_command_line():
    own = {"load", "picture", "__version__"}
    assert {{"evaluate": "eval"}.get(name, name) for name in package.__all__ if name not in own} <= set(VERBS)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'vea'"):
        package.vea  # noqa: B018
