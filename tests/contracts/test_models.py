"""Every YAML under conf/model/ keeps the contract of `genkit.models.base`, on vectors, small and larger images.

A new model is tested by its YAML standing there; the laws are in this file, the building in `model_contract.py`.
"""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from model_contract import EVERYWHERE, OF_FEW_VALUES, OF_IMAGES, Case, Subject, cases, quick, trained
from rich.console import Console
from rich.text import Text
from torch import Tensor

from genkit.batch_noise import by_example, share_of_batch
from genkit.config.hydra import catalog
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.words import Words
from genkit.data.kinds import Categorical
from genkit.data.spec import Batch, DataSpec
from genkit.errors import ConfigError, DataError
from genkit.models.base import Conditional, Decoder, Density, Encoder, GenerativeModel, LatentBound, Reconstructor
from genkit.models.conditional import labels_for
from genkit.models.training_state import TrainingState
from genkit.noise import SampleNoise, generator_of
from genkit.report.progress_row import ProgressRow

# what follows the batches by design: a codebook's running means, the vectors of a power iteration
RUNNING = ("quantizer.usage", "quantizer.sums", "parametrizations.weight.0._u", "parametrizations.weight.0._v")
# whose losses couple the examples of a batch: optimal transport between them, statistics of the aggregate posterior,
# one estimate of log Z for all, samples that move each other
COUPLED = ("ot_cfm", "info_vae", "beta_tc_vae", "ebm", "drifting")
Law = TypeVar("Law", bound=Callable[..., None])
MODELS = list(Catalog.of(Words()).options("model"))
CASES = list(cases(MODELS))
QUICK = set(quick(CASES))
PLAINEST_FIRST = sorted(CASES, key=lambda case: case.model not in EVERYWHERE)


@pytest.fixture(scope="module")
def subject(request) -> Subject:
    return trained(request.param)


def pytest_generate_tests(metafunc):
    """A law is asked of the models that it speaks of; those of one model stand together, on one worker."""
    if metafunc.cls is TestEveryModel and "subject" in metafunc.fixturenames:
        applies = getattr(metafunc.function, "applies", lambda case: True)
        asked = [case for case in CASES if applies(case)]
        slow = pytest.mark.slow
        marked = [
            pytest.param(case, marks=() if soon(metafunc.function, case) else slow, id=str(case)) for case in asked
        ]
        metafunc.parametrize("subject", marked, indirect=True, scope="module")


def only(applies: Callable[[Case], bool]) -> Callable[[Law], Law]:
    """Marks a law of some models."""

    def marked(law: Law) -> Law:
        law.applies = applies
        return law

    return marked


def of_code(law: Law) -> Law:
    """Marks a law that a class keeps whatever it is made of: `make test` asks its plainest model alone."""
    law.of_code = True
    return law


def able(*abilities: type) -> Callable[[Case], bool]:
    """The models that have an ability."""
    return lambda case: issubclass(case.cls, abilities)


def plain(case: Case) -> bool:
    """Tell whether a case is of the plainest model of its class."""
    return case.model == next(one.model for one in PLAINEST_FIRST if one.cls is case.cls)


def soon(law: Callable[..., None], case: Case) -> bool:
    """Tell whether `make test` asks it."""
    return case in QUICK and (plain(case) or not getattr(law, "of_code", False))


def finite(*values: Tensor) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in values)


