"""Checks of every mixture of a set: how many fail, and the worst of them."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mixgen.manifest.mixture import Mixture
from mixgen.report.rows import Rows

Severity = Literal["error", "warning", "good", "note"]  # the worst first

_LISTED = 20


@dataclass(frozen=True)
class Fault:
    """What is wrong with one file; of two faults, the worse one has the larger size."""

    size: float
    detail: str


Judged = tuple[str, Fault | None]
"""The path of what was judged, and its fault."""

Judge = Callable[[Mixture, Rows], Iterator[Judged]]


@dataclass(frozen=True)
class Check:
    """A question that is asked of every mixture.

    Attributes:
        name: of the check.
        of: what is judged, in the plural.
        fails: what is said of those that fail, after their number.
        passes: what holds where none fails.
        advice: what to do about it; may be empty.
        severity: of the finding.
        judge: answers the question.
    """

    name: str
    of: str
    fails: str
    passes: str
    advice: str
    severity: Severity
    judge: Judge


@dataclass(frozen=True, order=True)
class _Failed:
    size: float
    number: int  # of the failure, negative: of equal ones, the first is kept
    path: str = field(compare=False)
    detail: str = field(compare=False)
    mixture: Mixture = field(compare=False)
    rows: Rows = field(compare=False)


class Tally:
    """How many files passed a check, and the worst of those that did not."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self._judged = 0
        self._failed = 0
        self._worst: list[_Failed] = []  # a heap, the least bad first

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Judge one mixture."""
        for path, fault in self.check.judge(mixture, rows):
            self._judged += 1
            if fault is not None:
                self._failed += 1
                failed = _Failed(fault.size, -self._failed, path, fault.detail, mixture, rows)
                heapq.heappush(self._worst, failed)
                if len(self._worst) > _LISTED:
                    heapq.heappop(self._worst)

    def worst(self) -> list[_Failed]:
        """Return the worst failures, the worst first."""
        return sorted(self._worst, reverse=True)

    def as_data(self) -> dict[str, Any]:
        """Return numbers and the worst failures as plain data."""
        check = self.check
        return {
            "name": check.name,
            "of": check.of,
            "severity": check.severity,
            "fails": check.fails,
            "passes": check.passes,
            "advice": check.advice,
            "judged": self._judged,
            "failed": self._failed,
            "worst": [
                {"id": one.mixture.id, "path": one.path, "detail": one.detail}
                for one in self.worst()
            ],
        }


class Checks:
    """The tallies of all checks of a set."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._tallies = [Tally(check) for check in checks]

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Judge one mixture; one that is not rendered has nothing to be judged."""
        if rows:
            for tally in self._tallies:
                tally.add(mixture, rows)

    def as_data(self) -> list[dict[str, Any]]:
        """Return the tallies, as far as there was something to judge."""
        return [data for data in (t.as_data() for t in self._tallies) if data["judged"]]

    def worst(self) -> dict[str, tuple[Mixture, Rows, list[str]]]:
        """Return the mixture with the worst failure of each check, and the names of these checks.

        The keys are ids of mixtures.
        """
        found: dict[str, tuple[Mixture, Rows, list[str]]] = {}
        for tally in self._tallies:
            for one in tally.worst()[:1]:
                found.setdefault(one.mixture.id, (one.mixture, one.rows, []))[2].append(
                    tally.check.name
                )
        return found
