"""`genkit check …`: the words of a `genkit train`, tried out: every part once, nothing kept.

A few real steps, a validation, quick scores, a picture, a checkpoint written and read back, samples from what was read,
one metric of them; all in a temporary folder. What it prints is measured here: parameters, milliseconds of each of
these, memory, and what the whole will take of time and disk.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from genkit.assembly.batch_search import fitted, is_automatic, provisional
from genkit.assembly.budgeting import budget_of, planned_from, refuse_both
from genkit.assembly.expected_cost import disk_line, time_line
from genkit.assembly.labels import dataset_name
from genkit.assembly.nested_models import embed
from genkit.assembly.restore import restore
from genkit.assembly.run import Parts, build_parts
from genkit.assembly.run_length import short_run
from genkit.assembly.start_weights import begin
from genkit.assembly.trial import measured
from genkit.commands.train import less_memory
from genkit.config.budget import Budget
from genkit.config.build import build
from genkit.config.hydra.launch import compose_option
from genkit.config.memory import memory_errors, shown_bytes
from genkit.config.settings import RunSettings, TrainSettings
from genkit.errors import ConfigError, GenkitError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import ModelSource
from genkit.features.default import default_features
from genkit.metrics.base import ProbeMetric
from genkit.models.base import GenerativeModel
from genkit.models.stream import stream_samples
from genkit.report.console import make_console
from genkit.stopwatch import Stopwatch, of_command
from genkit.training.plan import Costs

SECONDS = 0.5  # in which steps are timed
SAMPLES = 32
METRIC = "precision"  # asks for samples alone, of any data that features are known for


def run(settings: TrainSettings) -> None:
    """Prints a line for each part that works; raises what the first one that does not raises."""
    stopwatch = of_command()
    if given := [key for key in ("resume", "run_dir") if getattr(settings, key) is not None]:
        raise ConfigError(f"{given[0]}=: genkit check keeps nothing: leave it out")
    budget = budget_of(settings.config)
    if budget is not None:
        refuse_both()
    console = make_console()
    config, start = begin(settings)
    config, models = embed(config)
    new = RunSettings.of(config)
    automatic = is_automatic(new)
    parts = build_parts(provisional(new) if automatic else new, given=models, start=start)
    if automatic:
        new, line = fitted(parts, new)
        console.print(line, soft_wrap=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="genkit-check-") as scratch, memory_errors(less_memory(parts)):
        for line in _tried(parts, new, Path(scratch), budget, stopwatch):
            console.print(line, soft_wrap=True)


def _tried(
    parts: Parts, settings: RunSettings, scratch: Path, budget: Budget | None, stopwatch: Stopwatch
) -> Iterator[str]:
    yield _data(parts)
    yield _model(parts)
    if budget is None and (note := short_run(parts)) is not None:
        yield note
    processors = budget is not None and budget.clock == "cpu"
    costs, first = measured(parts, settings, scratch, SECONDS, stopwatch.cpu if processors else stopwatch.wall)
    spent = stopwatch.cpu() if processors else stopwatch.wall()
    yield f"training    {_ms(costs.step)} a step (the first {_ms(first)})"
    yield f"validation  {_ms(costs.validation)}{_more(parts, costs)}"
    started = time.perf_counter()
    model, size = _read_back(parts, settings, scratch)
    took = f"written in {_ms(costs.checkpoint)}, read back to the last bit in {_since(started)}"
    yield f"checkpoint  {shown_bytes(size)}, {took}"
    started = time.perf_counter()
    yield f"samples     {SAMPLES} drawn{_scored(model, parts, settings, started)}"
    yield f"memory      {shown_bytes(_peak(parts))} at most, {_share(parts)} of them weights, gradients and optimizer"
    if budget is not None:
        settings, parts = planned_from(parts, settings, budget, costs, spent)
        every = parts.trainer.val_every_n_steps
        steps, typed = parts.trainer.max_steps, settings.config["budget"]
        yield f"budget      {steps:,} steps in {typed}, a validation every {every:,}"
    yield f"{'CPU time' if processors else 'time':<12}{time_line(parts, costs)}"
    yield f"disk        {disk_line(parts, scratch, size, Path('outputs'))}"
    if (n := (parts.trainer.devices or 1) * (parts.trainer.num_nodes or 1)) > 1:
        yield f"processes   all of this is of one process; in {n} each takes it, and time for the gradients of all"


def _more(parts: Parts, costs: Costs) -> str:
    scores = "" if parts.quick is None else f", quick scores {_ms(costs.score)}"
    return f"{scores}, a picture {_ms(costs.picture)}" if parts.samples.every_n_steps else scores


def _data(parts: Parts) -> str:
    spec, sizes = parts.dataset.spec, {name: len(parts.dataset.split(name)) for name in ("train", "val", "test")}
    shape = "x".join(map(str, spec.shape))
    return f"data        {' + '.join(f'{size:,} {name}' for name, size in sizes.items())} examples of {shape}"


def _model(parts: Parts) -> str:
    sizes = {phase: sum(p.numel() for p in learning) for phase, learning in parts.module.learns.items()}
    shares = "" if len(sizes) == 1 else f" ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})"
    return f"model       {sum(sizes.values()):,} parameters{shares}"


def _read_back(parts: Parts, settings: RunSettings, scratch: Path) -> tuple[GenerativeModel, int]:
    """The model of the checkpoint, and the checkpoint's size; raises GenkitError where it is not the model trained."""
    found = restore(scratch, plugins=settings.plugins)
    trained = {name: value.cpu() for name, value in parts.module.stored_model.state_dict().items()}
    for name, value in found.model.state_dict().items():
        if not torch.equal(value, trained[name]) and not bool(torch.isnan(value).any()):
            raise GenkitError(f"checkpoint: {name} does not come back as it was: report this as a bug")
    return found.model.requires_grad_(False), sum(entry.bytes for entry in found.checkpoint.manifest.files.values())


def _scored(model: GenerativeModel, parts: Parts, settings: RunSettings, started: float) -> str:
    """Draw samples and score them, where the data has features to score them in: " and scored in 30 ms: …"."""
    node = compose_option("metric", METRIC)[METRIC]
    metrics = {METRIC: build(node, at=f"metric.{METRIC}", expect=ProbeMetric)}
    reference = Reference.of(parts.dataset, dataset_name(settings.data))
    evaluator = Evaluator(
        metrics,
        default_features(reference.spec, reference.features),
        reference,
        named=True,
        floor_repeats=0,
        bootstrap_repeats=0,
        device=parts.module.device,
    )
    source = ModelSource(model.to(parts.module.device), SAMPLES)
    if reason := evaluator.obstacles(source).get(METRIC):
        for x, _ in stream_samples(source.model, SAMPLES, seed=settings.seed, batch_size=SAMPLES):
            model.spec.unscale(x)
        return f" in {_since(started)}, and not scored: {reason}"
    record = evaluator.score(source)[0]
    return f" and scored in {_since(started)}: {record.name} {record.value} so far"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 0.1 else f"{1000 * seconds:.0f} ms"


def _since(started: float) -> str:
    return _ms(time.perf_counter() - started)


def _peak(parts: Parts) -> int:
    """Bytes of memory that this process, or its GPU, has held at once."""
    if parts.module.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _share(parts: Parts) -> str:
    weights = sum(p.numel() * p.element_size() for p in parts.module.model.parameters())
    return shown_bytes(weights * (5 if parts.module.ema is not None else 4))  # gradient, average, two moments
