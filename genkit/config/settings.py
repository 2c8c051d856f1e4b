"""The settings of the verbs: one frozen class each, whose annotations say what every key may hold.

They are read and checked once, from the composed configuration and before torch is imported. Groups are left as nodes,
which `build` holds against their constructors; how a model samples is what the models declare
(`genkit/config/sampling_arguments.py`).
"""

from __future__ import annotations

import dataclasses
import keyword
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from genkit.component import NonNegativeInt, PositiveInt, Probability, Range
from genkit.config.budget import KEY as BUDGET
from genkit.config.budget import Budget
from genkit.config.dotted_keys import lookup
from genkit.config.hydra.catalog import SHARED
from genkit.config.sampling_arguments import Catalogue, check_value, declared, sweeps
from genkit.config.schema import describe, read
from genkit.errors import ConfigError
from genkit.web.port import LARGEST_PORT

Paths = str | list[str] | None
Node: TypeAlias = Any  # an object's `_target_` and arguments, or null: for `build` to check
Weights = Literal["ema", "raw"]
DERIVED = {"config", "sampling", "sweep"}  # fields that stand under no key of their own name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of every verb.

    Attributes:
        config: The whole composed configuration, plain values.
    """

    config: Mapping[str, Any] = field(repr=False)
    plugins: list[str]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The settings in a composed configuration.

        Raises:
            ConfigError: a key with a value that it cannot take.
        """
        return cls(config=config, **_read_all(cls, config))

    def replaced(self, **values: Any) -> Self:
        """The settings with other values of these keys."""
        return dataclasses.replace(self, **values, config={**self.config, **values})


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """The settings that a run is trained with, and remembers."""

    seed: NonNegativeInt
    data: Node
    model: Node
    optimizer: Node
    lr_schedule: Node
    trainer: Node
    logger: Node
    ema: Node
    checkpoint: Node
    samples: Node
    quick: Node
    features: Node
    callbacks: dict[str, Any] | None
    metric: dict[str, Any] | None
    optimizer_overrides: dict[str, dict[str, float | bool | None]]


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings):
    """Of `genkit train` and `genkit check`; see conf/train.yaml."""

    run_dir: str | None
    resume: str | None
    start: str | None
    weights: Weights
    allow: list[str]
    budget: str | None
    debug: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        if config.get(BUDGET) is not None:
            Budget.of(config[BUDGET])
        return super().of(config)


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """Of a verb that puts checkpoints to work.

    Attributes:
        sampling: What is changed of how the model samples, by key as `genkit sample` has it; {"sampler": {"steps": 9}}.
    """

    swept: ClassVar[bool] = False
    seed: NonNegativeInt
    weights: Weights
    out: str | None
    batch_size: PositiveInt
    device: str
    debug: bool
    sampling: Mapping[str, Any]

    @property
    def groups(self) -> list[str]:
        """The top-level keys that all declared keys of sampling stand below, of those that the verb has."""
        keys = dict.fromkeys(key.partition(".")[0] for key in declared(self.plugins))
        return [key for key in keys if key in self.config]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        plain = _read_all(cls, config)
        known = declared(plain["plugins"])
        more: dict[str, Any] = {"sweep": _swept(config, known)} if cls.swept else {}
        return cls(config=config, sampling=_changes(config, known), **plain, **more)


@dataclass(frozen=True, kw_only=True)
class DrawingSettings(ModelSettings):
    """Of a verb that draws samples of checkpoints, in several processes where wanted."""

    devices: PositiveInt | None


@dataclass(frozen=True, kw_only=True)
class UseSettings(ModelSettings):
    """Of a verb that applies a checkpoint to examples.

    Attributes:
        ckpt: The checkpoint; the newest finished run where none was named.
        n: How many examples; None: all of a file, of held-out data what the verb takes.
        y: One label for all examples, for a conditional model; None: their own.
        data: Another dataset, or {"root": …}, where the checkpoint's own is now; its held-out split is taken.
        input: A file or folder of the user's own examples instead.
    """

    ckpt: str | None
    n: PositiveInt | None
    y: NonNegativeInt | bool | str | None
    data: Node
    input: str | None


@dataclass(frozen=True, kw_only=True)
class ComparingSettings(UseSettings):
    """Of a verb whose answers are compared with what is true.

    Attributes:
        features: The space that they are compared in; None: the data's own.
    """

    features: Node


@dataclass(frozen=True, kw_only=True)
class InferringSettings(ComparingSettings):
    """Of a verb that draws what may have been measured.

    Attributes:
        draws: Of each example.
        posterior: The posterior sampler; None: the one that suits the model.
    """

    draws: Annotated[int, Range(1, 10_000)]
    posterior: Node


