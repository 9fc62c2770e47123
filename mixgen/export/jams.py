"""Mixtures as Scaper's JAMS files and back; stock Scaper renders them as `mixgen render` does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixgen.core.errors import InputError
from mixgen.core.files import read_json, write_json
from mixgen.core.progress import track
from mixgen.core.records import parse_record
from mixgen.corpora.roots import Roots, locate
from mixgen.export.exporter import Export, Exporter
from mixgen.manifest.file import upgraded
from mixgen.manifest.mixture import Mixture
from mixgen.scenes.draws import seconds_of

_SCAPER_VERSION = "1.6.5"
_JAMS_VERSION = "0.3.5"


def write_jams(path: Path, mixture: Mixture, roots: Roots) -> None:
    """Write a mixture as a JAMS file that `scaper.generate_from_jams` renders.

    JAMS orders events by time and not as in the record; the sandbox of the annotation holds the
    record itself.

    Raises:
        InputError: the record holds what Scaper cannot express.
    """
    _check_expressible(mixture)
    write_json(path, jams_dict(mixture, roots))


# What Scaper cannot express: a test of a mixture, the reason, and what can be exported.
_INEXPRESSIBLE: tuple[tuple[Callable[[Mixture], object], str, str], ...] = (
    (
        lambda mixture: mixture.arithmetic,
        "is computed as the script of a published set does",
        "only drawn mixtures can be exported",
    ),
    (
        lambda mixture: any(source.gain.rule != "lufs" for source in mixture.sources),
        "has a level rule other than 'lufs'",
        "only that rule can be exported",
    ),
    (
        lambda mixture: any(source.gain.shared for source in mixture.sources),
        "has a stem of several files with one level",
        "only stems of one file can be exported",
    ),
    (
        lambda mixture: any(source.echo for source in mixture.sources),
        "has an echo with an amplifier and a loudspeaker",
        "only mixtures without one can be exported",
    ),
    (
        lambda mixture: mixture.degradations,
        "is degraded after its sources are summed",
        "only mixtures without degradations can be exported",
    ),
    (
        lambda mixture: mixture.room,
        "is in a room with a response for each source",
        "only dry mixtures can be exported",
    ),
)


def _check_expressible(mixture: Mixture) -> None:
    for applies, reason, allowed in _INEXPRESSIBLE:
        if applies(mixture):
            raise InputError(
                f"Mixture {mixture.id} {reason}, which Scaper cannot express: {allowed}."
            )


def jams_dict(mixture: Mixture, roots: Roots) -> dict[str, Any]:
    """Return the content of a mixture's JAMS file as plain data."""
    duration_s = seconds_of(mixture.frames, mixture.sample_rate)
    annotation = {
        "annotation_metadata": {},
        "namespace": "scaper",
        "data": _observations(mixture, roots),
        "sandbox": {
            "scaper": _sandbox(mixture, roots, duration_s),
            "mixgen": mixture.as_dict(),
        },
        "time": 0,
        "duration": duration_s,
    }
    metadata = {"duration": duration_s, "jams_version": _JAMS_VERSION, "identifiers": {}}
    return {"annotations": [annotation], "file_metadata": metadata, "sandbox": {}}


def _observations(mixture: Mixture, roots: Roots) -> list[dict[str, Any]]:
    return [
        {
            "time": event.event_time,
            "duration": event.sounding_s,
            "confidence": 1.0,
            "value": {
                "label": source.label,
                "source_file": str(locate(roots, event.corpus, event.path)),
                "source_time": event.source_time,
                "event_time": event.event_time,
                "event_duration": event.event_duration,
                "snr": event.snr,
                "role": "background" if source.role == "background" else "foreground",
                "pitch_shift": event.pitch_shift,
                "time_stretch": event.time_stretch,
            },
        }
        for source in mixture.sources
        for event in source.events
    ]


def _sandbox(mixture: Mixture, roots: Roots, duration_s: float) -> dict[str, Any]:
    root = str(next(iter(roots.values())))
    return {
        "duration": duration_s,
        "original_duration": duration_s,
        "fg_path": root,
        "bg_path": root,
        "protected_labels": [],
        "sr": mixture.sample_rate,
        "ref_db": mixture.level.reference_db,
        "n_channels": mixture.channels,
        "fade_in_len": mixture.fade_s,
        "fade_out_len": mixture.fade_s,
        "reverb": None,
        "fix_clipping": False,
        "peak_normalization": False,
        "quick_pitch_time": False,
        "scaper_version": _SCAPER_VERSION,
        "n_events": sum(len(s.events) for s in mixture.sources if s.role != "background"),
        "isolated_events_audio_path": [],
    }


def read_jams(path: Path) -> Mixture:
    """Return the record in a JAMS file written by `write_jams`.

    Raises:
        InputError: the file is not from `write_jams`.
    """
    data = read_json(path)
    try:
        record = data["annotations"][0]["sandbox"]["mixgen"]
    except (KeyError, IndexError, TypeError):
        raise InputError(f"{path} is not a JAMS file with a mixture record in it.") from None
    mixture: Mixture = parse_record(Mixture, upgraded(record), str(path))
    return mixture


def _export(export: Export) -> str:
    mixtures, roots = export.mixtures(), export.roots()
    for mixture in track(mixtures, "exporting"):
        write_jams(export.out / f"{mixture.id}.jams", mixture, roots)
    return f"{len(mixtures)} JAMS files in {export.out}."


EXPORTER = Exporter(
    name="jams",
    summary="a folder with one JAMS file per mixture, which stock Scaper renders",
    example="mixgen export sets/speech.jsonl --to jams --out jams/speech",
    write=_export,
)
