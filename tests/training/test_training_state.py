"""State that belongs to a training alone: it resumes exactly, and neither the average nor an export has it."""

from pathlib import Path

import pytest
import torch
from training_cases import SPEC, averaged, difference, module_of, new, run_in

from genkit.checkpoint.read import find_checkpoint
from genkit.errors import CheckpointError, NumericalError
from genkit.models.energy.contrastive import PersistentCD
from genkit.models.energy.ebm import EBM
from genkit.models.energy.langevin import MALA
from genkit.training.state_checks import TRAINING_STATE, load_training_state


class Chained(EBM):
    """On points of the plane, with few short chains."""

    def __init__(self) -> None:
        super().__init__(spec=SPEC, objective=PersistentCD, sampler=MALA(steps=2, candidates=4))


def module(steps: int = 12):
    return module_of(new(Chained), ema=averaged(), max_steps=steps, accumulate=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One without a stop, and one that went on from its fifth step."""
    straight, resumed = (tmp_path_factory.mktemp("runs") / name for name in ("straight", "resumed"))
    run_in(straight, module())
    run_in(resumed, module(5))
    run_in(resumed, module(), resumes=True)
    return straight, resumed


def test_a_resumed_run_goes_on_with_its_chains(runs: tuple[Path, Path]) -> None:
    ends = [find_checkpoint(folder) for folder in runs]
    assert [end.step for end in ends] == [12, 12]
    (first, _), (second, _) = (end.training() for end in ends)
    assert first.keys() == second.keys()
    assert [name for name in first if TRAINING_STATE in name]
    assert not [name for name, value in first.items() if not torch.equal(value, second[name])]
    for name, value in ends[0].model().items():
        assert torch.equal(value, ends[1].model()[name])


def test_the_stored_model_has_no_chains_and_samples_without(runs: tuple[Path, Path]) -> None:
    stored = find_checkpoint(runs[0]).model()
    assert not [name for name in stored if "chain" in name]
    model = new(Chained)
    model.load_state_dict(stored)
    assert model.training_state() == {}
    assert model.sample(2).shape == (2, 2)


def test_a_training_that_is_lost_ends_with_the_cause(tmp_path: Path) -> None:
    lost = module()
    with torch.no_grad():
        lost.model.network.last.weight.mul_(1e4)  # chains run away from data at once
    cause = r"^step \d+: the energies of data and chains are [^\n]* apart [^\n]*: lower optimizer\.lr[^\n]*$"
    with pytest.raises(NumericalError, match=cause):
        run_in(tmp_path / "lost", lost)


def test_chains_that_are_missing_or_another_models_are_refused() -> None:
    model = new(Chained)
    for state in (None, [], {"chains": 1}, {"chains": torch.zeros(3, 5)}):
        with pytest.raises(CheckpointError, match=rf"^training\.json: {TRAINING_STATE}[^\n]*$"):
            load_training_state(model, state)
    before = new(Chained)
    load_training_state(model, {})
    assert difference(model, before) == 0
