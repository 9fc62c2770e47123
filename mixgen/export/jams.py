"""Records as Scaper's JAMS files and back, so that stock Scaper can render what we render."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixgen.core.errors import InputError
from mixgen.core.files import read_json, write_json
from mixgen.core.progress import track
from mixgen.core.records import parse_record
from mixgen.corpora.roots import Roots, locate
from mixgen.export.exporter import Exporter
from mixgen.manifest.mixture import Mixture
from mixgen.scenes.draws import seconds_of

_SCAPER_VERSION = "1.6.5"
_JAMS_VERSION = "0.3.5"


def write_jams(path: Path, mixture: Mixture, roots: Roots) -> None:
    """Write a mixture as a JAMS file that `scaper.generate_from_jams` renders.

    JAMS keeps events in the order of time, not of the record; the record itself travels in the
    annotation's sandbox.

    Raises:
        InputError: the record holds what Scaper cannot express.
    """
    _check_expressible(mixture)
    write_json(path, jams_dict(mixture, roots))


def _check_expressible(mixture: Mixture) -> None:
    rules = {source.gain.rule for source in mixture.sources}
    if rules - {"lufs"}:
        raise InputError(
            f"Mixture {mixture.id} uses the level rule {sorted(rules - {'lufs'})[0]!r}, which "
            "Scaper does not have: only the rule 'lufs' can be exported."
        )
    if any(source.gain.together for source in mixture.sources):
        raise InputError(
            f"Mixture {mixture.id} has a stem of several files with one level, which Scaper cannot "
            "express: only stems of one file can be exported."
        )
    if any(source.echo for source in mixture.sources):
        raise InputError(
            f"Mixture {mixture.id} has an echo, whose amplifier and loudspeaker Scaper cannot "
            "express: only mixtures without one can be exported."
        )
    if mixture.effects:
        raise InputError(
            f"Mixture {mixture.id} is degraded after its sources are summed, which Scaper cannot "
            "express: only mixtures without effects can be exported."
        )
    if mixture.room is not None:
        raise InputError(
            f"Mixture {mixture.id} is in a room with a response for each source, which Scaper "
            "cannot express: only dry mixtures can be exported."
        )


def jams_dict(mixture: Mixture, roots: Roots) -> dict[str, Any]:
    """Return the JAMS content of a mixture as plain data."""
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
            "duration": event.event_duration * (event.time_stretch or 1.0),
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
        InputError: the file is no JAMS file of this suite.
    """
    data = read_json(path)
    try:
        record = data["annotations"][0]["sandbox"]["mixgen"]
    except (KeyError, IndexError, TypeError):
        raise InputError(f"{path} is not a JAMS file with a mixture record in it.") from None
    mixture: Mixture = parse_record(Mixture, record, str(path))
    return mixture


def _export(out: Path, mixtures: Sequence[Mixture], roots: Roots) -> str:
    for mixture in track(mixtures, "exporting"):
        write_jams(out / f"{mixture.id}.jams", mixture, roots)
    return f"{len(mixtures)} JAMS files in {out}."


EXPORTER = Exporter(
    name="jams",
    summary="a folder with one JAMS file per mixture, which stock Scaper renders",
    write=_export,
)
