"""Options of a training run, checked: its length, its device, and what is written when."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch

from genkit.component import Component, NonNegativeFloat, NonNegativeInt, PositiveInt, Range
from genkit.training.monitor import Mode, improves

Steps = Annotated[int, Range(1, 2**40)]


@dataclass(frozen=True, kw_only=True)
class TrainerOptions(Component):
    """Device, precision and budget.

    Attributes:
        accelerator: "auto" takes a GPU where there is one.
        devices: Processes on each machine, one device each; None takes those that torchrun or srun started, else one.
        num_nodes: Machines; None as for devices.
        strategy: Of several processes: "ddp" averages the gradients, "ddp_find_unused_parameters_true" also looks for
            parameters that a loss leaves out; "auto" does so for models with phases, which need it.
        precision: Lightning's name of a number format. Weights are float32 in all of them, as noise and data are: what
            is drawn while training comes from the same weights. "auto" is bf16-mixed on a GPU that computes in bfloat16
            and 32-true elsewhere.
        tf32: Whether a GPU may round the factors of float32 matrix products and convolutions to ten bits, which is
            called TensorFloat-32.
        channels_last: Whether weights of convolutions lie channels last in memory, as tensor cores read them.
        fused: Whether the optimizer takes a step in one kernel, where it has one.
        compile: Whether the networks are compiled (`genkit.training.compilation`), once, at the first steps.
        data_on_device: Whether data that fit into a quarter of the GPU's free memory lie there.
        max_steps: Optimizer steps, all phases counted.
        accumulate: Micro-batches per optimizer step.
        gradient_clip: Largest norm of the gradient, 0 for none.
        val_every_n_steps: Optimizer steps between validations.
        log_every_n_steps: Optimizer steps between lines of metrics.jsonl.
        deterministic: Refuse operations without a deterministic implementation.
        threads: CPU threads of one operation; None leaves torch's choice. A small network is cheaper on one.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = "auto"
    devices: Annotated[int, Range(1, 4096)] | None = None
    num_nodes: Annotated[int, Range(1, 4096)] | None = None
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "32-true"
    tf32: bool = False
    channels_last: bool = False
    fused: bool = False
    compile: bool = False
    data_on_device: bool = False
    max_steps: Steps = 1000
    accumulate: Annotated[int, Range(1, 65536)] = 1
    gradient_clip: NonNegativeFloat = 1.0
    val_every_n_steps: Steps = 250
    log_every_n_steps: Steps = 10
    deterministic: bool = False
    threads: Annotated[int, Range(1, 4096)] | None = None

    @property
    def number_format(self) -> str:
        """`precision`, on this machine."""
        if self.precision != "auto":
            return self.precision
        gpu = self.accelerator in ("auto", "gpu") and torch.cuda.is_available()
        return "bf16-mixed" if gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"

    def lightning(self) -> dict[str, Any]:
        """The arguments of `lightning.pytorch.Trainer` that these options decide."""
        return {
            "accelerator": self.accelerator,
            "precision": self.number_format,
            "max_steps": self.max_steps,
            "accumulate_grad_batches": self.accumulate,
            "gradient_clip_val": self.gradient_clip or None,
            "val_check_interval": self.val_every_n_steps * self.accumulate,
            "deterministic": self.deterministic,
        }


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions(Component):
    """Steps between checkpoints, and how many are kept. One is always written at the end.

    Attributes:
        every_n_steps: Optimizer steps between checkpoints.
        keep: How many of the newest are kept; `latest` and `best` always are.
        monitor: The validation term that decides `best`, e.g. "val/loss", or a quick score, e.g. "quick/fid"; null
            keeps no best.
        mode: Whether the least or the greatest is best.
    """

    every_n_steps: Steps = 500
    keep: PositiveInt = 2
    monitor: str | None = "val/loss"
    mode: Mode = "min"

    def better(self, score: float, best: float | None) -> bool:
        """Tell whether `score` is finite and beats the best so far."""
        return improves(score, best, self.mode)


@dataclass(frozen=True, kw_only=True)
class QuickOptions(Component):
    """Scores while training, by the metrics that `metric=` names, of few samples against the validation examples.

    Attributes:
        every_n_steps: Optimizer steps between scores, a multiple of those between validations; None: each validation.
        n: Samples, the same noise each time.
    """

    every_n_steps: Steps | None = None
    n: Annotated[int, Range(2, 100_000)] = 200


@dataclass(frozen=True, kw_only=True)
class SampleGridOptions(Component):
    """Pictures and a line on their variety while training: from the same noise each time, so that both evolve.

    Attributes:
        every_n_steps: Optimizer steps between pictures; one more is drawn at the end. 0 for none at all.
        n: Samples in a picture.
        watch_n: Samples whose variety is looked at; None takes those of the picture, at no cost.
    """

    every_n_steps: NonNegativeInt = 250
    n: Annotated[int, Range(1, 100_000)] = 64
    watch_n: Annotated[int, Range(1, 100_000)] | None = None
