"""SMS-WSJ: two talkers of WSJ in a simulated room, at six microphones, with sensor noise.

Drude, Heitkaemper, Boeddeker and Haeb-Umbach, "SMS-WSJ: Database, performance measures, and
baseline recipe for multi-channel source separation and recognition", 2019, arXiv 1910.13934. The
samples are those of its script write_files.py.

The database is a JSON file with the utterances, the room, the levels and the offsets of every
mixture. An utterance is convolved with its responses and moved by its offset, less the time that
the sound takes to the nearest microphone. Its image is divided by its standard deviation over all
microphones, multiplied by its level, and divided by 71, which keeps peaks below full scale. The
first 50 ms of the responses after that time make the early part, the rest the tail. White noise
is 20 to 30 dB below the sum of the talkers. The name of the mixture seeds it. All this is done in
64-bit floats, and the files are 32-bit floats.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
import typer
from pydantic import ConfigDict, Field, field_validator, model_validator

from mixgen.acoustics.rir_generator import first_arrival
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import read_json
from mixgen.core.paths import inside
from mixgen.core.progress import track
from mixgen.core.records import Record, parse_record
from mixgen.corpora.layout import split_called
from mixgen.corpora.tables import look_up
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Event, Gain, Level, Mixture, Source, file_name
from mixgen.manifest.published import (
    Arithmetic,
    Placement,
    Published,
    Rescaling,
    Spatialisation,
    Step,
    WhiteNoise,
)
from mixgen.published.importing import (
    Corpus,
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    id_of,
    list_hashes,
)
from mixgen.published.options import AllowMissing, Manifest, SourceLists, chosen
from mixgen.published.published_set import PublishedSet
from mixgen.published.sms_wsj_rooms import ENGINE, RATE, SIMULATED, Room, write_responses
from mixgen.sets.layout import Layout

_SCRIPT = "fgnt/sms_wsj@6ae4001"
_SUBSETS = ("train_si284", "cv_dev93", "test_eval92")
_TARGETS = ("image", "early")
_EARLY = 400  # samples, 50 ms
_DIVISOR = 71.0
_SNR_DB = (20, 30)
_UTTERANCE_PARTS, _RESPONSE_PARTS = 5, 3  # of the paths in the JSON, below their folders
_MOST_CHANNELS = 8
_LONGEST = 3600 * RATE

_Decibels = Annotated[float, Field(ge=-300, le=300)]


class _Paths(Record):
    """Paths of the utterances of the talkers, and of their responses; only their ends matter."""

    model_config = ConfigDict(extra="ignore")

    original_source: list[str] = Field(min_length=1)
    rir: list[str]


class _Lengths(Record):
    """Lengths of the utterances and of the mixture in samples."""

    model_config = ConfigDict(extra="ignore")

    original_source: list[int]
    observation: int = Field(ge=1, le=_LONGEST)


class _Entry(Room):
    """A mixture of the JSON file; talkers come in one order in all lists."""

    speaker_id: list[str]
    kaldi_transcription: list[str]
    log_weights: list[_Decibels]
    offset: list[Annotated[int, Field(ge=0)]]
    num_samples: _Lengths
    audio_path: _Paths
    snr: _Decibels | None = None

    @field_validator("num_samples", "audio_path", mode="before")
    @classmethod
    def _with_todays_key(cls, value: Any) -> Any:
        """Older databases call the utterance before it is padded `speech_source`."""
        if isinstance(value, dict) and "original_source" not in value:
            return {**value, "original_source": value.get("speech_source", [])}
        return value

    @model_validator(mode="after")
    def _has_all_of_every_talker(self) -> "_Entry":
        talkers = len(self.speaker_id)
        lists = self.kaldi_transcription, self.log_weights, self.offset, self.audio_path.rir
        paths, lengths = self.audio_path.original_source, self.num_samples.original_source
        if any(len(values) != talkers for values in (*lists, paths, lengths)):
            raise ValueError("there has to be one of each list for every speaker_id")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Example(ListedMixture):
    """A mixture, whose files are the utterances followed by their responses."""

    entry: _Entry

    @property
    def talkers(self) -> int:
        """How many talkers there are."""
        return len(self.entry.speaker_id)


def import_smswsj(
    metadata: Annotated[
        Path, typer.Option("--metadata", help="sms_wsj.json, written by the set's own scripts.")
    ],
    wsj: Annotated[
        Path, typer.Option("--wsj", help="Folder wsj_8k_zeromean of these scripts, with 11-1.1.")
    ],
    out: Manifest,
    rirs: Annotated[
        Path | None,
        typer.Option("--rirs", help="Folder of the published responses, with cv_dev93 in it."),
    ] = None,
    simulate: Annotated[
        Path | None,
        typer.Option("--simulate", help="Where to compute the responses instead, from the JSON."),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset", help="train_si284, cv_dev93 or test_eval92; repeatable (default: all)."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", help="Which part of a talker systems find: image or early.")
    ] = "image",
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import SMS-WSJ with its published room responses, or with responses that are computed.

    Example: mixgen import smswsj --metadata sms_wsj.json --wsj wsj_8k_zeromean --rirs rirs
    --subset cv_dev93 --out M.jsonl
    """
    if (rirs is None) == (simulate is None):
        raise UsageError(
            "Give either --rirs with the published responses, or --simulate with a folder in which "
            "they are computed from the positions in the JSON."
        )
    subsets = chosen(subset, _SUBSETS, "--subset")
    (target,) = chosen([target], _TARGETS, "--target")
    database = look_up(read_json(metadata), metadata, "datasets")
    examples = [example for name in subsets for example in _examples(metadata, database, name)]
    if not examples:
        raise InputError(f"{metadata} has no mixtures of {', '.join(subsets)}: give others.")
    rooms = _Rooms(rirs or simulate or Path(), simulate is not None)
    script = _SCRIPT
    if simulate is not None:
        write_responses(simulate, {path: e.entry for e in examples for _, path in _responses(e)})
        script = f"{_SCRIPT}; {SIMULATED}"
    plan = SetImport[_Example](
        header=Import(published="smswsj", lists=list_hashes([metadata]), script=script),
        name="sms_wsj" if len(subsets) > 1 else f"sms_wsj_{subsets[0]}",
        task="speech_separation",
        sample_format="wav_float",
        corpora=[
            Corpus("wsj_8k_zeromean", wsj, "--wsj", "wsj0", RATE),
            Corpus("smswsj_rirs", rooms.folder, "--rirs", "folder", RATE),
        ],
        variants=[(target,)],
        records=lambda example, files: [_record(example, files, rooms, target)],
        problem=_problem,
    )
    return plan.write(examples, out, sources=sources or (), allow_missing=allow_missing)