@dataclass(frozen=True, kw_only=True)
class CompleteSettings(InferringSettings):
    """Of `genkit complete`; see conf/complete.yaml.

    Attributes:
        known, hidden: A half, a box, a share, columns or the file of a mask (`genkit/assembly/known.py`); one of them.
        prompt: The beginning of a text, in place of examples.
    """

    task: Literal["inpaint", "outpaint", "impute", "colourise"] | None
    known: float | str | list[int | str] | None
    hidden: float | str | list[int | str] | None
    prompt: str | None


@dataclass(frozen=True, kw_only=True)
class RestoreSettings(InferringSettings):
    """Of `genkit restore`; see conf/restore.yaml.

    Attributes:
        noise: Standard deviation of the measurement's noise in units of the data's range; None: what the task takes,
            of a user's noisy picture what is measured in it.
        factor: Of super-resolution.
        blur: Standard deviation of the blur in pixels.
    """

    task: Literal["denoise", "deblur", "super_resolve"]
    noise: Annotated[float, Range(0, 10)] | None
    factor: Annotated[int, Range(2, 64)]
    blur: Annotated[float, Range(0.1, 100)]


@dataclass(frozen=True, kw_only=True)
class TranslateSettings(ComparingSettings):
    """Of `genkit translate`; see conf/translate.yaml.

    Attributes:
        from_: The checkpoint of a model of the domain that the examples are of; None: `ckpt` knows both.
        translation: The method; None: the one that suits the model.
        strength: Share of noise that an example is denoised from, of the methods that have one; None: the method's own.
    """

    from_: str | None
    translation: Node
    strength: Probability | None


@dataclass(frozen=True, kw_only=True)
class CompressSettings(UseSettings):
    """Of `genkit compress`; see conf/compress.yaml."""

    labels: bool | None


@dataclass(frozen=True, kw_only=True)
class DetectSettings(UseSettings):
    """Of `genkit detect`; see conf/detect.yaml."""

    against: str | list[str] | None
    scores: str | list[str] | None
    bootstrap: NonNegativeInt


@dataclass(frozen=True, kw_only=True)
class AugmentSettings(ModelSettings):
    """Of `genkit augment`; see conf/augment.yaml.

    Attributes:
        n: How many examples are drawn; None: as many as there are training examples.
        filter: Least probability of its label, by a classifier of real examples, at which one is kept; None: all are.
        repeats: Classifiers of each kind.
        classifier_steps: Of the training of each.
    """

    ckpt: str | None
    n: PositiveInt | None
    data: dict[str, str | None]
    filter: Probability | None
    repeats: Annotated[int, Range(2, 1000)]
    classifier_steps: Annotated[int, Range(2, 10**6)]


@dataclass(frozen=True, kw_only=True)
class ExploreSettings(UseSettings):
    """Of `genkit explore`; see conf/explore.yaml."""

    show: str | list[str] | None
    interpolation: Node


@dataclass(frozen=True, kw_only=True)
class DecompressSettings(Settings):
    """Of `genkit decompress`; see conf/decompress.yaml."""

    input: str | None
    ckpt: str | None
    out: str | None
    device: str
    debug: bool


@dataclass(frozen=True, kw_only=True)
class SampleSettings(DrawingSettings):
    """Of `genkit sample`; see conf/sample.yaml."""

    ckpt: str | None
    n: PositiveInt
    y: NonNegativeInt | bool | str | None
    prompt: str | None
    prompts: str | None
    show: Literal["interpolation", "reconstruction"] | None
    interpolation: Node
    data: dict[str, str | None]


