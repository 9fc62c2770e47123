"""The sentences at the top of a report: what is wrong with a set, and what was checked."""

from collections.abc import Iterator
from typing import Any, get_args

from mixgen.manifest.uses import Terms
from mixgen.report.checks import Severity
from mixgen.report.leakage import LEAKS

Finding = dict[str, str | None]
"""`severity`, `text`, the `section` of the page with more of it, the worst `mixture`."""

_MOST_NAMES = 6


def find(facts: dict[str, Any]) -> list[Finding]:
    """Return the findings, the worst first."""
    found = [
        *_missing(facts),
        *_failed(facts["checks"]),
        *_leaks(facts["leakage"]),
        *_restricted(facts["licences"]),
        *_checked(facts),
    ]
    order = get_args(Severity)
    return sorted(found, key=lambda finding: order.index(finding["severity"]))


def _finding(
    severity: Severity, text: str, *, section: str | None = None, mixture: str | None = None
) -> Finding:
    return {"severity": severity, "text": text, "section": section, "mixture": mixture}


def _failed(checks: list[dict[str, Any]]) -> Iterator[Finding]:
    for check in checks:
        if check["failed"]:
            worst = check["worst"][0]
            text = (
                f"{check['failed']:,} of {check['judged']:,} {check['of']} are {check['fails']}; "
                f"the worst is {worst['path']}: {worst['detail']}. {check['advice']}"
            )
            yield _finding(check["severity"], text.rstrip(), mixture=worst["id"])


def _checked(facts: dict[str, Any]) -> Iterator[Finding]:
    """Yield what was checked and is fine, and what was not checked."""
    if not facts["set"]["rendered"] or not facts["checks"]:
        return
    if not facts["hashes_checked"]:
        yield _finding(
            "note",
            "Hashes were not checked (--no-hashes), only sizes and headers: altered or exchanged "
            "audio of the right length is not found.",
            section="checks",
        )
    passed = [check["passes"] for check in facts["checks"] if not check["failed"]]
    if passed:
        text = "; ".join(passed)
        yield _finding("good", f"Checked: {text}.", section="checks")


def _leaks(leakage: dict[str, Any]) -> Iterator[Finding]:
    for pair in leakage["pairs"]:
        if pair["leak"]:
            yield _finding("error", _leak(pair), section="leakage")
    if leakage["pairs"] and not leakage["found"]:
        kinds = " and no ".join(kind for kind in LEAKS if kind in leakage["kinds"])
        # Only tests may share these: see `Leakage`.
        shared = any(pair["shared"] for pair in leakage["pairs"] if pair["kind"] in LEAKS)
        exception = ", except in tests" if shared else ""
        text = f"No leakage: no {kinds} are in two splits{exception}."
        yield _finding("good", text, section="leakage")


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


_RESTRICTIONS: dict[Terms, str] = {
    "not_commercial": "{licence} forbids commercial use: {files} file(s), {length}.",
    "not_known": "The terms of {licence} are not known here: read them. It covers {files} "
    "file(s), {length}.",
    "not_stated": "No licence is stated for {files} file(s), {length}: state it with "
    "`mixgen index --licence` and draw again.",
}


def _restricted(licences: list[dict[str, Any]]) -> Iterator[Finding]:
    for row in licences:
        if row["terms"] in _RESTRICTIONS:
            text = _RESTRICTIONS[row["terms"]].format(
                licence=row["licence"], files=row["files"], length=in_words(row["hours"])
            )
            yield _finding("warning", text, section="licences")


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