def _responses(example: _Example) -> Sequence[tuple[str, str]]:
    return example.files[example.talkers :]


def _examples(path: Path, database: Any, subset: str) -> Iterator[_Example]:
    """Yield the mixtures of a subset of a database, which was read from a path."""
    listed = database.get(subset) if isinstance(database, dict) else None
    entries = listed if isinstance(listed, dict) else {}
    for name, data in track(entries.items(), f"reading {subset}", len(entries)):
        where = f"{path} {subset} {name}"
        if id_of(name) != name:
            raise InputError(f"{where} is not the name of a mixture: restore the original JSON.")
        entry: _Entry = parse_record(_Entry, data, where)
        utterances = (_last_parts(p, _UTTERANCE_PARTS) for p in entry.audio_path.original_source)
        responses = (_last_parts(p, _RESPONSE_PARTS) for p in entry.audio_path.rir)
        yield _Example(
            where=where,
            name=name,
            subset=subset,
            files=(
                *(("wsj_8k_zeromean", utterance) for utterance in utterances),
                *(("smswsj_rirs", response) for response in responses),
            ),
            entry=entry,
        )


def _last_parts(path: str, count: int) -> str:
    return str(PurePosixPath(*PurePosixPath(path).parts[-count:]))


def _problem(example: _Example, files: Sequence[SourceFile]) -> str | None:
    """Return why a mixture cannot be made of its files; None if it can."""
    lengths = example.entry.num_samples
    for file, frames in zip(files, lengths.original_source, strict=False):
        if file.frames != frames:
            return (
                f"{file.path} has {file.frames} samples, and the JSON says {frames}: give the "
                "wsj_8k_zeromean that it was made from"
            )
    if any(offset >= lengths.observation for offset in example.entry.offset):
        return "a talker begins after the end of the mixture: restore the original JSON"
    return None


@dataclass(frozen=True)
class _Rooms:
    """The folder of the responses, and whether they were computed here."""

    folder: Path
    is_simulated: bool

    def arrival(self, file: SourceFile) -> tuple[int, int]:
        """Return the first arrival of a file of responses, and how many channels it has."""
        responses, _ = read_audio(inside(self.folder, file.path))
        if len(responses) > _MOST_CHANNELS:
            raise InputError(
                f"{file.path} has {len(responses)} channels, and a mixture at most "
                f"{_MOST_CHANNELS}: restore the responses of the set."
            )
        return first_arrival(responses), len(responses)


