"""The examples of docs/extending.md, outside genkit by `plugins=` and inside by their files."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from pages import ROOT, blocks, commands, files
from PIL import Image
from scipy.stats import ks_2samp

import genkit as package
from genkit.data.sources.toy import Toy
from genkit.data.spec import DataSpec
from genkit.diffusion.denoiser import MixtureDenoiser
from genkit.diffusion.schedule import KarrasSchedule
from genkit.errors import CheckpointError, DataError
from genkit.metrics.base import Probe
from genkit.models.base import Density, GenerativeModel
from genkit.models.stream import stream_samples

PAGE = ROOT / "docs" / "extending.md"
PARTS = {"mixture": "model", "photos": "data", "chain": "data", "bigrams": "model", "readings": "data",
         "marginals": "metric", "midpoint": "sampler", "siren": "backbone", "long_table": "logger"}  # fmt: skip


@pytest.fixture
def example(work):
    """The page's files, photos and a file of numbers in the working directory; the modules are forgotten afterwards."""
    draw = np.random.default_rng(0)
    (work / "my_photos").mkdir()
    for i in range(40):
        pixels = draw.integers(0, 256, (6, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40)).save(work / "my_photos" / f"{i}.jpg")
    rows = draw.normal([40.0, 3e4], [9.0, 1e4], (200, 2))
    np.savetxt(work / "my_readings.csv", rows, delimiter=",", header="age, income", comments="")
    for name, text in files(PAGE).items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, encoding="utf-8")
    yield work
    forget()


def forget() -> None:
    """Every command is a process of its own."""
    for name in PARTS:
        sys.modules.pop(name, None)


def made_of(name: str) -> dict:
    """What the file of an example defines."""
    made: dict = {"__name__": name}
    exec(compile(files(PAGE)[f"{name}.py"], f"{name}.py", "exec"), made)
    return made


def test_each_example_is_one_short_python_file_and_one_yaml():
    written = files(PAGE)
    assert written.keys() == {f"{name}.py" for name in PARTS} | {f"conf/{at}/{name}.yaml" for name, at in PARTS.items()}
    for name in PARTS:
        assert sum(bool(line.strip()) for line in written[f"{name}.py"].splitlines()) <= 45


def test_each_example_says_all_its_arguments_and_takes_them_as_genkit_does():
    """As `tests/contracts` ask of genkit's own: every argument of the constructor stands in the YAML with its value."""
    written = files(PAGE)
    for name, at in PARTS.items():
        node = OmegaConf.to_container(OmegaConf.create(written[f"conf/{at}/{name}.yaml"]))
        node = node.get("model", node)
        module, _, cls = node.pop("_target_").partition(".")
        hints = inspect.signature(made_of(module)[cls].__init__).parameters
        own = {key: hint.default for key, hint in hints.items() if hint.default is not inspect.Parameter.empty}
        given = {"num_classes", "time"} if at == "backbone" else set()
        assert node == {key: value for key, value in own.items() if key not in given}, name


@pytest.mark.slow  # as the other pages are
def test_the_page_can_be_followed_outside_genkit(example, genkit, capsys):
    """Its commands in order; the last one is the refusal of a checkpoint whose plugin was not named."""
    for block in blocks(PAGE):
        if block.language == "console":
            for command in commands(block):
                assert command.words[0] == "genkit"
                forget()
                assert genkit(*command.words[1:]) == command.code, command.words
                if command.code:
                    error = capsys.readouterr().err
                    assert "plugins=[mixture]" in error
                    assert "mixture" not in sys.modules
        elif block.language == "python":
            with pytest.raises(CheckpointError, match=r"plugins=\[mixture\]"):
                package.load("runs/mixture")
            made = {}
            exec(compile(block.text, PAGE.name, "exec"), made)
            assert isinstance(made["model"], GenerativeModel)
            assert isinstance(made["model"], Density)


