"""The playground of a run that was trained without one: a frame of each checkpoint that it kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from genkit.assembly.restore import restore
from genkit.assembly.run_facts import facts_of
from genkit.assembly.sampling_model import dataset_of
from genkit.checkpoint.retention import step_folders
from genkit.config.dotted_keys import lookup
from genkit.errors import CheckpointError
from genkit.evaluation.planar_view import PlanarTruth
from genkit.printing import shown
from genkit.report.playground import PlaygroundFrames
from genkit.training.callbacks.playground import CELLS, POINTS, SAMPLES


def draw_run(run: Path, folder: Path, plugins: Sequence[str], tell: Callable[[str], None]) -> PlaygroundFrames:
    """Draw a frame of each checkpoint of a run that the folder has none of, and the page of all.

    Args:
        run: The run folder; nothing in it is changed but this folder.
        folder: Of the playground: `playground/` of the run, or another.
        plugins: Packages besides genkit that the model's classes may come from.
        tell: Takes a line about each frame, and what became of the model.

    Raises:
        CheckpointError: no checkpoint is kept, or one is damaged.
        ConfigError: the run learned no points in the plane, or points whose density is not known.
        StorageError: a file cannot be written.
    """
    kept = sorted(step_folders(run))
    if not kept:
        raise CheckpointError(f"{shown(run)}: no checkpoint is kept, so there is no step to draw: train it again")
    newest, facts = restore(kept[-1], plugins=plugins), facts_of(run)
    dataset = dataset_of(newest, {}, plugins)
    seed = facts.info.get("seed")
    truth = PlanarTruth(dataset, CELLS, POINTS, f"genkit play {shown(run)}")
    frames = PlaygroundFrames(folder, facts.title, truth, SAMPLES, seed if type(seed) is int else 0)
    last, planned = newest.checkpoint.step, lookup(facts.config, "trainer.max_steps")
    frames.take_up(last)
    there = {frame["step"] for frame in frames.frames}
    for place in kept:
        found = newest if place == kept[-1] else restore(place, plugins=plugins)
        step = found.checkpoint.step
        if step in there:
            continue
        said = frames.draw(found.model, step, planned if type(planned) is int else last, whole=step == last)
        tell(f"playground at step {step:,}: {said}")
    tell(f"playground: {frames.close()}: {shown(frames.page)}")
    return frames
