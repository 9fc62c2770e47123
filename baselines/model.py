"""What each module in `baselines/models/` declares: a system, its variants, and their training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from baselines.separator import Hyperparameters, Separator
from mixgen.core.registry import add

Build = Callable[[], Hyperparameters]

TINY = "tiny"


@dataclass(frozen=True)
class Variant:
    """One variant of a system: its hyperparameters and its training.

    Attributes:
        build: returns the hyperparameters.
        training: fields of `TrainingConfig` in which its training differs from the defaults.
    """

    build: Build
    training: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """One line that describes the variant."""
        return (self.build.__doc__ or "").strip()


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One published system: its paper, how it was compared with others, and its variants.

    Attributes:
        name: of the system and of its module.
        reference_licence: project whose behaviour was compared, and its licence; no code was taken
            from it.
        expected_parameters: exact parameter count of the paper's configuration; None if the system
            is not trained.
        not_reproduced: what the paper or its code contains and this module does not.
        tiny: returns hyperparameters of a size that trains in milliseconds, for tests and trials:
            `build("<name>:tiny")`.
        training: fields of `TrainingConfig` in which the plain variant, and every variant without
            a `training`, differ from the defaults.
        variants: by full name, `<name>` or `<name>:<variant>`.
    """

    name: str
    title: str
    paper: str
    reference_licence: str
    separator: type[Separator]
    expected_parameters: int | None = None
    not_reproduced: str = "Nothing."
    tiny: Build | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)

    def variant(self, name: str | None = None, **training: Any) -> Callable[[Build], Build]:
        """Decorate a function that returns the hyperparameters of a variant, and register it.

        Args:
            name: of the variant; None for the paper's configuration.
            training: fields of `TrainingConfig` in which the variant differs from the defaults;
                those of the plain variant if none are given.

        Raises:
            SuiteError: another variant has the name.
        """
        full_name = f"{self.name}:{name}" if name else self.name

        def register(build: Build) -> Build:
            add(self.variants, full_name, Variant(build, training or self.training), self.name)
            return build

        return register

    def find(self, full_name: str) -> Variant | None:
        """Return the variant of a full name, which may be the tiny one; None if unknown."""
        if self.tiny is not None and full_name == f"{self.name}:{TINY}":
            return Variant(self.tiny, self.training)
        return self.variants.get(full_name)
