"""Scores of songs, and the oscillators that play them."""

import numpy as np
import pytest

from mixgen.starter.composition import (
    SCALES,
    accompaniment_notes,
    bass_notes,
    drum_hits,
    melody_notes,
)
from mixgen.starter.items import SONG_RATE, Song
from mixgen.starter.plan import full_plan
from mixgen.starter.tones import hertz, partials, sawtooth, seconds

SONGS = full_plan().songs


@pytest.mark.parametrize("song", SONGS, ids=lambda song: song.name)
def test_every_part_stays_in_the_key_and_starts_on_the_grid(song: Song) -> None:
    allowed = {(song.key + step) % 12 for step in SCALES[song.mode]}
    for part in (bass_notes(song), accompaniment_notes(song), melody_notes(song)):
        assert len(part) >= 16
        assert {note.pitch % 12 for note in part} <= allowed
        assert all((note.start * 12) % 1 == pytest.approx(0, abs=1e-9) for note in part)
    assert all((hit.start * 12) % 1 == pytest.approx(0, abs=1e-9) for hit in drum_hits(song))


@pytest.mark.parametrize("song", SONGS, ids=lambda song: song.name)
def test_bass_and_drums_play_together(song: Song) -> None:
    struck = {round(hit.start, 6) for hit in drum_hits(song)}
    played = {round(note.start, 6) for note in bass_notes(song)}
    assert len(struck & played) >= len(played) / 2


def test_the_voice_never_sings_two_notes_at_once() -> None:
    for song in SONGS:
        notes = melody_notes(song)
        ends = [note.start + note.length for note in notes]
        assert all(end <= note.start + 1e-9 for end, note in zip(ends, notes[1:], strict=False))


def test_partials_are_decaying_sines() -> None:
    time = seconds(0.5, SONG_RATE)
    expected = np.exp(-time / 0.2) * np.sin(2 * np.pi * 440 * time)
    np.testing.assert_allclose(partials(440.0, 1.0, 0.2, time), expected, atol=1e-9)


def test_a_sawtooth_has_its_pitch_and_little_aliasing() -> None:
    time = seconds(1.0, SONG_RATE)
    frequency_hz = hertz(93)
    power = np.abs(np.fft.rfft(sawtooth(frequency_hz, time) * np.hanning(time.size))) ** 2
    bins = np.arange(power.size)
    distance = np.abs((bins / frequency_hz + 0.5) % 1 - 0.5) * frequency_hz
    assert bins[power.argmax()] == pytest.approx(frequency_hz, abs=1)
    assert power[distance > 4].sum() < 2e-3 * power.sum()
