"""The example of docs/extending.md: outside genkit by `plugins=` and `--config-dir`, inside by one file and a YAML."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pages import ROOT, blocks, commands, files

import genkit as package
from genkit.data.toy import Toy
from genkit.errors import CheckpointError
from genkit.models.base import Density, GenerativeModel
from genkit.models.stream import stream_samples

PAGE = ROOT / "docs" / "extending.md"
CODE, CONFIG = "mixture.py", "conf/model/mixture.yaml"


@pytest.fixture
def example(work):
    """The page's files in the working directory; the module is forgotten afterwards."""
    for name, text in files(PAGE).items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, encoding="utf-8")
    yield work
    sys.modules.pop("mixture", None)


def test_the_example_is_one_python_file_and_one_yaml_of_forty_lines():
    written = files(PAGE)
    assert written.keys() == {CODE, CONFIG}
    assert sum(bool(line.strip()) for line in written[CODE].splitlines()) <= 45


def test_the_page_can_be_followed_outside_genkit(example, genkit, capsys):
    """Its commands in order; the last one is the refusal of a checkpoint whose plugin was not named."""
    for block in blocks(PAGE):
        if block.language == "console":
            for words, code in commands(block):
                assert words[0] == "genkit"
                sys.modules.pop("mixture", None)  # every command is a process of its own
                assert genkit(*words[1:]) == code, words
                if code:
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
    made: dict = {}
    exec(compile(files(PAGE)[CODE], CODE, "exec"), made)
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


def test_inside_genkit_it_is_found_by_the_contract_tests(tmp_path):
    """A copy of the source tree with the two files in their places, nothing else touched."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("genkit", "conf", "tests/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for file in ("pyproject.toml", "tests/test_layers.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    written = files(PAGE)
    Path(tmp_path, "genkit/models", CODE).write_text(written[CODE], encoding="utf-8")
    text = written[CONFIG].replace("mixture.Mixture", "genkit.models.mixture.Mixture")
    Path(tmp_path, CONFIG).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "mixture", "-rA"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = [line for line in done.stdout.splitlines() if line.startswith("PASSED")]
    assert any("test_conf.py" in line for line in passed)
    assert any("test_layers.py" in line for line in passed)
    listed = subprocess.run(
        [sys.executable, "-m", "genkit", "list", "models"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert re.search("^mixture +Mixture of diagonal Gaussians", listed.stdout, re.MULTILINE)
