"""Several processes of one training, as Lightning sees them: where they are, and how gradients are averaged.

Each process holds all weights and sees a part of each batch; distributed data parallelism averages the gradients of all
before each step (Li et al., 2006.15704). The weights then stay equal without being sent. genkit starts and connects
the processes itself (`genkit.environment`, `genkit.ranks`), so that its own launcher, torchrun and srun are one case,
and none of Lightning's environments requeues a job or kills a process that still has a checkpoint to write.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch.plugins.environments import ClusterEnvironment, LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.environment import Launch, this_launch
from genkit.models.base import GenerativeModel
from genkit.ranks import PATIENCE
from genkit.training.options import TrainerOptions


class AnnouncedEnvironment(ClusterEnvironment):
    """The processes that the environment announced.

    Arguments:
        launch: The place of this process among them.
    """

    def __init__(self, launch: Launch) -> None:
        super().__init__()
        self.launch = launch

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.launch.address

    @property
    def main_port(self) -> int:
        return self.launch.port

    @staticmethod
    def detect() -> bool:
        return this_launch().size > 1

    def world_size(self) -> int:
        return self.launch.size

    def set_world_size(self, size: int) -> None:
        """Nothing: it is what was announced."""

    def global_rank(self) -> int:
        return self.launch.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing: it is what was announced."""

    def local_rank(self) -> int:
        return self.launch.local_rank

    def node_rank(self) -> int:
        return self.launch.node


def environment() -> ClusterEnvironment:
    """Of this process, alone or one of several."""
    launch = this_launch()
    return AnnouncedEnvironment(launch) if launch.size > 1 else LightningEnvironment()


def processes(options: TrainerOptions, model: GenerativeModel | None) -> dict[str, Any]:
    """The arguments of Lightning's Trainer that say how many processes there are and how they average gradients.

    Args:
        options: `strategy` "auto" looks for parameters without gradient where a model has several phases, each of which
            leaves those of the others alone; that costs a walk through the graph of every loss.
        model: What trains; None where it is not known yet.
    """
    launch = this_launch()
    if launch.size == 1:
        return {"devices": 1, "strategy": "auto"}
    phased = model is not None and len(model.trainable()) > 1
    unused = {"auto": phased, "ddp": False, "ddp_find_unused_parameters_true": True}[options.strategy]
    running_statistics = model is not None and any(isinstance(module, _BatchNorm) for module in model.modules())
    strategy = DDPStrategy(
        find_unused_parameters=unused,
        broadcast_buffers=running_statistics,  # of batches, which each process sees its part of
        timeout=PATIENCE,
    )
    return {"devices": launch.local_size, "num_nodes": launch.size // launch.local_size, "strategy": strategy}