def copy_of(model: GenerativeModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def own_state(model: GenerativeModel) -> dict[str, Tensor]:
    """What else its training has: chains."""
    found = model.training_state() if isinstance(model, TrainingState) else {}
    return {name: value.clone() for name, value in found.items()}


def go_back(model: GenerativeModel, start: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """To an earlier state, that of its training included."""
    model.load_state_dict(start)
    if isinstance(model, TrainingState):
        model.load_training_state(own)


def moved(model: GenerativeModel, start: dict[str, Tensor]) -> set[str]:
    """What of a model's state is no longer as it was."""
    return {name for name, value in model.state_dict().items() if not torch.equal(value, start[name])}


def gradients(model: GenerativeModel, batch: Batch, phase: str) -> Tensor:
    """Of all weights that a phase trains, in one vector."""
    model.zero_grad()
    model.losses(batch, phase)["loss"].backward()
    found = [p.grad for p in model.trainable()[phase].parameters() if p.grad is not None]
    model.zero_grad()
    return torch.cat([each.flatten() for each in found])


def once(case: Case) -> bool:
    """Each model on one kind of data: what no shape of the data changes."""
    return case == next(one for one in CASES if (one.model, one.conditional) == (case.model, case.conditional))


class Laws:
    """What holds for any model; `subject` says which."""

    def test_losses_are_finite_scalars_with_a_loss_in_both_modes(self, subject):
        for training in (True, False):
            subject.model.train(training)
            for phase in subject.model.phases:
                terms = subject.model.losses(subject.batch, phase)
                assert "loss" in terms
                assert all(value.shape == () for value in terms.values())
                assert finite(*terms.values())
        subject.model.eval()

    @only(once)
    def test_losses_are_a_function_of_weights_batch_and_noise(self, subject):
        """Twice the same, from the start on; of the state they move running statistics alone."""
        model = subject.case.build().train()
        buffers = {name for name, _ in model.named_buffers()}
        for training, phase in product((True, False), dict.fromkeys(model.phases)):
            model.train(training)
            start = copy_of(model)
            model.losses(subject.batch, phase)
            allowed = RUNNING if training else ()
            assert not [name for name in moved(model, start) & buffers if not name.endswith(allowed)]
            start, own = copy_of(model), own_state(model)  # a constraint has moved the weights by now
            torch.manual_seed(1)
            terms = model.losses(subject.batch, phase)
            assert not [name for name in moved(model, start) if not name.endswith(allowed)]
            go_back(model, start, own)
            torch.manual_seed(1)
            again = model.losses(subject.batch, phase)
            assert {name: term.item() for name, term in again.items()} == {n: term.item() for n, term in terms.items()}

    @only(lambda case: once(case) and case.model not in COUPLED)
    def test_its_noise_goes_by_position(self, subject):
        """Halves of a batch have the gradients of the whole; a validation in parts has its loss."""
        model, batch = subject.model, subject.batch
        n = len(batch["x"]) // 2
        halves = [{name: value[at : at + n] for name, value in batch.items()} for at in (0, n)]
        start, own = copy_of(model), own_state(model)
        for phase in dict.fromkeys(model.phases):
            torch.manual_seed(3)
            whole = gradients(model.train(), batch, phase)
            parts = []
            for rank, half in enumerate(halves):
                go_back(model, start, own)
                with share_of_batch(3, rank, 2):
                    parts.append(gradients(model, half, phase))
            go_back(model, start, own)
            torch.testing.assert_close(
                (parts[0] + parts[1]) / 2, whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max())
            )
            model.eval()
            means = []
            for size in (2 * n, 7):
                total = 0.0
                for at in range(0, 2 * n, size):
                    part = {name: value[at : at + size] for name, value in batch.items()}
                    with by_example(3, at), torch.no_grad():
                        total += len(part["x"]) * model.losses(part, phase)["loss"].item()
                means.append(total / (2 * n))
            assert means[1] == pytest.approx(means[0], rel=1e-4)

    @only(once)
    def test_its_losses_leave_room_for_the_progress(self, subject):
        """Step, total, rate and time left stand in full beside the names of this model's losses."""
        model = subject.model
        parts = {phase: model.losses(subject.batch, phase) for phase in dict.fromkeys(model.phases)}
        losses = {f"train/{phase}/{name}" if len(parts) > 1 else f"train/{name}": 1234.567
                  for phase, terms in parts.items() for name in terms}  # fmt: skip
        for width in (60, 80, 120):
            out = io.StringIO()
            Console(width=width, file=out, force_terminal=True).print(ProgressRow(12_345, 200_000, 12.34, losses))
            line = Text.from_ansi(out.getvalue()).plain
            assert line.startswith("step  12,345/200,000 ━━━━")
            assert "━ 12.3 steps/s, 4:13:27 left" in line
            assert len(line) <= width
            assert line.endswith(("left", "…", "1235"))

    @of_code
    def test_a_batch_of_one_has_losses_too(self, subject):
        one = {name: value[:1] for name, value in subject.batch.items()}
        for phase in subject.model.phases:
            assert finite(subject.model.losses(one, phase)["loss"])

    def test_every_phase_trains_its_own_module_and_all_of_it(self, subject):
        model = subject.model.train()
        parts = model.trainable()
        assert set(parts) == set(model.phases)
        ids = [id(p) for part in parts.values() for p in part.parameters()]
        assert len(ids) == len(set(ids))
        assert set(ids) <= {id(p) for p in model.parameters()}
        for phase, part in parts.items():
            model.zero_grad(set_to_none=True)
            model.losses(subject.batch, phase)["loss"].backward()
            grads = {name: p.grad for name, p in part.named_parameters() if p.requires_grad}
            assert not [name for name, grad in grads.items() if grad is None]
            assert finite(*(grad for grad in grads.values() if grad is not None))
            assert any(grad.abs().max() > 0 for grad in grads.values() if grad is not None)
        model.zero_grad(set_to_none=True)
        model.eval()

    def test_samples_have_the_datas_shape_and_range_and_differ(self, subject):
        spec, x = subject.case.spec, subject.sample(range(8))
        assert (x.shape, x.dtype) == ((8, *spec.shape), spec.kind.model_dtype)
        assert finite(x)
        assert torch.cdist(x.flatten(1).float(), x.flatten(1).float())[~torch.eye(8, dtype=torch.bool)].min() > 0
        if spec.value_range is not None:
            assert spec.value_range[0] <= x.min()
            assert x.max() <= spec.value_range[1]

    @of_code
    def test_sample_i_depends_on_seed_and_i_alone(self, subject):
        whole = subject.sample(range(8))
        torch.manual_seed(123)  # the global generator is no source of samples
        for indices in ([5], [7, 1, 6]):
            torch.testing.assert_close(subject.sample(indices), whole[indices], rtol=1e-4, atol=1e-4)
        assert not torch.allclose(subject.sample([0], seed=1), whole[:1], rtol=1e-4, atol=1e-4)

    @of_code
    def test_labels_are_used_asked_for_and_refused(self, subject):
        model, conditional = subject.model, subject.case.conditional
        if not conditional:
            with pytest.raises(ConfigError, match="unconditional"):
                labels_for(model, range(2), 0)
        if isinstance(model, Conditional):
            assert model.num_classes == (subject.case.spec.num_classes if conditional else None)
            with pytest.raises(ConfigError, match="conditional"):
                model.sample(2, y=None if conditional else torch.tensor([0, 1]), noise=SampleNoise(0, range(2)))
        if conditional:
            a, b = (model.sample(2, y=torch.tensor(y), noise=SampleNoise(0, range(2))) for y in ([0, 1], [1, 2]))
            # a level that is drawn may stay the same: that its probability moves is a law of likelihoods
            drawn = isinstance(model, Density) and model.dequantisation == "none"
            assert drawn or ((a - b).flatten(1).abs().amax(1) > 0).all()

    @of_code
    def test_a_seed_is_enough_to_sample(self, subject):
        """In the labels in turn where it takes labels; one for all of them, or a tensor, say the same."""
        model = subject.model.requires_grad_(True)
        before = torch.get_rng_state()
        x = model.sample(3, seed=3)
        assert torch.equal(x, subject.sample(range(3), seed=3))
        assert not x.requires_grad
        if subject.case.conditional:
            assert torch.equal(model.sample(2, 1), model.sample(2, torch.ones(2, dtype=torch.int32), seed=0))
        assert torch.equal(torch.get_rng_state(), before)

    @only(once)
    def test_what_is_no_number_of_samples_is_refused(self, subject):
        for n in (0, -1, True, 2.0, "2", None):
            with pytest.raises(ConfigError, match=r"^n=[^\n]*: a number of samples is a whole number, 1 or more$"):
                subject.model.sample(n)

    @only(once)
    def test_what_are_no_labels_is_refused_wherever_labels_are_taken(self, subject):
        model, x = subject.model, subject.batch["x"][:2]
        wrong = [torch.tensor([0]), torch.tensor([[0], [1]]), torch.tensor([0.0, 1.0]), torch.tensor([True, False]),
                 torch.tensor([0, 9]), torch.tensor([-1, 0])]  # fmt: skip
        asked = [lambda y: model.sample(2, y), lambda y: model.sample(2, y, noise=SampleNoise(0, range(2)))]
        if isinstance(model, Conditional):
            asked += [partial(model.encode, x)] if isinstance(model, Encoder) else []
            asked += [partial(model.log_prob, x)] if isinstance(model, Density) else []
        for question in asked:
            for y in wrong:
                with pytest.raises(ConfigError, match=r"^[^\n]*(labels|unconditional)[^\n]*$"):
                    question(y)
        for y in (True, 9, -1, 1.0, "1"):
            with pytest.raises(ConfigError, match=r"^y=[^\n]*$"):
                model.sample(2, y)

    @of_code
    def test_values_of_another_shape_or_type_are_refused(self, subject):
        model, x, y = subject.model, subject.batch["x"][:2], None if subject.y is None else subject.y[:2]
        asked = []
        if isinstance(model, Encoder):
            asked.append((model.encode, x))
        if isinstance(model, Reconstructor):
            asked.append((model.reconstruct, x))
        if isinstance(model, Density):
            asked.append((model.log_prob, x))
        if isinstance(model, Decoder) and isinstance(model, Encoder):
            asked.append((model.decode, model.encode(x, y).detach()))
        for question, value in asked:
            other, takes = (
                (value.long(), "model values, float") if value.is_floating_point() else (value.float(), "tokens")
            )
            for wrong in (value.flatten(), value[:, :, None], value[0], other, value[..., :-1]):
                with pytest.raises(DataError, match=rf"^[^\n]* takes {takes}[^\n]*$"):
                    question(wrong, y)

    @of_code
    def test_a_state_dict_carries_the_model(self, subject):
        other = subject.case.build().eval()
        other.load_state_dict(subject.model.state_dict())
        assert torch.equal(subject.sample(range(3), model=other), subject.sample(range(3)))

    @of_code
    def test_an_attempt_to_sample_leaves_the_model_as_it_was(self, subject):
        before = {name: value.clone() for name, value in subject.model.state_dict().items()}
        subject.sample(range(2))
        assert all(torch.equal(value, before[name]) for name, value in subject.model.state_dict().items())


class LawsOfSome(Laws):
    """What holds besides for models with an ability."""

    @of_code
    @only(able(Density))
    @torch.no_grad()
    def test_a_density_is_one_number_per_example_and_a_function_of_it(self, subject):
        model = subject.model
        n = 2 if model.costly else 3
        x, y = subject.batch["x"][:n], None if subject.y is None else subject.y[:n]
        whole = model.log_prob(x, y)
        assert model.bound in ("exact", "lower", "estimate")
        assert whole.shape == (n,)
        assert finite(whole)
        torch.manual_seed(9)
        assert torch.equal(model.log_prob(x, y), whole)
        alone = torch.cat([model.log_prob(x[i : i + 1], None if y is None else y[i : i + 1]) for i in range(n)])
        torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-3)
        if y is not None:
            other = (y + 1) % subject.case.spec.num_classes
            assert (model.log_prob(x, other) != whole).all(), "the label is not read"

    @of_code
    @only(lambda case: issubclass(case.cls, Density) and case.spec.levels is not None)
    @torch.no_grad()
    def test_a_mass_of_levels_is_that_of_the_bin_wherever_in_it(self, subject):
        """A bound is of the stored values unless it says how it leaves them."""
        model, spec = subject.model, subject.case.spec
        assert (model.bound, model.dequantisation) != ("lower", "uniform")
        if model.dequantisation == "none":
            x, y = subject.batch["x"][:4], None if subject.y is None else subject.y[:4]
            asked = [model.log_prob]
            if isinstance(model, LatentBound):
                asked.append(partial(model.importance_log_prob, k=3))
            for question in asked:
                whole = question(x, y)
                for u in (0.01, 0.99, torch.rand(x.shape, generator=generator_of(0, "u"))):
                    assert torch.equal(question(spec.dequantise(x, torch.as_tensor(u)), y), whole)

    @of_code
    @only(lambda case: issubclass(case.cls, Density) and case.data != "tokens")  # these are stored as a model sees them
    @torch.no_grad()
    def test_stored_values_are_told_from_model_values(self, subject):
        model, spec = subject.model, subject.case.spec
        x, y = subject.batch["x"][:2], None if subject.y is None else subject.y[:2]
        v = spec.unscale(x)
        with pytest.raises(DataError, match="float"):
            model.log_prob(v.long(), y)
        for wrong in (x if spec.levels else x.long(), v.flatten(), v[:0], *([v.long() - 100] if spec.levels else [])):
            with pytest.raises(DataError, match=r"^[^\n]*stored values[^\n]*$"):
                model.nll(wrong, y)

    @of_code
    @only(able(Encoder, Reconstructor))
    @torch.no_grad()
    def test_latents_and_reconstructions_have_their_shapes(self, subject):
        model, x, y = subject.model, subject.batch["x"][:5], subject.y
        y = None if y is None else y[:5]
        if isinstance(model, Encoder):
            z = model.encode(x, y)
            assert z.shape == (5, *model.latent_shape)
            assert torch.equal(model.encode(x, y), z)
            if isinstance(model, Decoder):
                assert model.decode(z, y).shape == x.shape
        if isinstance(model, Reconstructor):
            again = model.reconstruct(x, y)
            assert again.shape == x.shape
            assert finite(again)
            assert torch.equal(model.reconstruct(x, y), again)

    @only(lambda case: case.cls.prepare is not GenerativeModel.prepare)
    def test_preparing_twice_is_preparing_once(self, subject):
        before = {name: value.clone() for name, value in subject.model.state_dict().items()}
        subject.model.prepare([subject.batch])
        after = subject.model.state_dict()
        assert before.keys() == after.keys()
        for name, value in before.items():
            torch.testing.assert_close(after[name], value, msg=name)


