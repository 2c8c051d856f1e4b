"""Samplers against an independent implementation at the same noise levels, with the same denoiser and the same noise.

The numbers are those of diffusers 0.35.1, made by scripts/peer_samplers.py.
"""

import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from diffusion_cases import mixture
from torch import Tensor

from genkit.diffusion.dpm_solver import DPMSolverSampler
from genkit.diffusion.sampler import EulerSampler, HeunSampler
from genkit.diffusion.schedule import Schedule
from genkit.diffusion.stochastic import AncestralSampler, DDIMSampler

PEERS = json.loads(Path(__file__).with_name("peers.json").read_text())["samplers"]
OURS = {
    "ddim": DDIMSampler,
    "ddpm": AncestralSampler,
    "euler": EulerSampler,
    "heun": HeunSampler,
    "dpm_solver": DPMSolverSampler,
    "dpm_solver_sde": partial(DPMSolverSampler, eta=1.0),
}


class Levels(Schedule):
    """The noise levels of a peer at equal steps of t; variance preserving or exploding."""

    def __init__(self, levels: list[float], preserving: bool) -> None:
        self.levels, self.preserving = torch.tensor(levels[::-1], dtype=torch.float64), preserving

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        level = self.levels[(t * (len(self.levels) - 1)).round().long()]
        alpha = (1 + level**2).rsqrt() if self.preserving else torch.ones_like(level)
        return alpha, alpha * level

    def inverse(self, log_snr: Tensor) -> Tensor:
        raise NotImplementedError


class Waves:
    """The numbers that stand for noise in the peer's run: the k-th call is wave(k), from 1 on."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *shape: int) -> Tensor:
        self.calls += 1
        flat = torch.arange(10, dtype=torch.float64) * (self.calls + 1) + 1
        return (math.sqrt(2) * torch.sin(flat)).reshape(5, *shape)


@pytest.mark.parametrize("name", OURS)
def test_a_sampler_ends_where_the_peers_does(name):
    peer = PEERS[name]
    denoiser = mixture(Levels(peer["levels"], peer["preserving"]))
    start, end = (torch.tensor(peer[key], dtype=torch.float64) for key in ("start", "end"))
    got = OURS[name](denoiser=denoiser, steps=len(peer["levels"]))(start, Waves())
    torch.testing.assert_close(got, end, rtol=0, atol=1e-4)


def test_the_runs_differ_among_themselves():
    ends = torch.tensor([PEERS[name]["end"] for name in OURS]).flatten(1)
    assert torch.cdist(ends, ends)[~torch.eye(len(OURS), dtype=torch.bool)].min() > 0.1
