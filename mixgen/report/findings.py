"""The sentences at the top of a report: leakage, missing mixtures, missing licences."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

from mixgen.report.leakage import LEAKS

Finding = dict[str, str]
Severity = Literal["error", "warning", "good", "note"]  # the worst first

_MOST_NAMES = 12


def find(facts: dict[str, Any]) -> list[Finding]:
    """Return the findings, the worst first."""
    found = [*_leaks(facts["leakage"]), *_missing(facts), *_unlicensed(facts["licences"])]
    order = get_args(Severity)
    return sorted(found, key=lambda finding: order.index(finding["severity"]))


def _finding(severity: Severity, text: str) -> Finding:
    return {"severity": severity, "text": text}


def _leaks(leakage: dict[str, Any]) -> Iterator[Finding]:
    for pair in leakage["pairs"]:
        if pair["leak"]:
            yield _finding("error", _leak(pair))
    if leakage["pairs"] and not leakage["found"]:
        kinds = " and no ".join(kind for kind in LEAKS if kind in leakage["kinds"])
        # Only tests may share these: see `Leakage`.
        shared = any(pair["shared"] for pair in leakage["pairs"] if pair["kind"] in LEAKS)
        exception = ", except in tests" if shared else ""
        yield _finding("good", f"No leakage: no {kinds} are in two splits{exception}.")


def _leak(pair: dict[str, Any]) -> str:
    """Return the sentence about what two splits share."""
    count, kind = pair["shared"], pair["kind"]
    noun = f"{kind.removesuffix('s')} is" if count == 1 else f"{kind} are"
    names = pair["names"][:_MOST_NAMES]
    if count > len(names):
        names = [*names, f"and {count - len(names)} more"]
    first, second = pair["splits"]
    return f"Leakage: {count} {noun} in both {first} and {second}: {', '.join(names)}."


def _missing(facts: dict[str, Any]) -> Iterator[Finding]:
    total = facts["total"]
    if total["mixtures"] == 0:
        yield _finding("warning", "The manifest holds no mixtures.")
    if not facts["set"]["rendered"]:
        yield _finding(
            "note",
            "This report covers a manifest alone: nothing is measured, and levels are those before "
            "the clip rule.",
        )
    elif total["rendered"] < total["mixtures"]:
        missing = total["mixtures"] - total["rendered"]
        yield _finding(
            "error",
            f"{missing} of {total['mixtures']} mixtures are not completely rendered: run "
            "`mixgen render` again.",
        )


def _unlicensed(licences: list[dict[str, Any]]) -> Iterator[Finding]:
    for row in licences:
        if not row["licence"].strip():
            yield _finding(
                "warning",
                f"No licence is stated for {row['files']} file(s), {in_words(row['hours'])}: state "
                "it with `mixgen index --licence` and draw again.",
            )


_FEW_HOURS = 0.1


def is_little(hours: float) -> bool:
    """Return whether a length is below 0.1 h."""
    return hours < _FEW_HOURS


def by_the_clock(hours: float) -> str:
    """Return a length as minutes and seconds: 4:20."""
    minutes, seconds = divmod(round(hours * 3600), 60)
    return f"{minutes}:{seconds:02d}"


def in_words(hours: float) -> str:
    """Return a length with its unit: 12.30 h, or 4:20 min where it is below 0.1 h."""
    return f"{by_the_clock(hours)} min" if is_little(hours) else f"{hours:,.2f} h"
