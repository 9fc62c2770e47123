"""List the corpus in sources.csv: what the plan holds on each file, and what is measured in it."""

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
from mixgen.starter.items import STEMS, Plan

CORPUS = "starter"
LICENCE = "CC0-1.0"
SOURCES_FILE = "sources.csv"

_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

_cc0_file = functools.partial(Found, licence=LICENCE)


def index_starter(out: Path, plan: Plan) -> None:
    """Write `out/sources.csv`: every utterance, stem and noise, without the mixtures of songs."""
    files = list(_files(plan))
    measured = (measure_file(out, file, CORPUS) for file in files)
    write_sources(out / SOURCES_FILE, track(measured, "listing", len(files)))
    write_roots(out, {CORPUS: out})


def is_listed(out: Path, plan: Plan) -> bool:
    """Return whether `out/sources.csv` lists every file of the plan, with tags and all measures."""
    try:
        rows = read_sources([out / SOURCES_FILE])
    except InputError:
        return False
    listed = {
        Found(row.path, row.kind, row.label, row.group, row.split, row.text, row.licence)
        for row in rows
        if row.active and row.frames
    }
    return listed == set(_files(plan))


def _files(plan: Plan) -> Iterator[Found]:
    """Yield every file to list, without its measures."""
    for utterance in plan.utterances:
        speaker = utterance.speaker
        yield _cc0_file(
            utterance.paths[0], "speech", speaker.name, speaker.name, speaker.split, utterance.text
        )
    for song in plan.songs:
        key = f"{_TONICS[song.key]} {song.mode}"
        # Every score begins on a beat.
        tags = to_text(SongTags(tempo_bpm=song.tempo_bpm, key=key, beat_s=0.0))
        for path, stem in zip(song.paths[1:], STEMS, strict=True):
            yield _cc0_file(path, "music", stem, song.name, song.split, tags)
    for noise in plan.noises:
        yield _cc0_file(noise.paths[0], "noise", noise.label, noise.kind, noise.split)