@dataclass(frozen=True, kw_only=True)
class EvalSettings(DrawingSettings):
    """Of `genkit eval`; see conf/eval.yaml.

    Attributes:
        sweep: Keys of sampling that take several values in turn.
        human: Files of people's answers to `genkit judge`, scored in place of anything else.
        key: Of their study; None: the key.json beside the first file.
    """

    swept: ClassVar[bool] = True
    ckpt: Paths
    samples: Paths
    reference: str | None
    data: Node
    features: Node
    metric: dict[str, Any] | None
    n: PositiveInt | None
    bootstrap: NonNegativeInt
    floor_repeats: NonNegativeInt
    neighbours: NonNegativeInt | None
    baselines: bool | list[str]
    cache: bool
    human: Paths
    key: str | None
    sweep: Mapping[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class JudgeSettings(ModelSettings):
    """Of `genkit judge`; see conf/judge.yaml.

    Attributes:
        n: Images of each source.
        trials: Of each rater, without repeats and checks; None: twice n.
        repeats, checks: Shares of the trials that are added.
        real: Whether real images are among the alternatives of 2afc; None: where there is one model alone.
        control: Whether other real images are judged as if they were a model's.
        page: Whether to write one file in place of serving.
        raters: Orders in that file.
        study: Folder of a study to go on with.
    """

    ckpt: Paths
    samples: Paths
    reference: str | None
    data: Node
    task: Literal["real_or_fake", "2afc"] | None
    question: str | None
    n: Annotated[int, Range(2, 10_000)]
    trials: Annotated[int, Range(4, 10_000)] | None
    repeats: Annotated[float, Range(0, 0.5)]
    checks: Annotated[float, Range(0, 0.5)]
    ties: bool
    real: bool | None
    control: bool
    page: bool
    raters: Annotated[int, Range(1, 1000)]
    study: str | None
    port: Annotated[int, Range(0, LARGEST_PORT)]
    open_browser: bool


@dataclass(frozen=True, kw_only=True)
class LogSettings(Settings):
    """Of `genkit log`; see conf/log.yaml."""

    ckpt: str | None
    logger: Node
    debug: bool


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """Of `genkit data prepare`, and of all verbs of data that read one; see conf/data_prepare.yaml."""

    data: Node
    debug: bool


@dataclass(frozen=True, kw_only=True)
class ShowDataSettings(DataSettings):
    """Of `genkit data show`; see conf/data_show.yaml."""

    seed: NonNegativeInt
    near: Annotated[float, Range(0, 1)]
    out: str | None


@dataclass(frozen=True, kw_only=True)
class ShardDataSettings(DataSettings):
    """Of `genkit data shard`; see conf/data_shard.yaml."""

    megabytes: Annotated[int, Range(1, 10**6)]
    out: str | None


VERBS: dict[str, type[Settings]] = {
    "train": TrainSettings,
    "sample": SampleSettings,
    "complete": CompleteSettings,
    "restore": RestoreSettings,
    "translate": TranslateSettings,
    "eval": EvalSettings,
    "compress": CompressSettings,
    "decompress": DecompressSettings,
    "detect": DetectSettings,
    "explore": ExploreSettings,
    "judge": JudgeSettings,
    "augment": AugmentSettings,
    "log": LogSettings,
    "data prepare": DataSettings,
    "data show": ShowDataSettings,
    "data shard": ShardDataSettings,
}


def settings_of(verb: str, config: Mapping[str, Any]) -> Settings:
    """The settings of a verb; raises ConfigError for a top-level key with a value that it cannot take."""
    return VERBS[SHARED.get(verb, verb)].of(config)


def keys_of(cls: type[Settings]) -> list[tuple[str, Any]]:
    """Every key of a verb with the annotation of its values; the field `from_` stands under the key `from`."""
    hints = typing.get_type_hints(cls, include_extras=True)
    found = [(key, hint) for key, hint in hints.items() if key not in DERIVED and typing.get_origin(hint) != ClassVar]
    return [(key.removesuffix("_"), hint) for key, hint in found]


def _read_all(cls: type[Settings], config: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value of all that stands in a composed configuration."""
    read = {key: read_setting(config.get(key), hint, key) for key, hint in keys_of(cls)}
    return {f"{key}_" if keyword.iskeyword(key) else key: value for key, value in read.items()}


def read_setting(value: Any, hint: Any, key: str) -> Any:
    """A value that is no object; raises ConfigError where it is not what `hint` says."""
    return read(value, hint, key, _no_object)


def _no_object(value: Any, hint: Any, at: str) -> Any:
    raise ConfigError(f"{at}: {value!r} is not {describe(hint)}")


def _changes(config: Mapping[str, Any], known: Catalogue) -> dict[str, Any]:
    """The declared keys that are set, without the nulls inside of objects."""
    found = {}
    for key, marks in known.items():
        value = lookup(config, key)
        if isinstance(value, Mapping):
            value = {name: inner for name, inner in value.items() if inner is not None}
        if value is not None and value != {}:
            found[key] = check_value(value, [one.hint for one in marks], key)
    return found


def _swept(config: Mapping[str, Any], known: Catalogue) -> dict[str, list[Any]]:
    """The keys below `sweep` that are set."""
    found = {}
    for key, hints in sweeps(known).items():
        values = lookup(config.get("sweep"), key)
        if values is not None:
            lists = [list[hint] | None for hint in hints]  # type: ignore[valid-type]
            found[key] = check_value(values, lists, f"sweep.{key}")
    return found
