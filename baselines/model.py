"""What a model's file declares: where the system comes from, its variants, how each is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from baselines.separator import Hyperparameters, Separator
from mixgen.core.registry import add

Build = Callable[[], Hyperparameters]

TINY = "tiny"


@dataclass(frozen=True)
class Variant:
    """One size or kind of a system.

    Attributes:
        build: returns its hyperparameters.
        training: what differs from the values of `TrainingConfig` when it is trained.
    """

    build: Build
    training: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """What the variant is, in one line."""
        return (self.build.__doc__ or "").strip()


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One published system: its paper, what is proved of it, and its variants.

    Attributes:
        name: as it is asked for; also the name of its file.
        reference_licence: project whose behaviour was compared, and its licence; no code was taken
            from it.
        expected_parameters: exact count of the paper's configuration; None where nothing is
            trained.
        tiny: returns hyperparameters that train in milliseconds, for tests and trials of a chain:
            `build("<name>:tiny")`.
        training: of the plain variant, and of those that have none of their own.
        variants: by full name, `<name>` or `<name>:<variant>`.
    """

    name: str
    title: str
    paper: str
    reference_licence: str
    separator: type[Separator]
    expected_parameters: int | None = None
    not_reproduced: str = "Nothing is left out."
    tiny: Build | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)

    def variant(self, name: str | None = None, **training: Any) -> Callable[[Build], Build]:
        """Register a function of no arguments that returns the hyperparameters of `name`.

        Args:
            name: of the variant; None for the paper's configuration.
            training: what differs from the values of `TrainingConfig`; that of the plain variant if
                nothing is given.

        Raises:
            SuiteError: another variant has the name.
        """
        full_name = f"{self.name}:{name}" if name else self.name

        def register(build: Build) -> Build:
            chosen = Variant(build, training or self.training)
            add(self.variants, full_name, chosen, self.name)
            return build

        return register

    def find(self, full_name: str) -> Variant | None:
        """Return the variant of a full name, the tiny one included; None if there is none."""
        if self.tiny is not None and full_name == f"{self.name}:{TINY}":
            return Variant(self.tiny, self.training)
        return self.variants.get(full_name)
