"""Laws of every kind of value: one body over a table of kinds, and the specification of every dataset."""

import json
import math

import pytest
import torch
from torch import Tensor

from genkit.data.dataset import Dataset
from genkit.data.kinds import KINDS, Categorical, Kind, Quantised, Real, ValueKind
from genkit.data.sources.digits import Digits
from genkit.data.sources.toy import Toy
from genkit.data.spec import DataSpec, Takes
from genkit.errors import DataError

TABLE: dict[str, Kind] = {
    "real": Real(),
    "real in a range": Real((-3.0, 7.0)),
    "8 bit": Quantised(256, (-1.0, 1.0)),
    "digits": Quantised(17, (-1.0, 1.0)),
    "binary": Quantised(2, (0.0, 1.0)),
    "fine": Quantised(1000, (-3.0, 7.0)),
    "tokens": Categorical(5),
    "texts": Categorical(256, ("eos", "pad")),
    "brackets": Categorical(2, ("eos",), ("(", ")")),
}
DISCRETE = {name: kind for name, kind in TABLE.items() if kind.has_mass}


@pytest.fixture(params=sorted(TABLE))
def kind(request: pytest.FixtureRequest) -> Kind:
    return TABLE[request.param]


def stored(kind: Kind) -> Tensor:
    """Every stored value, or many real numbers inside the range."""
    if kind.count is not None:
        return torch.arange(kind.count).to(kind.stored_dtype)
    lo, hi = kind.range or (-5.0, 5.0)
    return torch.linspace(lo, hi, 101)


def test_there_and_back_is_the_stored_value_in_the_stored_type(kind: Kind) -> None:
    v = stored(kind)
    back = kind.to_stored(kind.to_model(v))
    assert torch.equal(back, v)
    assert back.dtype == v.dtype == kind.stored_dtype


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if isinstance(kind, Quantised)])
def test_what_lies_outside_of_the_range_is_stored_as_its_end(name: str) -> None:
    kind = TABLE[name]
    assert kind.range is not None
    assert kind.count is not None
    (lo, hi), top = kind.range, kind.count - 1
    outside = torch.tensor([lo, hi, lo - 0.01, hi + 0.01, lo - 1e6, hi + 1e6, -math.inf, math.inf])
    assert kind.to_stored(outside).tolist() == [0, top] * 4
    assert kind.nearest(torch.tensor([-0.6, top + 0.6, -math.inf, math.inf])).tolist() == [0, top] * 2


def test_model_values_have_the_kinds_type_and_lie_in_its_range(kind: Kind) -> None:
    x = kind.to_model(stored(kind))
    assert x.dtype == kind.model_dtype
    assert torch.equal(kind.clip(x), x)
    assert x.dtype.is_floating_point == (not isinstance(kind, Categorical))


def test_the_centre_is_idempotent_and_that_of_a_stored_value_is_itself(kind: Kind) -> None:
    x = kind.to_model(stored(kind))
    assert torch.equal(kind.centre(x), x)
    moved = kind.dequantise(x, torch.full(x.shape, 0.9))
    assert torch.equal(kind.centre(kind.centre(moved)), kind.centre(moved))


def test_dequantised_values_stay_in_their_bin(kind: Kind) -> None:
    v = stored(kind)
    for u in (0.001, 0.25, 0.75, 0.999):
        assert torch.equal(kind.to_stored(kind.dequantise(kind.to_model(v), torch.full(v.shape, u))), v)


def test_the_volumes_of_all_bins_fill_the_range_and_others_have_none(kind: Kind) -> None:
    if isinstance(kind, Quantised):
        lo, hi = kind.range
        assert kind.levels * math.exp(kind.log_volume) == pytest.approx(hi - lo)
    else:
        assert kind.log_volume == 0.0
    assert kind.spreads == isinstance(kind, Quantised)


def test_what_is_stored_is_valid_and_what_lies_beside_it_is_not(kind: Kind) -> None:
    v = stored(kind)
    assert not kind.invalid(v).any()
    kind.check_dtype(v)
    beyond = torch.tensor([math.nan, math.inf]) if kind.count is None else torch.tensor([-1, kind.count])
    assert kind.invalid(beyond).all()


def test_coordinates_and_distances_tell_all_values_apart(kind: Kind) -> None:
    v = stored(kind)[:40, None]
    coordinates = kind.coordinates(v).flatten(1)
    assert coordinates.dtype == torch.float64
    distances = kind.distances(v, v)
    assert torch.equal(distances == 0, torch.eye(len(v), dtype=torch.bool))
    squared = isinstance(kind, Categorical)  # of one-hot coordinates, the square is the number of places that differ
    torch.testing.assert_close(torch.cdist(coordinates, coordinates) ** (2 if squared else 1), distances)


