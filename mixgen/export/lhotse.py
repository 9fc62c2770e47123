"""Manifests of a rendered set for Lhotse: recordings, supervisions and cuts of each split.

A cut is a mixture. The channels of its custom field `target_recording` are the references, in the
order of `target_names`: this is where datasets for separation and enhancement look for them, such
as NeMo's LhotseAudioToTargetDataset, and whoever truncates the cut truncates them as well. Every
file but the mixture is also a custom field of its own name. A MixedCut, which Lhotse sums up when
it is read, could hold neither degradations nor references that are not what is summed.

Source: P. Żelasko et al., "Lhotse: A Speech Data Representation Library for the Modern Deep
Learning Ecosystem", 2021, arXiv 2110.12561; the classes of its manifests in version 1.33.
"""

from collections.abc import Iterable
from typing import Any

from mixgen.core.errors import InputError
from mixgen.core.files import to_json
from mixgen.core.progress import track
from mixgen.export.exporter import (
    Export,
    Exporter,
    RenderedMixture,
    TextFiles,
    check_manifest,
    heard_events,
    new_folder,
    rendered_mixtures,
)
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.sets.rendered import FileRow

_TARGETS, _TARGET_NAMES = "target_recording", "target_names"


def export_lhotse(export: Export) -> str:
    """Write recordings, supervisions and cuts for each split; none of them is an empty file.

    Raises:
        InputError: there is no rendered set, it was not finished, it has no such split, a source
            has the name of a field, or as in `new_folder`.
        UsageError, MachineError: as in `new_folder`.
    """
    rendered = export.rendered_set()
    root, written = export.audio_root(), 0
    with new_folder(export, "lhotse") as folder, TextFiles(folder) as files:
        for mixture in track(rendered_mixtures(rendered, export.split), "exporting"):
            split, cut = mixture.record.split, _cut(mixture, root)
            for kind, items in (
                ("recordings", [cut["recording"]]),
                ("supervisions", cut["supervisions"]),
                ("cuts", [cut]),
            ):
                for item in items:
                    files[f"{kind}_{split}.jsonl.gz"].write(f"{to_json(item)}\n")
            written += 1
        check_manifest(rendered)
    return f"{written} mixtures in {export.out}."


def _cut(mixture: RenderedMixture, root: str) -> dict[str, Any]:
    """Return a mixture as a MonoCut, or as a MultiCut if it has several channels."""
    record, files = mixture.record, mixture.files
    taken = {_TARGETS, _TARGET_NAMES} & set(files)
    if taken:
        raise InputError(
            f"Mixture {record.id} has a file {taken.pop()!r}, which is the name of a field of the "
            "cuts: rename the source."
        )
    custom: dict[str, Any] = {_TARGET_NAMES: record.targets}
    if record.targets:
        custom[_TARGETS] = _recording(
            f"{record.id}-targets", [files[name] for name in record.targets], root
        )
    for name, row in files.items():
        if name != MIXTURE:
            custom[name] = _recording(f"{record.id}-{name}", [row], root)
        if row.frames != record.frames:
            custom[f"{name}_unaligned"] = True  # so Lhotse reads all of it, whatever the cut is
    return {
        "id": record.id,
        "start": 0,
        "duration": record.duration_s,
        "channel": _channels(record),
        "supervisions": _supervisions(record),
        "recording": _recording(record.id, [files[MIXTURE]], root),
        "custom": custom,
        "type": "MonoCut" if record.channels == 1 else "MultiCut",
    }


def _channels(record: Mixture) -> int | list[int]:
    return 0 if record.channels == 1 else list(range(record.channels))


def _recording(name: str, rows: Iterable[FileRow], root: str) -> dict[str, Any]:
    """Return files of one length as a Recording, the channels of one after those of the other."""
    sources: list[dict[str, Any]] = []
    channels = 0
    for row in rows:
        ids = list(range(channels, channels + row.channels))
        sources.append({"type": "file", "channels": ids, "source": root + row.path})
        channels += row.channels
    return {
        "id": name,
        "sources": sources,
        "sampling_rate": row.sample_rate,
        "num_samples": row.frames,
        "duration": row.frames / row.sample_rate,
        "channel_ids": list(range(channels)),
    }


def _supervisions(record: Mixture) -> list[dict[str, Any]]:
    """Return a segment for each event that is not of a background, as far as it can be heard."""
    segments = []
    for source in record.sources:
        if source.role == "background":
            continue
        for number, heard in heard_events(record, source):
            segment = {
                "id": f"{record.id}-{source.name}-{number}",
                "recording_id": record.id,
                "start": heard.start_s,
                "duration": heard.duration_s,
                "channel": _channels(record),
                "text": heard.event.text,
                "speaker": source.label,
                "custom": {"source": source.name, "role": source.role, "kind": source.kind},
            }
            if not heard.event.text:
                del segment["text"]
            segments.append(segment)
    return segments


EXPORTER = Exporter(
    name="lhotse",
    summary="a folder of recordings, supervisions and cuts with their references, for Lhotse",
    example="mixgen export sets/speech --to lhotse --out cuts/speech",
    write=export_lhotse,
    relative_paths=True,
)
