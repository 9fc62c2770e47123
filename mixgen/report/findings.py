"""What a person must know first, in sentences: leakage, what is missing, what nobody stated."""

from collections.abc import Iterator
from typing import Any, Literal

from mixgen.report.leakage import LEAKS

Finding = dict[str, str]
Severity = Literal["error", "warning", "good", "note"]

_NAMED = 12


def find(facts: dict[str, Any]) -> list[Finding]:
    """Return the sentences, the worst first."""
    found = [*_leaks(facts["leakage"]), *_missing(facts), *_unstated(facts["licences"])]
    order = ("error", "warning", "good", "note")
    return sorted(found, key=lambda finding: order.index(finding["severity"]))


def _finding(severity: Severity, text: str) -> Finding:
    return {"severity": severity, "text": text}


def _leaks(leakage: dict[str, Any]) -> Iterator[Finding]:
    for pair in leakage["pairs"]:
        if pair["leak"]:
            first, second = pair["splits"]
            what = f"{pair['shared']} {_noun(pair['kind'], pair['shared'])}"
            yield _finding("error", f"Leakage: {what} in both {first} and {second}: {_list(pair)}.")
    if leakage["pairs"] and not leakage["found"]:
        kinds = " and no ".join(kind for kind in LEAKS if kind in leakage["kinds"])
        # Tests may share: see `Leakage`.
        shared = any(pair["shared"] for pair in leakage["pairs"] if pair["kind"] in LEAKS)
        but = ", other than tests" if shared else ""
        yield _finding("good", f"No leakage: no {kinds} are in two splits{but}.")


def _noun(kind: str, count: int) -> str:
    return f"{kind.removesuffix('s')} is" if count == 1 else f"{kind} are"


def _list(pair: dict[str, Any]) -> str:
    more = pair["shared"] - len(pair["names"][:_NAMED])
    tail = [f"and {more} more"] if more else []
    return ", ".join([*pair["names"][:_NAMED], *tail])


def _missing(facts: dict[str, Any]) -> Iterator[Finding]:
    total = facts["total"]
    if total["mixtures"] == 0:
        yield _finding("warning", "The manifest holds no mixtures.")
    if not facts["set"]["rendered"]:
        yield _finding(
            "note",
            "This is of a manifest alone: nothing is measured, and levels are those before the "
            "clip rule.",
        )
    elif total["rendered"] < total["mixtures"]:
        missing = total["mixtures"] - total["rendered"]
        yield _finding(
            "error",
            f"{missing} of {total['mixtures']} mixtures are not rendered to the end: run "
            "`mixgen render` again.",
        )


def _unstated(licences: list[dict[str, Any]]) -> Iterator[Finding]:
    for row in licences:
        if not row["licence"].strip():
            yield _finding(
                "warning",
                f"No licence is stated for {row['files']} file(s), {in_words(row['hours'])}: state "
                "it with `mixgen index --licence` and draw again.",
            )


_FEW_HOURS = 0.1


def is_little(hours: float) -> bool:
    """Tell whether a length is below 0.1 h."""
    return hours < _FEW_HOURS


def by_the_clock(hours: float) -> str:
    """Write a length as minutes and seconds: 4:20."""
    minutes, seconds = divmod(round(hours * 3600), 60)
    return f"{minutes}:{seconds:02d}"


def in_words(hours: float) -> str:
    """Write a length with its unit: 12.30 h, 4:20 min."""
    return f"{by_the_clock(hours)} min" if is_little(hours) else f"{hours:,.2f} h"
