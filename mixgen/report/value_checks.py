"""Checks of what was measured in the files of a set: silence, levels, overlap, reverberation."""

from collections.abc import Iterator

from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.report.checks import Check, Fault, Judged
from mixgen.report.rows import Rows
from mixgen.sets.rendered import FileRow

_LEVEL_DB = 1.0
_OVERLAP = 0.15
_T60_SHARE = 0.3
_T60_S = 0.1
_LONGEST_S = 5.0
_CLIP_DB = 6.0
_FAINT_PEAK = 0.001  # -60 dB: 5 of the 16 bits
_FAINT_RATIO_DB = -30.0


def _targets(mixture: Mixture, rows: Rows) -> Iterator[tuple[FileRow, bool]]:
    """Yield the rows of targets that should sound, and whether each is an image."""
    for source in mixture.sources:
        for file in source.files if source.events else ():
            if file.name in mixture.targets and file.name in rows:
                yield rows[file.name], file.part == "image"


def _silent(mixture: Mixture, rows: Rows) -> Iterator[Judged]:
    for row, _ in _targets(mixture, rows):
        silent = row.peak == 0 or row.measured.get("level_db", 0.0) is None
        yield row.path, Fault(0.0, "no sound") if silent else None


def _faint(mixture: Mixture, rows: Rows) -> Iterator[Judged]:
    for row, _ in _targets(mixture, rows):
        ratio_db = row.measured.get("energy_ratio_db")
        fault = None
        if ratio_db is not None and ratio_db < _FAINT_RATIO_DB:
            fault = Fault(-ratio_db, f"{-ratio_db:.0f} dB below all other sources")
        elif 0 < row.peak < _FAINT_PEAK:
            fault = Fault(1 / row.peak, f"a peak of {row.peak:.6f}")
        yield row.path, fault


def _level(mixture: Mixture, rows: Rows) -> Iterator[Judged]:  # noqa: ARG001 - one signature
    for row in rows.values():
        yield from _difference(row, "level_db", _LEVEL_DB, "{:.1f} dB instead of {:.1f}")


def _overlap(mixture: Mixture, rows: Rows) -> Iterator[Judged]:  # noqa: ARG001 - one signature
    if MIXTURE in rows:
        yield from _difference(rows[MIXTURE], "overlap", _OVERLAP, "{:.2f} instead of {:.2f}")


def _difference(row: FileRow, name: str, tolerance: float, words: str) -> Iterator[Judged]:
    requested, measured = row.requested.get(name), row.measured.get(name)
    if requested is None or measured is None:
        return
    size = abs(measured - requested)
    detail = words.format(measured, requested).replace("-", "−")
    yield row.path, Fault(size, detail) if size > tolerance else None


def _t60(mixture: Mixture, rows: Rows) -> Iterator[Judged]:  # noqa: ARG001 - one signature
    for row in rows.values():
        if "t60_s" not in row.measured:
            continue
        requested, measured = row.requested.get("t60_s"), row.measured["t60_s"]
        fault = None
        if measured is not None and requested is not None:
            off_s = abs(measured - requested)
            if off_s > max(_T60_S, _T60_SHARE * requested):
                fault = Fault(off_s, f"{measured:.2f} s instead of {requested:.2f}")
        if fault is None and measured is not None and measured > _LONGEST_S:
            fault = Fault(measured, f"{measured:.2f} s")
        yield row.path, fault


def _clip_gain(mixture: Mixture, rows: Rows) -> Iterator[Judged]:  # noqa: ARG001 - one signature
    if MIXTURE in rows:
        row = rows[MIXTURE]
        down_db = -row.clip_gain_db
        yield row.path, Fault(down_db, f"{down_db:.1f} dB") if down_db > _CLIP_DB else None


VALUE_CHECKS = (
    Check(
        name="silent targets",
        of="targets",
        fails="silent",
        passes="every target sounds",
        advice="Most metrics are not defined there: look at the excerpts that were drawn.",
        severity="warning",
        judge=_silent,
    ),
    Check(
        name="faint targets",
        of="targets",
        fails=f"nearly silent (a peak below −60 dB, or {-_FAINT_RATIO_DB:.0f} dB below the rest)",
        passes="no target is nearly silent",
        advice="",
        severity="warning",
        judge=_faint,
    ),
    Check(
        name="level",
        of="files",
        fails=f"more than {_LEVEL_DB:g} dB off the requested level",
        passes=f"levels are within {_LEVEL_DB:g} dB of those requested",
        advice="",
        severity="warning",
        judge=_level,
    ),
    Check(
        name="overlap",
        of="mixtures",
        fails=f"more than {_OVERLAP:g} off the requested overlap",
        passes=f"overlaps are within {_OVERLAP:g} of those requested",
        advice="Requested is the overlap of whole excerpts; pauses inside them take from it.",
        severity="warning",
        judge=_overlap,
    ),
    Check(
        name="reverberation time",
        of="files",
        fails=(
            f"more than {_T60_SHARE:.0%} and {_T60_S:g} s off the requested reverberation time, or "
            f"above {_LONGEST_S:g} s"
        ),
        passes=f"reverberation times are plausible and within {_T60_SHARE:.0%} of those requested",
        advice="Listen to the room responses.",
        severity="warning",
        judge=_t60,
    ),
    Check(
        name="clip rule",
        of="mixtures",
        fails=f"turned down by more than {_CLIP_DB:g} dB by the joint clip rule",
        passes=f"the joint clip rule turns no mixture down by more than {_CLIP_DB:g} dB",
        advice="With a lower `reference_db` in the recipe, levels stay as they are drawn.",
        severity="warning",
        judge=_clip_gain,
    ),
)
