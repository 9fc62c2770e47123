"""The interface of every separator: a mixture in, estimates of the same length out.

Axes: batch, n_src (estimates), channels, time (samples).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from baselines.layers.activity import relative_levels_db
from baselines.layers.permutation import references_of
from baselines.losses import fuss_loss
from mixgen.core.errors import UsageError

SEPARATOR = "separator"
"""Name of the parameters that are trained by the separator's own loss."""

STEMS = ("vocals", "drums", "bass", "other")
"""The stems of MUSDB18, which most music systems estimate."""

ACTIVE_ABOVE_DB = -20.0
"""Level against the mixture above which an estimate is active, until training tunes it: FUSS's loss
tolerates this level in estimates without a source."""

# Not all weights depend on these: a stranger's configuration must not take the machine's memory.
_MOST = {"n_src": 256, "sample_rate": 768_000, "channels": 256}
# Nor may it run for ever.
_MOST_ITERATIONS = 1000

# Configurations of versions without these fields keep their hash.
_OMITTED_IF_NONE = ("fewest", "stream_window_s")


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What every separator is configured by; each model adds the symbols of its paper.

    All values are plain data, so that `dataclasses.asdict` is enough to rebuild the model.
    """

    n_src: int = 2
    sample_rate: int = 8000
    channels: int = 1
    source_names: tuple[str, ...] | None = None
    """Stem names in the order of the estimates; None if the estimates come in any order."""
    fewest: int | None = None
    """Fewest sources of a mixture, where their number varies up to n_src; None: always n_src."""
    stream_window_s: float | None = None
    """Seconds in which a system whose estimates are streams separates up to n_src talkers; None:
    its estimates are sources."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):  # a tuple, as JSON keeps it
                object.__setattr__(self, field.name, tuple(value))
            require(
                not field.name.endswith("iterations") or 0 <= value <= _MOST_ITERATIONS,
                f"{field.name} is {value!r}; it can be 0 to {_MOST_ITERATIONS}.",
            )
        for name, most in _MOST.items():
            value = getattr(self, name)
            require(
                isinstance(value, int) and 1 <= value <= most,
                f"{name} is {value!r}, must be a whole number from 1 to {most}.",
            )
        require(
            self.source_names is None or len(self.source_names) == self.n_src,
            f"{len(self.source_names or ())} source names for n_src={self.n_src}; give one each.",
        )
        require(
            self.fewest is None or 0 <= self.fewest <= self.n_src,
            f"fewest is {self.fewest}; it can be 0 to n_src={self.n_src}.",
        )
        require(
            self.fewest is None or self.source_names is None,
            "Named stems are never fewer: leave out fewest, or the names.",
        )
        require(
            self.stream_window_s is None or self.stream_window_s > 0,
            f"stream_window_s is {self.stream_window_s}; it must be above 0.",
        )

    def check_choices(self, **allowed: Sequence[str]) -> None:
        """Check that each hyperparameter named here has one of the values allowed for it.

        Raises:
            UsageError: one has another value.
        """
        for name, values in allowed.items():
            given = getattr(self, name)
            require(given in values, f"{name} is {given!r}; it can be {' or '.join(values)}.")

    def check_least(self, least: int, *names: str) -> None:
        """Check that the hyperparameters of these names are not below the least value.

        Raises:
            UsageError: one is.
        """
        for name in names:
            given = getattr(self, name)
            require(given >= least, f"{name} is {given}; it must be {least} or more.")


@dataclass(frozen=True, kw_only=True)
class SongHyperparameters(Hyperparameters):
    """Those of systems for named stems; the defaults are the songs of MUSDB18."""

    n_src: int = 4
    sample_rate: int = 44100
    channels: int = 2
    source_names: tuple[str, ...] = STEMS

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.source_names is not None, "This system separates named stems: give source_names."
        )


