"""Lists the corpus as sources.csv: what the plan knows of each file, and what is measured in it."""

import functools
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.progress import track
from mixgen.corpora.index import measure_file
from mixgen.corpora.layout import Found
from mixgen.corpora.roots import write_roots
from mixgen.corpora.song_tags import SongTags, to_text
from mixgen.corpora.sources import read_sources, write_sources
from mixgen.starter.items import STEMS, Plan, Song

CORPUS = "starter"
LICENCE = "CC0-1.0"
SOURCES_FILE = "sources.csv"

_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

# A file whose licence is that of the whole corpus.
_File = functools.partial(Found, licence=LICENCE)


def index_starter(out: Path, plan: Plan) -> None:
    """Write `out/sources.csv`: every utterance, stem and noise, but no mixtures of songs."""
    files = list(_files(plan))
    measured = (measure_file(out, file, CORPUS) for file in files)
    write_sources(out / SOURCES_FILE, track(measured, "listing", len(files)))
    write_roots(out, {CORPUS: out})


def is_listed(out: Path, plan: Plan) -> bool:
    """Tell whether `out/sources.csv` says all that it would say if it were written now."""
    try:
        rows = read_sources([out / SOURCES_FILE])
    except InputError:
        return False
    told = {
        Found(row.path, row.kind, row.label, row.group, row.split, row.text, row.licence)
        for row in rows
        if row.active
    }
    return told == set(_files(plan))


def _files(plan: Plan) -> Iterator[Found]:
    for u in plan.utterances:
        yield _File(u.paths[0], "speech", u.speaker.name, u.speaker.name, u.speaker.split, u.text)
    for song in plan.songs:
        tags = to_text(_tags(song))
        for path, stem in zip(song.paths[1:], STEMS, strict=True):
            yield _File(path, "music", stem, song.name, song.split, tags)
    for noise in plan.noises:
        yield _File(noise.paths[0], "noise", noise.label, noise.kind, noise.split)


def _tags(song: Song) -> SongTags:
    key = f"{_TONICS[song.key]} {song.mode}"
    return SongTags(tempo_bpm=song.tempo_bpm, key=key, beat_s=0.0)  # scores begin on a beat