def test_the_example_learns_and_its_density_is_one(example):
    """Closed forms of the example itself: an unnormalised or wrong model would be a bad example."""
    made = made_of("mixture")
    torch.manual_seed(0)
    data = Toy(n_train=2000)
    model = made["Mixture"](spec=data.spec, components=16)
    side = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(side, side)
    x = data.split("train").x
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-2)
    before = float(model.losses({"x": x}, "model")["loss"].detach())
    for _ in range(60):
        optimizer.zero_grad()
        model.losses({"x": x}, "model")["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        assert float(model.log_prob(grid).double().exp().sum()) * (16 / 400) ** 2 == pytest.approx(1.0, abs=1e-3)
        assert float(model.losses({"x": x}, "model")["loss"]) < before - 0.5
    drawn = torch.cat([x for x, _ in stream_samples(model, 4000, seed=0, batch_size=1000)])
    mean = model.logits.softmax(0) @ model.means
    assert torch.allclose(drawn.mean(0), mean.detach(), atol=0.15)  # four standard errors


@pytest.mark.slow
def test_a_model_of_tokens_goes_through_every_verb(example, genkit, capsys):
    """Trained, resumed, sampled, scored, checked, verified; tokens stay int64 and have exact masses."""
    words = ["--config-dir", "conf", "plugins=[chain,bigrams]", "data=chain", "model=bigrams"]
    own = "plugins=[chain,bigrams]"
    assert genkit("check", *words, "trainer.max_steps=6") == 0
    assert "precision[raw]" in capsys.readouterr().out
    few = ["samples.every_n_steps=2", "metric=[precision,nll]", "quick.n=8"]
    assert genkit("train", *words, *few, "run_dir=run") == 0
    assert genkit("train", "resume=run", own) == 0
    run = example / "run"
    said = capsys.readouterr().out
    assert "warning" not in said
    assert "quick scores at step" in said
    assert {path.name for path in (run / "samples").iterdir()} >= {"step-00000002.png", "step-00000005.png"}
    for seed in (0, 1):
        assert genkit("sample", "ckpt=run", own, f"seed={seed}", f"out=s{seed}", n=200) == 0
    v = np.load(example / "s0" / "samples.npz")["x"]
    assert (v.dtype, v.shape, v.min(), v.max()) == (np.int64, (200, 24), 0, 2)
    assert (example / "s0" / "tokens.png").is_file()
    assert genkit("eval", "ckpt=run", own, "out=scores", n=200) == 0
    rows = {row["metric"]: row for row in json.loads(Path("scores/results.json").read_text())["results"]}
    assert {name for name, row in rows.items() if row["status"] not in ("ok", "warn")} == {"validity"}  # of known texts
    assert {"nll", "bits_per_dim", "log_likelihood_gap", "precision", "nndr"} <= rows.keys()
    assert rows["bits_per_dim"]["value"] == pytest.approx(rows["nll"]["value"] / (24 * np.log(2)))
    assert rows["nll"]["dequantisation"] == "none"
    assert genkit("eval", "samples=s0", "reference=s1", "out=files") == 0
    found = json.loads(Path("files/results.json").read_text())["results"]
    assert {row["metric"] for row in found if row["status"] in ("ok", "warn")} >= {"precision", "recall", "c2st"}
    capsys.readouterr()
    assert genkit("eval", "samples=s0", "reference=s0", "out=copies") == 0
    assert "copies" in capsys.readouterr().out
    assert genkit("verify", "ckpt=run", own) == 0
    assert genkit("sample", "ckpt=run", own, "show=reconstruction", "out=shown") == 2  # it is no reconstructor


def test_the_bigrams_are_a_distribution_and_score_the_chain_at_its_entropy(example):
    made = made_of("chain") | made_of("bigrams")
    data = made["Chain"](length=4, n=4000)
    model, kind = made["Bigrams"](spec=data.spec), data.spec.kind
    every = torch.cartesian_prod(*[torch.arange(3)] * 4)
    with torch.no_grad():
        model.logits.copy_(torch.cat([made["ROWS"], torch.full((1, 3), 1 / 3, dtype=torch.float64)]).log())
        assert float(model.log_prob(every).double().exp().sum()) == pytest.approx(1.0, abs=1e-6)
        assert torch.allclose(model.log_prob(every).double(), data.density.log_prob(every), atol=1e-5)
        drawn = torch.cat([x for x, _ in stream_samples(model, 4000, seed=0, batch_size=1000)])
    assert drawn.dtype == kind.model_dtype == torch.int64
    nll = model.nll(data.split("test").x).detach()
    row = -(made["ROWS"][0] * made["ROWS"][0].log()).sum()  # the entropy of every step, in nats
    assert float(nll.mean()) == pytest.approx(float(np.log(3) + 3 * row), abs=0.1)
    assert torch.allclose(model.bits_per_dim(data.split("test").x), nll.double() / (4 * np.log(2)))
    share = (drawn[:, 1:] == (drawn[:, :-1] + 1) % 3).double().mean()
    assert float(share) == pytest.approx(0.8, abs=0.02)


def test_readings_are_standardised_by_their_training_rows_and_columns_have_names(example):
    data = made_of("readings")["Readings"](root="my_readings.csv")
    train = data.split("train").x.double()
    assert torch.allclose(train.mean(0), torch.zeros(2, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(train.std(0), torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert data.spec.names == ("age", "income")
    rows = torch.cat([data.split(name).x for name in ("train", "val", "test")]) * data.std + data.mean
    written = torch.from_numpy(np.loadtxt("my_readings.csv", delimiter=",", skiprows=1))
    assert torch.allclose(rows.sort(0).values, written.sort(0).values, rtol=1e-5)
    with pytest.raises(DataError, match=r"data.root=conf: no CSV file of numbers"):
        made_of("readings")["Readings"](root="conf")


def test_the_marginal_distance_is_the_two_sample_statistic_of_each_column(example):
    """Of scipy, however the rows are cut into batches; 0 of a set with itself."""
    draw = torch.Generator().manual_seed(0)
    real, fake = torch.randn(50, 3, generator=draw), 1.5 * torch.randn(31, 3, generator=draw).round(decimals=1)
    spec = DataSpec(shape=(3,), modality="vector")

    def score(real, fake):
        metric = made_of("marginals")["MarginalDistance"]()
        for name, rows in (("fake", fake), ("real", real)):
            for batch in rows.split(20):
                metric.update(Probe(spec, {name: partial(torch.clone, batch)}))
        return float(metric.compute())

    known = [ks_2samp(real[:, i].numpy(), fake[:, i].numpy()).statistic for i in range(3)]
    assert score(real, fake) == pytest.approx(np.mean(known), abs=1e-7)
    assert score(real, real.flip(0)) == 0.0


def test_the_midpoint_rule_is_of_second_order(example):
    """With twice the steps the end of a path moves by a quarter: two Gaussians, one path."""
    Midpoint, schedule = made_of("midpoint")["MidpointSampler"], KarrasSchedule(sigma_min=0.5, sigma_max=4.0, rho=1.0)
    means, stds, weights = torch.tensor([[[-1.5], [1.0]], [[0.5], [0.8]], [[0.7], [0.3]]], dtype=torch.float64)
    denoiser = MixtureDenoiser(means, stds[:, 0], weights[:, 0], schedule)
    x_1 = torch.tensor([[3.0]], dtype=torch.float64)

    def end(steps: int) -> float:
        sampler = Midpoint(denoiser=denoiser, steps=steps + 1)
        x = x_1
        for t, s in pairwise(sampler.times(x_1)):
            x = sampler.step(x, t, s)
        return float(x)

    assert (end(80) - end(160)) / (end(160) - end(320)) == pytest.approx(4.0, rel=0.1)


def test_the_network_of_sines_serves_every_shape_and_hears_time_and_label(example):
    Siren = made_of("siren")["Siren"]
    torch.manual_seed(0)
    for in_shape, out_shape in (((2,), (2,)), ((1, 4, 4), (3,)), ((3,), (1, 4, 4))):
        assert Siren(in_shape=in_shape, out_shape=out_shape)(torch.randn(5, *in_shape)).shape == (5, *out_shape)
    net = Siren(in_shape=(2,), out_shape=(2,), num_classes=3, time=True, width=16)
    x, t, y = torch.randn(4, 2), torch.rand(4), torch.tensor([0, 1, 2, 3])
    assert not torch.allclose(net(x, t, y), net(x, t / 2, y))
    assert not torch.allclose(net(x, t, y), net(x, t, y.flip(0)))
    assert torch.allclose(net(x, t, y)[:1], net(x[:1], t[:1], y[:1]), atol=1e-6)


@pytest.mark.slow
def test_inside_genkit_it_is_found_by_the_contract_tests(tmp_path):
    """A copy of the source tree with the files of the examples in their places; of the models, few stay."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("genkit", "conf", "tests/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for file in ("pyproject.toml", "tests/test_layers.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    for file in (tmp_path / "conf" / "model").iterdir():
        if file.stem not in ("diffusion", "vae", "autoencoder"):  # what the primary configuration and models name
            file.unlink()
    written = files(PAGE)
    rooms = {"model": "models", "data": "data/sources", "metric": "metrics", "sampler": "diffusion", "backbone": "nn"}
    for name in ("mixture", "photos", "marginals", "midpoint", "siren"):
        config, room = f"conf/{PARTS[name]}/{name}.yaml", rooms[PARTS[name]]
        Path(tmp_path, "genkit", room, f"{name}.py").write_text(written[f"{name}.py"], encoding="utf-8")
        text = written[config].replace("_target_: ", f"_target_: genkit.{room.replace('/', '.')}.")
        Path(tmp_path, config).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    chosen = "mixture or photos or layers or test_conf and not every_option and not an_experiment"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 30  # the laws of this model among them
    listed = subprocess.run(
        [sys.executable, "-m", "genkit", "list", "models"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert re.search("^mixture +Mixture of diagonal Gaussians", listed.stdout, re.MULTILINE)