def _record(example: _Example, files: Sequence[SourceFile], rooms: _Rooms, target: str) -> Mixture:
    entry = example.entry
    pairs = list(zip(files[: example.talkers], files[example.talkers :], strict=True))
    arrivals = [rooms.arrival(response) for _, response in pairs]
    if len({channels for _, channels in arrivals}) > 1:
        raise InputError(
            f"{example.where}: its responses have other numbers of channels: restore them."
        )
    talkers = [
        _talker(entry, index, *pair, arrival, rooms)
        for index, (pair, (arrival, _)) in enumerate(zip(pairs, arrivals, strict=True))
    ]
    seed = _seed(example.name)
    snr_db = np.random.RandomState(seed).uniform(*_SNR_DB) if entry.snr is None else entry.snr
    noise = Source(
        name="noise",
        role="background",
        label="noise",
        kind="noise",
        events=[],
        gain=Gain(rule="energy"),
        generated=WhiteNoise(seed=seed, snr_db=snr_db),
    )
    part: Literal["image", "early"] = "early" if target == "early" else "image"
    return Mixture(
        id=id_of(example.name),
        split=split_called(example.subset),
        sample_rate=RATE,
        channels=arrivals[0][1],
        frames=entry.num_samples.observation,
        seed=0,
        sources=[*talkers, noise],
        level=Level(reference_db=0.0),
        clip=Clip(rule="none"),
        targets=[file_name(talker.name, part) for talker in talkers],
        arithmetic=Arithmetic(numbers="float64", sum_of="signals"),
        published=Published(
            name=example.name, folder=example.subset, files=_official_files(example)
        ),
    )


def _seed(name: str) -> int:
    """Return the seed of the noise of a mixture, which the script takes from its name."""
    return (int(md5(name.encode(), usedforsecurity=False).hexdigest(), 16) - 1) % 2**32


def _talker(
    entry: _Entry,
    index: int,
    utterance: SourceFile,
    responses: SourceFile,
    arrival: int,
    rooms: _Rooms,
) -> Source:
    frames, offset = entry.num_samples.observation, entry.offset[index]
    # numpy's power, which the script uses, may differ from Python's in the last bit
    deviation = float((10 ** (np.asarray(entry.log_weights) / 20))[index])
    file = dataclasses.replace(utterance, text=entry.kaldi_transcription[index])
    place = Step(place=Placement(shift=offset - arrival, frames=frames))

    def heard(**taps: int) -> list[Step]:
        """Return the steps to the microphones by a part of the responses."""
        part = Spatialisation(
            corpus=responses.corpus,
            path=responses.path,
            sha256=responses.sha256,
            engine=ENGINE if rooms.is_simulated else "",
            licence=responses.licence,
            **taps,
        )
        return [Step(spatialise=part), place]

    def event(steps: list[Step], of: Sequence[Step] = ()) -> list[Event]:
        """Return an event that gets the gain of the image."""
        scaled = Step(rescale=Rescaling(deviation=deviation, divisor=_DIVISOR, of=tuple(of)))
        made = file.event([*steps, scaled], start=offset)
        return [made.model_copy(update={"snr": round(entry.log_weights[index], 6)})]

    image = heard()
    return Source(
        name=f"s{index + 1}",
        role="target",
        label=entry.speaker_id[index],
        kind="speech",
        events=event(image),
        early=event(heard(end=arrival + _EARLY), image),
        tail=event(heard(first=arrival + _EARLY), image),
        dry=[file.event([Step(place=Placement(shift=offset, frames=frames))], start=offset)],
        gain=Gain(rule="energy"),
    )


_FOLDERS: dict[Literal["image", "early", "tail", "dry"], str] = {
    "image": "speech_image",
    "early": "early",
    "tail": "tail",
    "dry": "speech_source",
}
"""The folders of the parts of talkers; the script writes all of them but the image."""


def _official_files(example: _Example) -> dict[str, str]:
    """Return the path of every file of the sources by its name here, without suffix."""
    below = f"{example.subset}/{example.name}"
    files = {
        file_name(f"s{index + 1}", part): f"{folder}/{below}_{index}"
        for index in range(example.talkers)
        for part, folder in _FOLDERS.items()
    }
    return files | {"noise": f"noise/{below}"}


SMSWSJ = PublishedSet(
    name="smswsj",
    importer=import_smswsj,
    layout=Layout(name="smswsj", mixture="observation/{folder}/{name}", source="{file}"),
)