class TestEveryModel(LawsOfSome):
    pass


def test_each_model_serves_some_data_and_refuses_the_rest_in_one_line(subtests):
    for model in MODELS:
        with subtests.test(model):
            served = {case.spec.modality for case in CASES if case.model == model}
            assert served
            for modality in {"image", "vector", "sequence"} - served:
                cls = Case(model, "toy").cls
                if modality in cls.modalities and (Categorical in cls.kinds or model in OF_FEW_VALUES):
                    continue  # it would serve these tokens, or fewer values
                spec = DataSpec(shape=(16,), modality=modality, levels=27)
                refusal = "not |maps images to" if model in OF_IMAGES else f"not {modality}"
                with pytest.raises(ConfigError, match=refusal) as error:
                    Case(model, "toy").build(spec)
                assert "\n" not in str(error.value)
                assert model in OF_IMAGES or all(word in str(error.value) for word in served)


def test_labels_are_refused_where_the_data_has_none(subtests):
    labelled = {case.model: case for case in CASES if case.conditional}
    for case in labelled.values():
        with subtests.test(str(case)), pytest.raises(ConfigError, match="no labels"):
            case.build(replace(case.spec, num_classes=None))


@pytest.fixture(scope="module")
def config_dir(tmp_path_factory) -> Path:
    """A folder of somebody's own, with a model of their own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "model").mkdir()
    (folder / "model" / "own.yaml").write_text("_target_: own_model.Own\nspread: 1.5\n")
    return folder


own_subject = cache(trained)


class TestAModelFromAConfigDir(Laws):
    """The same laws hold for a class outside the package, named by a YAML outside it."""

    @pytest.fixture
    def subject(self, config_dir) -> Subject:
        words = ("--config-dir", str(config_dir))
        assert "own" in Catalog.of(Words(flags=dict([words]))).options("model")
        (case,) = cases(["own"], words=words, plugins=("own_model",))
        return own_subject(case)

    def test_its_yaml_decides(self, subject):
        assert subject.model.spread == 1.5

    def test_it_is_refused_unless_its_package_was_allowed(self, subject):
        with pytest.raises(ConfigError, match="plugins"):
            replace(subject.case, plugins=()).build()


def test_a_new_yaml_beside_the_others_is_picked_up(tmp_path, config_dir, monkeypatch):
    shutil.copytree(catalog.conf_dir(), tmp_path / "conf")
    shutil.copy(config_dir / "model" / "own.yaml", tmp_path / "conf" / "model")
    monkeypatch.setattr(catalog, "PACKAGE", tmp_path / "genkit")
    models = list(Catalog.of(Words()).options("model"))
    assert models == sorted([*MODELS, "own"])
    assert [str(case) for case in cases(["own"], plugins=("own_model",))] == ["own-toy"]
