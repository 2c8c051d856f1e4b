"""Lightning's checkpoint dictionary to a genkit checkpoint folder and back.

model.safetensors      the averaged copy where there is one, else the live model
training.safetensors   the live model where an average exists, optimizer state
training.json          step, loop counters, everything else that Lightning and the callbacks keep
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.retention import step_name
from genkit.checkpoint.state import flatten_state, restore_state
from genkit.checkpoint.weights import RAW, without_prefix
from genkit.checkpoint.write import write_checkpoint
from genkit.storage.atomic import discard
from genkit.training.module import AVERAGED, LIVE
from genkit.training.state_checks import check_state, damaged


def _prefixed(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


class FolderCheckpointIO(CheckpointIO):
    """Writes and reads checkpoint folders for Lightning.

    Arguments:
        config: The config.json of every checkpoint of this run.

    Attributes:
        restoring: Whether a checkpoint was read whose state is not yet in place: what fails then is its fault.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.restoring = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """`storage_options`: which of "latest" and "best" name this checkpoint from now on."""
        state = checkpoint["state_dict"]
        live, averaged = without_prefix(state, LIVE), without_prefix(state, AVERAGED)
        rest = {key: value for key, value in checkpoint.items() if key not in ("state_dict", "hyper_parameters")}
        tensors, tree = flatten_state(rest)
        if averaged:
            tensors |= _prefixed(live, RAW)
        folder = Path(path)
        step = checkpoint["global_step"]
        if folder.name != step_name(step):
            raise ValueError(f"{folder}: a checkpoint of step {step:,} is called {step_name(step)}")
        training = {"step": step, "state": tree}
        write_checkpoint(
            folder.parent,
            step,
            config=self.config,
            model=averaged or live,
            training_tensors=tensors,
            training=training,
            pointers=storage_options or (),
        )

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        checkpoint = open_checkpoint(path)
        tensors, training = checkpoint.training()
        raw = without_prefix(tensors, RAW)
        used = checkpoint.model()
        state = _prefixed(raw, LIVE) | _prefixed(used, AVERAGED) if raw else _prefixed(used, LIVE)
        self.restoring = True
        rest = restore_state(training.get("state"), tensors)
        if not isinstance(rest, dict):
            raise damaged("holds no training state")
        check_state(rest, checkpoint.step)
        return rest | {"state_dict": state}

    def remove_checkpoint(self, path: Any) -> None:
        discard(Path(path))
