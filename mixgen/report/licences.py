"""Under which licences the audio inside a set stands, and from which corpora it comes."""

from dataclasses import dataclass, field
from typing import Any

from mixgen.manifest.mixture import Mixture
from mixgen.report.rows import Part, Rows, parts_of

_Key = tuple[str, ...]


@dataclass
class _Share:
    """What one licence or corpus adds to the set."""

    mixtures: int = 0
    uses: int = 0
    seconds: float = 0.0
    files: set[str] = field(default_factory=set)

    def add(self, part: Part) -> None:
        """Count one use of a file."""
        self.uses += 1
        self.seconds += part.duration_s
        self.files.add(part.name)

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
        """Take one mixture into account."""
        parts = list(parts_of(mixture))
        _share(self._licences, [((part.licence,), part) for part in parts])
        _share(self._corpora, [((p.corpus, p.kind, p.licence), p) for p in parts])

    def as_data(self) -> dict[str, Any]:
        """Return both tables, sorted by name; an empty licence is one that nobody stated."""
        return {
            "licences": _table(("licence",), self._licences),
            "corpora": _table(("corpus", "kind", "licence"), self._corpora),
        }


def _share(shares: dict[_Key, _Share], parts: list[tuple[_Key, Part]]) -> None:
    for key, part in parts:
        shares.setdefault(key, _Share()).add(part)
    for key in {key for key, _ in parts}:
        shares[key].mixtures += 1


def _table(columns: tuple[str, ...], shares: dict[_Key, _Share]) -> list[dict[str, Any]]:
    return [
        {**dict(zip(columns, key, strict=True)), **share.as_dict()}
        for key, share in sorted(shares.items())
    ]
