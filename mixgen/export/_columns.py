"""Columns of the tables that separation toolkits read: mix, s1, s2, ..., noise."""

from dataclasses import dataclass, field
from typing import NamedTuple

from mixgen.export.exporter import RenderedMixture, check_manifest
from mixgen.manifest.mixture import MIXTURE, Mixture, file_name
from mixgen.sets.rendered import FileRow, RenderedSet

MIX, REFERENCE, NOISE, FAR_END, ENROLMENT = range(5)


class Column(NamedTuple):
    """A column of a table; columns are ordered by what they hold, and then by number."""

    holds: int
    number: int
    name: str


def columns_of(mixture: Mixture) -> dict[Column, str]:
    """Return the names of the files of a mixture by their columns.

    `mix` is the mixture, `s1` and so on are the references in the order of the record's targets,
    and `noise`, `noise2` and so on are the sources that no reference belongs to. `far_end` is the
    far-end signal of an echo, and `s1_enrolment` the enrolment of the talker of `s1`.
    """
    targets = {name: number for number, name in enumerate(mixture.targets, 1)}
    columns = {Column(MIX, 1, "mix"): MIXTURE}
    columns |= {Column(REFERENCE, number, f"s{number}"): name for name, number in targets.items()}
    noises = far_ends = 0
    for source in mixture.sources:
        number = next((targets[file.name] for file in source.files if file.name in targets), None)
        if number is None:
            noises += 1
            columns[Column(NOISE, noises, _numbered("noise", noises))] = source.name
        if source.echo is not None:
            far_ends += 1
            name = _numbered("far_end", far_ends)
            columns[Column(FAR_END, far_ends, name)] = file_name(source.name, "far_end")
        if source.enrolment is not None and number is not None:
            column = Column(ENROLMENT, number, f"s{number}_enrolment")
            columns[column] = file_name(source.name, "enrolment")
    return columns


def rows_of(mixture: RenderedMixture) -> dict[str, FileRow]:
    """Return the rows of the files of a mixture by the names of their columns."""
    columns = columns_of(mixture.record)
    return {column.name: mixture.files[name] for column, name in columns.items()}


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}{number}"


@dataclass
class SplitTable:
    """What the table of a split needs.

    Attributes:
        columns: those that any mixture of the split has.
        is_clean: whether every mixture is the sum of its references, without anything else.
    """

    columns: set[Column] = field(default_factory=set)
    is_clean: bool = True

    def add(self, mixture: Mixture) -> None:
        """Take a mixture into account."""
        self.columns.update(columns_of(mixture))
        images = {source.name for source in mixture.sources}
        self.is_clean &= not mixture.degradations and images == set(mixture.targets)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in sorted(self.columns)]


def tables_of(rendered: RenderedSet, split: str | None) -> dict[str, SplitTable]:
    """Return what the tables of a set, or of one of its splits, need, by split.

    Raises:
        InputError: the set holds another manifest than the one that it was rendered from.
    """
    tables: dict[str, SplitTable] = {}
    for mixture in rendered.manifest_file:
        if split in (None, mixture.split):
            tables.setdefault(mixture.split, SplitTable()).add(mixture)
    check_manifest(rendered)
    return tables
