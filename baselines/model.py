"""What each module in `baselines/models/` declares: a system, its variants, and their training."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from baselines.separator import Hyperparameters, Separator, require
from mixgen.core.registry import add
from mixgen.core.vocabulary import Task

Build = Callable[[], Hyperparameters]

Weights = dict[str, Tensor]
Imported = tuple[Hyperparameters, Weights]
Convert = Callable[[Weights, Mapping[str, Any]], Imported]
"""Turns a peer's weights and the arguments of its constructor into ours."""

TINY = "tiny"

# Training of small variants for minutes on a laptop, from which some differ.
SMALL_SPEECH: dict[str, Any] = {
    "batch_size": 4,
    "segment_s": 2.0,
    "learning_rate": 2e-3,
    "beta2": 0.98,
    "slowest": 0.8,
    "fastest": 1.25,
}
SMALL_SONGS: dict[str, Any] = {
    "batch_size": 4,
    "segment_s": 4.0,
    "learning_rate": 2e-3,
    "beta2": 0.98,
    "gain_spread_db": 3.0,
    "valid_items": 10,
}


@dataclass(frozen=True)
class Variant:
    """One variant of a system: its hyperparameters and its training.

    Attributes:
        build: returns the hyperparameters.
        training: fields of `TrainingConfig` in which its training differs from the defaults.
        parameters: the exact parameter count of the published configuration; None if there is none.
    """

    build: Build
    training: Mapping[str, Any]
    parameters: int | None = None

    @property
    def summary(self) -> str:
        """One line that describes the variant."""
        return (self.build.__doc__ or "").strip()


@dataclass(frozen=True)
class Importer:
    """How weights of another implementation become ours.

    Attributes:
        class_name: of the peer's model.
        convert: takes the peer's state dict and the arguments of its constructor; returns our
            hyperparameters and our state dict.
    """

    class_name: str
    convert: Convert


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One published system: its paper, how it was compared with others, and its variants.

    Attributes:
        name: of the system and of its module.
        task: that its defaults are for; None for what solves any task.
        reference_licence: project whose behaviour was compared, and its licence; no code was taken
            from it.
        not_reproduced: what the paper or its code contains and this module does not.
        tiny: returns hyperparameters of a size that trains in milliseconds, for tests and trials:
            `build("<name>:tiny")`; None if the system has no parameters.
        training: fields of `TrainingConfig` in which the plain variant, and every variant without
            a `training`, differ from the defaults.
        variants: by full name, `<name>` or `<name>:<variant>`.
        importers: by the name of the peer whose weights they read.
    """

    name: str
    title: str
    task: Task | None
    paper: str
    reference_licence: str
    separator: type[Separator]
    not_reproduced: str = "Nothing."
    tiny: Build | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    importers: dict[str, Importer] = field(default_factory=dict)

    def variant(
        self, name: str | None = None, *, parameters: int | None = None, **training: Any
    ) -> Callable[[Build], Build]:
        """Decorate a function that returns the hyperparameters of a variant, and register it.

        Args:
            name: of the variant; None for the paper's configuration.
            parameters: exact parameter count of the published configuration, if there is one.
            training: fields of `TrainingConfig` in which the variant differs from the defaults;
                those of the plain variant if none are given.

        Raises:
            SuiteError: another variant has the name.
        """
        full_name = f"{self.name}:{name}" if name else self.name

        def register(build: Build) -> Build:
            found = Variant(build, training or self.training, parameters)
            add(self.variants, full_name, found, self.name)
            return build

        return register

    def imports(self, peer: str, class_name: str) -> Callable[[Convert], Convert]:
        """Decorate a function that turns a peer's weights into ours, and register it.

        Args:
            peer: name of the other implementation.
            class_name: of its model.

        Raises:
            SuiteError: another importer is for the same peer.
        """

        def register(convert: Convert) -> Convert:
            add(self.importers, peer, Importer(class_name, convert), f"{self.name}'s importers")
            return convert

        return register

    def find(self, full_name: str) -> Variant | None:
        """Return the variant of a full name, which may be the tiny one; None if unknown."""
        if self.tiny is not None and full_name == f"{self.name}:{TINY}":
            return Variant(self.tiny, self.training)
        return self.variants.get(full_name)


def check_arguments(
    arguments: Mapping[str, Any],
    needed: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Check that the arguments of a peer's constructor describe a network that exists here.

    Args:
        arguments: those that were given, by name.
        needed: the one value with which weights can be converted, of every argument checked.
        defaults: of the peer's constructor, where they are other values than those needed.

    Raises:
        UsageError: an argument has another value.
    """
    assumed = {**needed, **(defaults or {})}
    for name, value in needed.items():
        given = arguments.get(name, assumed[name])
        require(
            given == value, f"{name} is {given!r}; only weights with {value!r} can be converted."
        )


def renamed(weights: Weights, patterns: Mapping[str, str]) -> Weights:
    """Return weights under other names.

    Args:
        weights: by the peer's names.
        patterns: regular expressions, applied in order to every name, and what replaces a match.
    """
    result = {}
    for name, tensor in weights.items():
        for pattern, replacement in patterns.items():
            name = re.sub(pattern, replacement, name)
        result[name] = tensor
    return result
