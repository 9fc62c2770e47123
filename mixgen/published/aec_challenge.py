"""The AEC Challenges: echo at a microphone, with the far-end signal that it is of.

Sridhar et al., "ICASSP 2021 Acoustic Echo Cancellation Challenge: Datasets, testing framework, and
results", 2021, arXiv 2009.04972; Cutler et al., "ICASSP 2022 Acoustic Echo Cancellation Challenge",
2022, arXiv 2202.13290. Names and columns are those of the repository microsoft/AEC-Challenge.

The files are taken as they are. The synthetic set has the near-end talker, the echo and the far end
of every microphone signal. Real recordings have the far end alone; where it is the only one that
talks, the microphone signal is the echo, with noise.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError, UsageError
from mixgen.corpora.layout import SPLITS
from mixgen.corpora.tables import read_table
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import MIXTURE
from mixgen.published.finishing import FinishedMixture, finished_source, write_finished
from mixgen.published.importing import Imported, id_of, list_hashes
from mixgen.published.options import AllowMissing, Manifest
from mixgen.published.published_set import PublishedSet

_SCRIPT = "microsoft/AEC-Challenge@322815e"
_COLUMNS = ("fileid", "split", "nearend_speaker", "farend_speaker")
_FILES = {
    MIXTURE: "nearend_mic_signal/nearend_mic_fileid_{}.wav",
    "near": "nearend_speech/nearend_speech_fileid_{}.wav",
    "echo": "echo_signal/echo_fileid_{}.wav",
    "echo_far_end": "farend_speech/farend_speech_fileid_{}.wav",
}
_MICROPHONE = re.compile(r"(.+_(farend_singletalk|doubletalk)(?:_with_movement)?)_mic\.wav")


def import_aecchallenge(
    out: Manifest,
    synthetic: Annotated[
        Path | None,
        typer.Option("--synthetic", help="Folder datasets/synthetic, with its four folders."),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option("--metadata", help="Its meta.csv (default: that in the folder)."),
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option("--real", help="Folder of GUID_SCENARIO_mic.wav and _lpb.wav instead."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split of the real recordings.")] = "test",
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import the synthetic set of the AEC Challenges, or a folder of its real recordings.

    Example: mixgen import aecchallenge --synthetic AEC-Challenge/datasets/synthetic --out M.jsonl
    """
    if (synthetic is None) == (real is None):
        raise UsageError("Give either --synthetic or --real, and import the other one afterwards.")
    if synthetic is not None:
        listed = metadata or synthetic / "meta.csv"
        mixtures, lists = list(_synthetic(synthetic, listed)), [listed]
    elif real is not None:
        mixtures, lists = list(_recorded(real, split)), []
    if not mixtures:
        raise InputError(
            f"{real or lists[0]} has no mixtures: give the list or the folder of a challenge."
        )
    return write_finished(
        mixtures,
        synthetic or real or Path(),
        out,
        name="aec_challenge_synthetic" if synthetic else "aec_challenge_real",
        task="echo_cancellation",
        licence="",
        imported=Import(published="aecchallenge", lists=list_hashes(lists), script=_SCRIPT),
        chosen=[split if real else ""],
        allow_missing=allow_missing,
    )


def _synthetic(folder: Path, listed: Path) -> Iterator[FinishedMixture]:
    """Yield the mixtures of a meta.csv."""
    for row in read_table(listed, _COLUMNS):
        paths = {name: folder / path.format(row["fileid"]) for name, path in _FILES.items()}
        echo = finished_source("echo", "far_end", "speech", label=row["farend_speaker"])
        yield FinishedMixture(
            id=f"fileid_{id_of(row['fileid'])}",
            split=SPLITS.get(row["split"], row["split"]),
            sources=[
                finished_source("near", "target", "speech", label=row["nearend_speaker"]),
                echo.model_copy(update={"parts": ["image", "far_end"]}),
            ],
            files={name: path if path.is_file() else None for name, path in paths.items()},
        )


def _recorded(folder: Path, split: str) -> Iterator[FinishedMixture]:
    """Yield the pairs of a folder: what the microphone picks up, and what the loudspeaker plays."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: check --real.")
    for microphone in sorted(folder.glob("*_mic.wav")):
        name = _MICROPHONE.fullmatch(microphone.name)
        if name is None:  # near-end single talk and sweeps have no pair
            continue
        loudspeaker = folder / f"{name[1]}_lpb.wav"
        files = {
            MIXTURE: microphone,
            "echo_far_end": loudspeaker if loudspeaker.is_file() else None,
        }
        is_echo = name[2] == "farend_singletalk"
        echo = finished_source("echo", "far_end", "speech")
        yield FinishedMixture(
            id=id_of(name[1]),
            split=split,
            sources=[
                echo.model_copy(update={"parts": ["image", "far_end"] if is_echo else ["far_end"]})
            ],
            files=files | ({"echo": microphone} if is_echo else {}),
        )


AECCHALLENGE = PublishedSet(name="aecchallenge", importer=import_aecchallenge)
