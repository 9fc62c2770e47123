"""LibriSpeechMix: one to three talkers of LibriSpeech who begin one after the other.

Kanda, Gaur, Wang, Meng, Chen, Zhou and Yoshioka, "Joint speaker counting, speech recognition, and
speaker identification for overlapped speech of any number of speakers", Interspeech 2020. The
samples are those of its script mix_wavs.py.

A line of a list is JSON with the files of the talkers and their delays in seconds, whose fractions
of a sample are dropped. The talkers are added up as they are, and nothing keeps the sum from
clipping. The script writes mixtures alone; here each talker gets a file beside them.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from pydantic import ConfigDict, Field

from mixgen.core.errors import InputError
from mixgen.core.files import stream_jsonl
from mixgen.core.records import Record, RelativePath, parse_record
from mixgen.corpora.layout import split_called
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Published
from mixgen.published.importing import (
    Corpus,
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    list_hashes,
)
from mixgen.published.options import AllowMissing, Lists, Manifest, SourceLists
from mixgen.published.published_set import PublishedSet
from mixgen.sets.layout import Layout

_SCRIPT = "NaoyukiKanda/LibriSpeechMix@869aa26"
_RATE = 16000


class _Line(Record):
    """What is used of a line: paths, delays in seconds, talkers and transcripts in one order."""

    model_config = ConfigDict(extra="ignore")

    mixed_wav: RelativePath
    wavs: list[RelativePath] = Field(min_length=1)
    delays: list[Annotated[float, Field(ge=0, le=1e5)]]
    speakers: list[str]
    texts: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Utterances(ListedMixture):
    """A mixture with the delays in samples, the talkers and the transcripts of its files."""

    delays: tuple[int, ...]
    speakers: tuple[str, ...]
    texts: tuple[str, ...]


def import_librispeechmix(
    metadata: Lists,
    librispeech: Annotated[
        Path, typer.Option("--librispeech", help="Folder of LibriSpeech, with dev-clean in it.")
    ],
    out: Manifest,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import LibriSpeechMix of one to three talkers.

    Example: mixgen import librispeechmix --metadata dev-clean-2mix.jsonl --librispeech LibriSpeech
    --out M.jsonl
    """
    mixtures = [mixture for path in metadata for mixture in _listed(path, librispeech)]
    plan = SetImport[_Utterances](
        header=Import(published="librispeechmix", lists=list_hashes(metadata), script=_SCRIPT),
        name="librispeechmix",
        task="speech_separation",
        sample_format="wav16",
        corpora=[Corpus("librispeech", librispeech, "--librispeech", "librispeech", _RATE)],
        variants=[[_RATE]],
        records=lambda mixture, files: [_record(mixture, files)],
    )
    return plan.write(mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _listed(path: Path, librispeech: Path) -> Iterator[_Utterances]:
    """Yield the mixtures of a list."""
    for where, data in stream_jsonl(path):
        line: _Line = parse_record(_Line, data, where)
        lists = line.delays, line.speakers, line.texts
        if any(len(values) != len(line.wavs) for values in lists):
            raise InputError(
                f"{where} does not have a delay, a speaker and a text for each of its wavs: "
                "restore the original list."
            )
        mixed = PurePosixPath(line.mixed_wav)
        yield _Utterances(
            where=where,
            name=mixed.stem,
            subset=str(mixed.parent),
            files=tuple(("librispeech", _found(librispeech, wav)) for wav in line.wavs),
            delays=tuple(int(delay_s * _RATE) for delay_s in line.delays),
            speakers=tuple(line.speakers),
            texts=tuple(line.texts),
        )


def _found(librispeech: Path, wav: str) -> str:
    """Return the path of a file: decoded to WAV as the script has it, or FLAC as published."""
    if (librispeech / wav).is_file():
        return wav
    return str(PurePosixPath(wav).with_suffix(".flac"))


def _record(mixture: _Utterances, files: Sequence[SourceFile]) -> Mixture:
    talkers = [
        Source(
            name=f"s{index}",
            role="target",
            label=speaker,
            kind="speech",
            events=[dataclasses.replace(file, text=text).event([], start=delay)],
            gain=Gain(rule="lufs"),
        )
        for index, (file, delay, speaker, text) in enumerate(
            zip(files, mixture.delays, mixture.speakers, mixture.texts, strict=True), start=1
        )
    ]
    ends = [file.frames + delay for file, delay in zip(files, mixture.delays, strict=True)]
    return Mixture(
        id=mixture.name,
        split=split_called(mixture.subset),
        sample_rate=_RATE,
        channels=1,
        frames=max(ends),
        seed=0,
        sources=talkers,
        level=Level(reference_db=0.0),
        clip=Clip(rule="none"),
        targets=[talker.name for talker in talkers],
        arithmetic=Arithmetic(numbers="float64", sum_of="signals", rounding="down"),
        published=Published(name=mixture.name, folder=mixture.subset),
    )


LIBRISPEECHMIX = PublishedSet(
    name="librispeechmix",
    importer=import_librispeechmix,
    layout=Layout(
        name="librispeechmix", mixture="{folder}/{name}", source="{folder}/{file}/{name}"
    ),
)
