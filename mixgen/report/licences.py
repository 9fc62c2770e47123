"""The licences of the audio inside a set, and the corpora that it comes from."""

from dataclasses import dataclass, field
from typing import Any

from mixgen.manifest.mixture import Mixture
from mixgen.manifest.uses import FileUse, file_uses, terms_of
from mixgen.report.rows import Rows

_Key = tuple[str, ...]


@dataclass
class _Share:
    """What one licence or corpus adds to the set."""

    mixtures: int = 0
    uses: int = 0
    seconds: float = 0.0
    files: set[str] = field(default_factory=set)

    def add(self, use: FileUse) -> None:
        """Count one use of a file."""
        self.uses += 1
        self.seconds += use.duration_s
        self.files.add(use.name)

    def as_dict(self) -> dict[str, Any]:
        """Return the sums as plain data."""
        return {
            "mixtures": self.mixtures,
            "files": len(self.files),
            "uses": self.uses,
            "hours": round(self.seconds / 3600, 4),
        }


class Licences:
    """Mixtures, files, uses and hours by licence, and by corpus, kind and licence."""

    def __init__(self) -> None:
        self._licences: dict[_Key, _Share] = {}
        self._corpora: dict[_Key, _Share] = {}

    def add(self, mixture: Mixture, rows: Rows) -> None:  # noqa: ARG002 - one signature for all
        """Count one mixture."""
        uses = list(file_uses(mixture))
        _count(self._licences, [((use.licence,), use) for use in uses])
        _count(self._corpora, [((use.corpus, use.kind, use.licence), use) for use in uses])

    def as_data(self) -> dict[str, Any]:
        """Return both tables, sorted by name; an empty licence means that none is stated."""
        licences = _table(("licence",), self._licences)
        return {
            "licences": [{**row, "terms": terms_of(row["licence"])} for row in licences],
            "corpora": _table(("corpus", "kind", "licence"), self._corpora),
        }


def _count(shares: dict[_Key, _Share], uses: list[tuple[_Key, FileUse]]) -> None:
    """Add the uses of one mixture to the shares of their keys."""
    for key, use in uses:
        shares.setdefault(key, _Share()).add(use)
    for key in {key for key, _ in uses}:
        shares[key].mixtures += 1


def _table(columns: tuple[str, ...], shares: dict[_Key, _Share]) -> list[dict[str, Any]]:
    return [
        {**dict(zip(columns, key, strict=True)), **share.as_dict()}
        for key, share in sorted(shares.items())
    ]
