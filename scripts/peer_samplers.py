"""Where another library's samplers take the same noise with the same denoiser: tests/diffusion/peers.json.

    python -m pip install "diffusers==0.35.1" torch==2.13.0     # in an environment of its own
    python scripts/peer_samplers.py > tests/diffusion/peers.json

The denoiser is the exact one of three Gaussians in the plane (tests/diffusion/diffusion_cases.py), written here once
more, so that nothing of genkit is needed. Each entry holds the noise levels that the peer stopped at, where it began
and where it ended, in float64. Its noise is replaced by `wave`, a formula that the test knows too.
"""

import json
import math
from collections.abc import Callable, Iterator

import diffusers
import torch
from diffusers.schedulers import (
    scheduling_ddpm,
    scheduling_dpmsolver_multistep,
)
from torch import Tensor

MEANS = torch.tensor([[-1.5, 0.0], [1.0, 1.0], [0.5, -1.2]], dtype=torch.float64)
STDS = torch.tensor([0.5, 0.8, 0.3], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
STEPS = 12


def posterior_mean(x: Tensor, sigma: float) -> Tensor:
    """E[x | x + sigma ε] of the mixture, (B, 2)."""
    spread = STDS**2 + sigma**2
    gap = x[:, None] - MEANS
    share = (WEIGHTS.log() - spread.log() - gap.square().sum(2) / (2 * spread)).softmax(1)
    return (share[..., None] * (MEANS + (STDS**2 / spread)[:, None] * gap)).sum(1)


def wave(k: int) -> Tensor:
    """What stands for the k-th noise, (5, 2)."""
    return math.sqrt(2) * torch.sin(torch.arange(10, dtype=torch.float64) * (k + 1) + 1).reshape(5, 2)


def waves() -> Callable[..., Tensor]:
    """A stand-in for the peer's source of noise: wave(1), wave(2), … (wave(0) is where it begins)."""
    source: Iterator[Tensor] = map(wave, range(1, 10_000))
    return lambda *args, **kwargs: next(source)


def run(scheduler: object, sigmas: Tensor, *, preserving: bool, answer: str) -> dict[str, object]:
    """Steps a scheduler from the first of its noise levels to data."""
    first = float(sigmas[0])
    x = start = wave(0) * (first / math.sqrt(1 + first**2) if preserving else first)
    levels = [*map(float, sigmas), 0.0]
    for i, t in enumerate(scheduler.timesteps):
        index = i if scheduler.step_index is None else scheduler.step_index
        level = levels[(i + 1) // 2 if answer == "heun" else index]
        alpha = 1 / math.sqrt(1 + level**2) if preserving else 1.0
        mean = posterior_mean(x / alpha, level)
        output = mean if answer == "sample" else (x - alpha * mean) / (alpha * level)
        x = scheduler.step(output, t, x).prev_sample
    return {"levels": levels[:-1], "preserving": preserving, "start": start.tolist(), "end": x.tolist()}


def main() -> None:
    vp = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    found = {}
    for name, cls, options in (
        ("ddim", diffusers.DDIMScheduler, {"clip_sample": False}),
        ("ddpm", diffusers.DDPMScheduler, {"clip_sample": False, "variance_type": "fixed_small"}),
    ):
        scheduling_ddpm.randn_tensor = waves()
        scheduler = cls(**vp, prediction_type="sample", **options)
        scheduler.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
        scheduler.set_timesteps(STEPS)
        kept = scheduler.alphas_cumprod[scheduler.timesteps]
        scheduler.step_index = None
        found[name] = run(scheduler, ((1 - kept) / kept).sqrt(), preserving=True, answer="sample")
    for name, cls, options in (
        ("euler", diffusers.EulerDiscreteScheduler, {"prediction_type": "epsilon"}),
        ("heun", diffusers.HeunDiscreteScheduler, {"prediction_type": "epsilon"}),
        ("dpm_solver", diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
        ("dpm_solver_sde", diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    ):
        scheduling_dpmsolver_multistep.randn_tensor = waves()
        solver = cls is diffusers.DPMSolverMultistepScheduler
        if solver:
            options = {"prediction_type": "sample", "solver_order": 2, "final_sigmas_type": "zero", **options}
        scheduler = cls(**vp, use_karras_sigmas=True, **options)
        scheduler.set_timesteps(STEPS)
        scheduler.sigmas = scheduler.sigmas.double()
        sigmas = scheduler.sigmas[:-1]
        if name == "heun":
            sigmas = torch.cat((sigmas[:1], sigmas[1::2]))
        else:
            scheduler._init_step_index(scheduler.timesteps[0])
        answer = "sample" if solver else name
        found[name] = run(scheduler, sigmas, preserving=solver, answer=answer)
    note = f"made by scripts/peer_samplers.py with diffusers {diffusers.__version__}"
    print(json.dumps({"note": note, "samplers": found}, indent=1))


if __name__ == "__main__":
    main()