def test_real_numbers_near_a_stored_value_are_that_value(kind: Kind) -> None:
    v = stored(kind)
    if isinstance(kind, Categorical):
        with pytest.raises(DataError, match="tokens are integers, these are real numbers"):
            kind.nearest(v.double())
    else:
        assert torch.equal(kind.nearest(v.double() + (0.4 if kind.has_mass else 0.0)), v)


def test_the_specification_survives_json(kind: Kind) -> None:
    spec = DataSpec((4,), "sequence", kind=kind, num_classes=3, names=("a", "b", "c", "d"))
    assert DataSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


OLD = {
    '{"shape": [1, 8, 8], "modality": "image", "value_range": [-1.0, 1.0], "levels": 17, "num_classes": 10}': (
        Quantised(17, (-1.0, 1.0))
    ),
    '{"shape": [2], "modality": "vector", "value_range": null, "levels": null, "num_classes": null}': Real(),
    '{"shape": [3], "modality": "vector", "value_range": [0, 1], "levels": null, "num_classes": null}': (
        Real((0.0, 1.0))
    ),
    '{"shape": [9], "modality": "sequence", "value_range": null, "levels": 5, "num_classes": null}': Categorical(5),
}


@pytest.mark.parametrize("text", OLD)
def test_a_specification_of_an_earlier_version_is_read_and_written_again_as_it_was(text: str) -> None:
    """Names in the cache and identities of runs are hashes of this text."""
    spec = DataSpec.from_json(json.loads(text))
    assert spec.kind == OLD[text]
    if not isinstance(spec.kind, Categorical):
        assert json.loads(json.dumps(spec.to_json())) == json.loads(text)
        assert list(spec.to_json()) == list(json.loads(text))


@pytest.mark.parametrize(
    "dataset",
    [Toy(n_train=10), Digits(), Digits(binarize="dynamic")],
    ids=lambda one: f"{type(one).__name__} {one.spec.levels}",
)
def test_every_split_of_a_dataset_holds_what_its_specification_says(dataset: Dataset) -> None:
    kind = dataset.spec.kind
    for name in ("train", "val", "test"):
        x = dataset.split(name).x
        assert x.dtype == kind.stored_dtype
        assert not kind.invalid(x).any()
    assert DataSpec.from_json(json.loads(json.dumps(dataset.spec.to_json()))) == dataset.spec


WRONG = {
    "no levels": lambda: Quantised(0, (-1.0, 1.0)),
    "levels that are no number": lambda: Quantised("17", (-1.0, 1.0)),  # type: ignore[arg-type]
    "an empty range": lambda: Quantised(2, (1.0, 1.0)),
    "an endless range": lambda: Real((0.0, math.inf)),
    "no tokens": lambda: Categorical(0),
    "true": lambda: Categorical(True),
    "a special twice": lambda: Categorical(3, ("eos", "eos")),
    "too few symbols": lambda: Categorical(3, (), ("a", "b")),
    "names for other values": lambda: DataSpec((3,), "vector", names=("age", "sex")),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_makes_no_sense_is_refused(case: str) -> None:
    with pytest.raises(DataError):
        WRONG[case]()


def test_tokens_are_never_float_and_never_outside_the_vocabulary() -> None:
    tokens = Categorical(3, ("eos",))
    assert tokens.special("eos") == 3
    assert [tokens.symbol(token) for token in range(4)] == ["0", "1", "2", "eos"]
    for wrong in (torch.zeros(2, 3), torch.full((2, 3), 4), torch.full((2, 3), -1)):
        with pytest.raises(DataError):
            tokens.to_stored(wrong)
    with pytest.raises(DataError, match="no token pad; its specials are eos"):
        tokens.special("pad")


def test_short_words_make_the_kind_and_a_replaced_word_another() -> None:
    from dataclasses import replace

    spec = DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17)
    assert (spec.levels, spec.value_range, spec.bin_width) == (17, (-1.0, 1.0), 2 / 17)
    assert replace(spec, levels=2) == DataSpec((1, 8, 8), "image", kind=Quantised(2, (-1.0, 1.0)))  # type: ignore[call-arg]
    assert spec.departure(replace(spec, shape=(1, 4, 4))) == "shape"
    assert DataSpec((4,), "sequence", levels=5).departure(DataSpec((4,), "sequence", levels=6)) == "kind"


@pytest.mark.parametrize("kind_class", KINDS)
def test_what_declares_its_data_takes_that_alone(kind_class: type[ValueKind]) -> None:
    class Picky(Takes):
        modalities = ("vector",)
        kinds = (kind_class,)

    for one in TABLE.values():
        assert (Picky.unfit(DataSpec((4,), "vector", kind=one)) is None) == isinstance(one, kind_class)
    said = Picky.unfit(DataSpec((4,), "sequence", kind=TABLE["tokens"]))
    assert said == "vector data, not sequence"
