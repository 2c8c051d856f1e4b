"""A configuration folder of its own: the real primary configurations over stub groups."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from genkit import cli
from genkit.config.hydra import catalog

STUBS = {
    "model/diffusion": (
        "# @package _global_\nmodel: {_target_: m.D, latent_dim: 16, backbone: '${backbone}'}\noptimizer: {lr: 5e-4}\n"
    ),
    "model/gan": (
        "# @package _global_\ndefaults:\n  - override /optimizer: adam\n"
        "model: {_target_: m.G, latent_dim: 8, backbone: '${backbone}'}\noptimizer: {lr: 7e-4}\nema: {decay: 0.5}\n"
    ),
    "model/plain": "_target_: m.P\nbackbone: ${backbone}\n",
    "data/digits": "_target_: d.Digits\nbatch_size: 8\n",
    "data/mnist": "_target_: d.MNIST\nroot: null\nbatch_size: 8\n",
    "backbone/unet": "_target_: b.UNet\nwidth: 32\n",
    "schedule/cosine": "_target_: s.Cosine\n",
    "sampler/heun": "_target_: s.Heun\nsteps: 18\nchurn: 0.0\n",
    "interpolation/slerp": "_target_: i.Slerp\n",
    "sampler/once": "_target_: s.Once\n",
    "optimizer/adam": "_target_: o.Adam\nlr: 0.1\nbetas: [0.9, 0.999]\n",
    "optimizer/adamw": "_target_: o.AdamW\nlr: 0.2\nweight_decay: 0.01\n",
    "optimizer/sgd": "_target_: o.SGD\nlr: 0.3\nmomentum: 0.9\n",
    "lr_schedule/cosine": "_target_: l.Cosine\nwarmup_steps: 10\n",
    "trainer/auto": "_target_: t.Trainer\nmax_steps: 100\n",
    "trainer/cpu": "_target_: t.Trainer\nmax_steps: 100\n",
    "logger/tensorboard": "_target_: g.TensorBoard\n",
    "metric/fid": "# @package metric.fid\n_target_: m.FID\n",
    "metric/kid": "# @package metric.kid\n_target_: m.KID\ndegree: 3\n",
    "metric/suite/image": "# @package _global_\ndefaults:\n  - /metric/fid\n  - /metric/kid\n",
    "features/raw": "_target_: f.Raw\nnormalize: std\n",
    "experiment/fast": (
        "# @package _global_\ndefaults:\n  - override /model: gan\n  - override /backbone: unet\n"
        "seed: 7\noptimizer: {lr: 9e-4}\n"
    ),
}
RAN: list[dict] = []
STUB = "stub_of_the_verbs"


def run(settings):
    """What stands in the place of the verbs: keeps the configuration, fails as its seed says."""
    from genkit.errors import DataError

    plain = settings.config
    RAN.append(plain)
    if plain["seed"] == 2:
        raise DataError("two\nlines")
    if plain["seed"] == 3:
        raise RuntimeError("boom")
    return 1.0


@pytest.fixture
def conf(tmp_path, monkeypatch) -> Path:
    """The folder; the process works in an empty folder beside it."""
    folder, work = tmp_path / "conf", tmp_path / "work"
    for name, text in STUBS.items():
        (folder / name).with_suffix(".yaml").parent.mkdir(parents=True, exist_ok=True)
        (folder / name).with_suffix(".yaml").write_text(text)
    for file in catalog.conf_dir().glob("*.yaml"):
        shutil.copy(file, folder)
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(catalog, "PACKAGE", tmp_path / "genkit")
    # by a name of its own: several folders have a conftest, and an import of that name finds any of them
    monkeypatch.setitem(sys.modules, STUB, SimpleNamespace(run=run))
    for verb in ("train", "sample", "eval"):
        monkeypatch.setitem(cli.VERBS, verb, cli.VERBS[verb]._replace(target=f"{STUB}:run"))
    RAN.clear()
    return folder


@pytest.fixture
def genkit(conf, capsys):
    """genkit("train", "seed=1") -> (exit code, configurations of the jobs that ran, stderr)."""

    def call(*argv: str) -> tuple[int, list[dict], str]:
        RAN.clear()
        code = cli.main(list(argv))
        return code, json.loads(json.dumps(RAN)), capsys.readouterr().err

    return call
