"""What a file in benchmarks/boards says, and the systems that it names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from speech_scenes import REPOSITORY

from baselines.inference.counted import split_count
from baselines.registry import models

BOARDS = REPOSITORY / "benchmarks" / "boards"
MOST_MINUTES = 60
UNTRAINED = ("mixture", "oracle:")


@dataclass(frozen=True, kw_only=True)
class Board:
    """A file in benchmarks/boards.

    Attributes:
        name: of the file.
        title: of the page.
        about: what the mixtures are, and what is learnt from.
        recipe: a shipped one, or a file beside the board.
        training_recipe: another one for the mixtures to learn from.
        systems: names of systems without training, a count in front of the name of a trained one,
            or one key of `train`, `program` and `weights` with its options.
        index: options of `mixgen index` by name, the folder below SEPARATION_DATA; one per corpus.
        starter: whether the starter corpus is a source, too.
        labels: labels of sources that count as others.
        sources: splits of the corpora for splits of the recipe, as `mixgen draw --splits`.
        mixtures: how many mixtures a split has, as `mixgen draw --mixtures`.
        tests: splits that are scored.
        rendered: whether the mixtures to learn from are rendered first: simulated rooms and
            conversations take most of a training that renders them as it goes.
        pairs: finished recordings that are scored in place of drawn ones: `folder`, and in it the
            folders `mixture` and `target`.
    """

    name: str
    title: str
    about: str
    recipe: str
    systems: Sequence[Any]
    index: Sequence[dict[str, str]] = ()
    starter: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    mixtures: dict[str, int] = field(default_factory=dict)
    tests: Sequence[str] = ("test",)
    rendered: bool = False
    pairs: dict[str, str] | None = None
    training_recipe: str | None = None

    @classmethod
    def read(cls, name: str) -> "Board":
        """Read a board by its name."""
        path = BOARDS / f"{name}.yaml"
        if not path.is_file():
            raise SystemExit(f"There is no board {name}: choose from {', '.join(board_names())}.")
        return cls(name=name, **yaml.safe_load(path.read_text(encoding="utf-8")))


def recipe_argument(recipe: str) -> str:
    """Return a recipe of a board as `mixgen draw` takes it: a file beside the board, or a name."""
    beside = BOARDS / recipe
    return str(beside) if beside.is_file() else recipe


def board_names() -> list[str]:
    """Return the names of all boards."""
    return sorted(p.stem for p in BOARDS.glob("*.yaml") if not p.stem.endswith("_recipe"))


@dataclass(frozen=True)
class Row:
    """One system of a board: what it is called, how it was trained or where it is from.

    Attributes:
        name: in the board.
        minutes: of training; None without.
        precision: of training: `bfloat16` where this processor trains faster with it.
        program: of others, by its name in rows.yaml.
        weights: of others, by their name in rows.yaml.
        names: of the estimates that a program writes, all the same.
    """

    name: str
    minutes: float | None = None
    precision: str = "float32"
    program: str | None = None
    weights: str | None = None
    names: tuple[str, ...] = ("speech",)

    @classmethod
    def of(cls, given: Any) -> "Row":
        """Return the row of an entry in `systems`."""
        if isinstance(given, str):
            return cls(given)
        if "train" in given:
            minutes = min(given["minutes"], MOST_MINUTES)
            return cls(given["train"], minutes, given.get("precision", "float32"))
        if "program" in given:
            names = tuple(given.get("names", ("speech",)))
            return cls(given["program"], program=given["program"], names=names)
        return cls(given["weights"], weights=given["weights"])

    @property
    def is_registered(self) -> bool:
        """Whether this version has the system."""
        if self.program or self.weights or self.name.startswith(UNTRAINED):
            return True
        _, name = split_count(self.name)
        model, _, variant = name.partition(":")
        spec = models().get(model)
        return spec is not None and (not variant or name in spec.variants)

    @property
    def folder(self) -> str:
        """Name of the folder of its checkpoint."""
        return self.name.replace(":", "-")
