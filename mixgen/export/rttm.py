"""The active times of sources as RTTM, the format of NIST's Rich Transcription 2009 evaluation."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mixgen.core.files import write_text
from mixgen.export.exporter import Export, Exporter, heard_events
from mixgen.manifest.mixture import Mixture


def write_rttm(path: Path, mixtures: Iterable[Mixture]) -> None:
    """Write one file for all mixtures, whose lines name their mixture and talker."""
    write_text(path, "".join(f"{line}\n" for mixture in mixtures for line in rttm_lines(mixture)))


def rttm_lines(mixture: Mixture) -> Iterator[str]:
    """Yield one line for each event that is heard, in order of time, but none for noise."""
    spans = [
        (heard.start_s, heard.duration_s, source.label)
        for source in mixture.sources
        if source.role not in ("background", "noise")
        for _, heard in heard_events(mixture, source)
    ]
    for start_s, duration_s, label in sorted(spans):
        talker = label.replace(" ", "_")
        times = f"{start_s:.4f} {duration_s:.4f}"
        yield f"SPEAKER {mixture.id} 1 {times} <NA> <NA> {talker} <NA> <NA>"


def _export(export: Export) -> str:
    mixtures = export.mixtures()
    write_rttm(export.out, mixtures)
    return f"Activity in {len(mixtures)} mixtures in {export.out}."


EXPORTER = Exporter(
    name="rttm",
    summary="one RTTM file with the active times of all talkers",
    example="mixgen export sets/speech --to rttm --out speech.rttm",
    write=_export,
)
