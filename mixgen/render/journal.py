"""The journal of a set while it is rendered: rendered.jsonl, and a file for each newer block."""

import itertools
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mixgen.audio.formats import SampleFormat
from mixgen.core.errors import InputError
from mixgen.core.files import read_lines, write_jsonl
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RENDERED_FILE, FileRow, RenderedHeader, RowsInOrder, open_rendered

BLOCK = 8  # mixtures (with all variants) that each worker of an interrupted run loses at most
JOURNAL_FOLDER = ".rendering"

_DIGITS = 16  # of a manifest's hash, in the name of its folder


class UnfinishedError(Exception):
    """The run of another shard has yet to render a block."""


@dataclass(frozen=True)
class Block:
    """Consecutive mixtures, and the rows of their files; None if the block was never rendered."""

    number: int
    mixtures: list[Mixture]
    rows: list[FileRow] | None


def block_count(mixtures: int) -> int:
    """Return into how many blocks a number of mixtures is divided; variants of one count once."""
    return math.ceil(mixtures / BLOCK)


class RenderJournal:
    """What is rendered already; rows that cannot be read count as not rendered.

    The blocks of each manifest and format have a separate folder.
    """

    def __init__(self, folder: Path, manifest_sha256: str, sample_format: SampleFormat) -> None:
        self._set = folder
        self._folder = folder / JOURNAL_FOLDER / manifest_sha256[:_DIGITS] / sample_format.name
        self._in_order = True

    @property
    def header(self) -> RenderedHeader | None:
        """The header of rendered.jsonl."""
        try:
            return open_rendered(self._set).header
        except InputError:
            return None

    @property
    def is_settled(self) -> bool:
        """Whether rendered.jsonl is complete; known once `blocks` has come to its end."""
        return self._in_order and not (self._set / JOURNAL_FOLDER).exists()

    def blocks(
        self, mixtures: Iterable[Mixture], shard: tuple[int, int] = (1, 1)
    ) -> Iterator[Block]:
        """Yield the blocks of a shard (i, N): every N-th from the i-th on."""
        index, count = shard
        begun = (self._set / RENDERED_FILE).exists()
        rendered = RowsInOrder(self._readable_rows())
        for number, block in enumerate(_in_blocks(mixtures)):
            older = [row for mixture in block for row in rendered.of(mixture.id)]
            if number % count == index - 1:
                rows = self._read(number)
                yield Block(number, block, older if rows is None and begun else rows)
        self._in_order &= rendered.next_id is None

    def rows(self, mixtures: Iterable[Mixture], count: int) -> Iterator[FileRow]:
        """Yield the rows of all blocks, of which there are `count`.

        Raises:
            UnfinishedError: a block was never rendered.
        """
        begun = (self._set / RENDERED_FILE).exists()
        fresh = (self._read(number) for number in range(count))
        for rows in (block.rows for block in self.blocks(mixtures)) if begun else fresh:
            if rows is None:
                raise UnfinishedError
            yield from rows

    def _readable_rows(self) -> Iterator[FileRow]:
        try:
            yield from open_rendered(self._set)
        except InputError:
            self._in_order = False

    def _read(self, number: int) -> list[FileRow] | None:
        try:
            return [FileRow.model_validate_json(line) for line in read_lines(self._path(number))]
        except (InputError, ValidationError):
            return None

    def write(self, number: int, rows: Sequence[FileRow]) -> None:
        """Record the rows of a block."""
        write_jsonl(self._path(number), (row.as_dict() for row in rows))

    def _path(self, number: int) -> Path:
        return self._folder / f"block-{number:06d}.jsonl"

    def drop(self) -> None:
        """Remove the files of blocks, also those of other manifests and formats."""
        shutil.rmtree(self._set / JOURNAL_FOLDER, ignore_errors=True)


def _in_blocks(mixtures: Iterable[Mixture]) -> Iterator[list[Mixture]]:
    """Yield blocks, which have all variants of a mixture that follow each other."""
    groups = (
        list(group) for _, group in itertools.groupby(mixtures, lambda mixture: mixture.common_name)
    )
    while block := list(itertools.chain.from_iterable(itertools.islice(groups, BLOCK))):
        yield block