class Separator(nn.Module):
    """Base of every separator.

    Subclasses set `hyperparameters_class`, `causal` and `look_ahead`, and write `forward` and, if
    they have parameters, `training_loss`.
    """

    hyperparameters_class: ClassVar[type[Hyperparameters]] = Hyperparameters
    inputs: tuple[str, ...] = ()
    """The signals beside the mixture that `forward` takes by keyword, of those in
    `baselines.inputs`: "references" (of oracles), "far_end", "enrolment"."""
    learns_silence: ClassVar[bool] = False
    """True if `training_loss` takes silent references: mixtures may then differ in their number of
    targets."""
    adapts: ClassVar[bool] = False
    """True if an estimate depends on all that came before it, as that of an adaptive filter: a long
    mixture is then separated whole."""
    one_network_per_source: ClassVar[bool] = False
    """True if equal networks, one per source, share no parameter."""
    assigns_whole_bins: ClassVar[bool] = False
    """True if a bin of the spectrogram goes to one source or another, so that estimates jump."""

    opponents: ClassVar[tuple[str, ...]] = ()
    """Modules that take part in training alone, each with a loss and an optimizer of its own."""

    external: ClassVar[bool] = False
    """True for a program of others: it gets whole mixtures, and its MACs are not known."""

    causal: bool = False
    look_ahead: int | None = None
    """Samples after t that the estimate at t may depend on; None: the whole signal."""
    receptive_field: int | None = None
    """Samples of the mixture that a sample of an estimate may depend on, at most; None: all that
    `look_ahead` allows."""
    silence_tolerance: float = 0.0
    """Largest change of an estimate, relative to its peak, when silence follows the mixture. It is
    above 0 for what reads the whole signal: recurrence, attention and norms over time."""
    count: int | None = None
    """Number of sources where it is given; None: the separator knows or finds it."""
    idle_parameters: tuple[str, ...] = ()
    """Parameters that the published layout contains and no output depends on."""

    __call__: Callable[..., Tensor]

    def __init__(self, hyperparameters: Hyperparameters) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        if self.counts_vary:  # a buffer: the hash of a checkpoint covers its rule
            self.register_buffer("active_above_db", torch.tensor(ACTIVE_ABOVE_DB))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build an untrained model from the `config` of another one.

        Raises:
            UsageError: the model has no hyperparameter of one of the names, or refuses a value.
        """
        known = {field.name for field in fields(cls.hyperparameters_class)}
        unknown = sorted(set(config) - known)
        require(
            not unknown,
            f"{cls.__name__} has no hyperparameter {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}.",
        )
        return cls(cls.hyperparameters_class(**config))

    @property
    def config(self) -> dict[str, Any]:
        """The hyperparameters as plain JSON-able data, which `from_config` takes."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self.hyperparameters).items()
            if value is not None or name not in _OMITTED_IF_NONE
        }

    @property
    def n_src(self) -> int:
        """Number of estimates."""
        return self.hyperparameters.n_src

    @property
    def sample_rate(self) -> int:
        """Sample rate of the mixture and the estimates in Hz."""
        return self.hyperparameters.sample_rate

    @property
    def channels(self) -> int:
        """Channels of the mixture and of each estimate."""
        return self.hyperparameters.channels

    @property
    def source_names(self) -> tuple[str, ...] | None:
        """Stem names in the order of the estimates, or None if the order means nothing."""
        return self.hyperparameters.source_names

    @property
    def counts_vary(self) -> bool:
        """Whether mixtures may have fewer sources than n_src; the separator then counts them."""
        return self.hyperparameters.fewest is not None

    @property
    def estimates_targets(self) -> bool:
        """Whether the estimates are in the order of the targets of the mixture at hand."""
        return not {"references", "enrolment"}.isdisjoint(self.inputs)

    @property
    def named(self) -> bool:
        """Whether it is known which estimate is of which source."""
        return self.source_names is not None or self.estimates_targets

    @property
    def parameters_per_source(self) -> int | None:
        """Number of trained values of one source's network; None if the sources share one."""
        if not self.one_network_per_source:
            return None
        return sum(parameter.numel() for parameter in self.parameters()) // self.n_src

    @property
    def latency_s(self) -> float | None:
        """Algorithmic latency in seconds; None if the model needs the whole signal first."""
        return None if self.look_ahead is None else self.look_ahead / self.sample_rate

    @property
    def trainable(self) -> bool:
        """Whether the separator has parameters to train."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, channels, time) into (batch, n_src, channels, time).

        The signals in `inputs` follow by keyword.
        """
        raise NotImplementedError

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        """Return the scalar loss of a batch.

        Args:
            batch: `mixture` (batch, channels, time), `references`
                (batch, n_src, channels, time), and the signals in `inputs`.

        Raises:
            UsageError: the separator has no parameters to train.
        """
        raise UsageError(
            f"{type(self).__name__} has no parameters to train; use it with `baselines separate`."
        )

    def objective(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar loss that a run minimises.

        It is `training_loss`; where the number of sources varies, FUSS's loss of the estimates.

        Args:
            batch: as for `training_loss`; where the number of sources varies, references may be
                fewer than n_src, and silent, and those of meetings are utterances on streams
                (batch, groups, n_src, channels, time).
        """
        if not self.counts_vary:
            return self.training_loss(batch)
        estimates = self(batch["mixture"])
        references = references_of(batch["references"], estimates)
        return fuss_loss(references=references, estimates=estimates, mixture=batch["mixture"])

    def levels_db(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Return the levels (batch, n_src) by which `active` decides, in dB against the mixture.

        Args:
            mixture: shape (batch, channels, time).
            estimates: that `forward` returned, shape (batch, n_src, channels, time).
        """
        return relative_levels_db(mixture, estimates)

    def active(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Return which estimates hold a source, (batch, n_src), by the level in the checkpoint.

        All of them do where the number of sources does not vary.
        """
        if not self.counts_vary:
            return torch.ones(estimates.shape[:2], dtype=torch.bool, device=estimates.device)
        return self.levels_db(mixture, estimates) > self.get_buffer("active_above_db")

    def training_losses(self, batch: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield the losses of a batch, each with the name of the parameters that it trains.

        The parameters are updated before the next loss is computed. Names are those of
        `parameter_groups`.

        Args:
            batch: as in `objective`.

        Raises:
            UsageError: the separator has no parameters to train.
        """
        yield SEPARATOR, self.objective(batch)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters by the loss that trains them: the separator's, each opponent's."""
        apart = {name: list(self.get_submodule(name).parameters()) for name in self.opponents}
        taken = {id(parameter) for group in apart.values() for parameter in group}
        own = [parameter for parameter in self.parameters() if id(parameter) not in taken]
        return {SEPARATOR: own, **apart}

    def check_mixture(self, mixture: Tensor) -> None:
        """Check that the mixture is (batch, channels, time) with this model's channels.

        Raises:
            UsageError: it has another shape or no sample.
        """
        shape = tuple(mixture.shape)
        require(
            mixture.ndim == 3 and mixture.shape[1] == self.channels and mixture.shape[2] >= 1,
            f"The mixture has shape {shape}; this model takes (batch, {self.channels}, time) "
            "with at least one sample.",
        )


def require(condition: bool, message: str) -> None:
    """Raise UsageError with the message unless the condition holds."""
    if not condition:
        raise UsageError(message)
