"""Songs that match: stems of one, brought to the tempo, key and beat of another.

The limits are those of the automatic mixes that Demucs was trained on (Defossez, "Hybrid
Spectrogram and Waveform Source Separation", ISMIR MDX workshop 2021).
"""

from dataclasses import dataclass

from pydantic import Field

from mixgen.core.records import Record
from mixgen.corpora.song_tags import SongTags, semitones_between


class MatchRule(Record):
    """How far stems may be stretched (a share of their length) and shifted (semitones) to match.

    Groups in `unpitched` are not shifted and match a song in any key.
    """

    tempo: float = Field(default=0.15, ge=0, lt=1)
    key: int = Field(default=3, ge=0, le=6)
    unpitched: list[str] = Field(default=["drums"])


@dataclass(frozen=True)
class SongMatch:
    """What brings a stem to the tempo and key of another song: a factor and semitones."""

    time_stretch: float
    pitch_shift: float


def match_song(rule: MatchRule, group: str, song: SongTags, lead: SongTags) -> SongMatch | None:
    """Return what brings a group's stem of `song` to `lead`; None if beyond the rule's limits.

    Songs without a tempo never match, nor do pitched stems without a key.
    """
    if song.tempo_bpm is None or lead.tempo_bpm is None:
        return None
    stretch = song.tempo_bpm / lead.tempo_bpm
    shift = 0 if group in rule.unpitched else semitones_between(song.key, lead.key)
    if shift is None or abs(shift) > rule.key or abs(stretch - 1) > rule.tempo:
        return None
    return SongMatch(time_stretch=stretch, pitch_shift=float(shift))


def on_the_beat(
    start_s: float, song: SongTags, lead_start_s: float, lead: SongTags, last_s: float
) -> float:
    """Return where an excerpt of `song` begins so that its beats fall on those of `lead`.

    That is at most one beat after `start_s`, or before it where the excerpt would begin after
    `last_s`; `start_s` where a beat is not known or neither place fits.

    Args:
        start_s: where the excerpt began, in seconds of its file.
        song: tags of its song, which is brought to the tempo of `lead`.
        lead_start_s: where the excerpt of `lead` begins.
        lead: tags of the song that others are brought to.
        last_s: the latest start.
    """
    if None in (song.beat_s, song.tempo_bpm, lead.beat_s, lead.tempo_bpm):
        return start_s
    beat_s, lead_beat_s = 60.0 / song.tempo_bpm, 60.0 / lead.tempo_bpm  # type: ignore[operator]
    phase = ((lead.beat_s - lead_start_s) % lead_beat_s) / lead_beat_s  # type: ignore[operator]
    moved_s = start_s + (song.beat_s - start_s - phase * beat_s) % beat_s  # type: ignore[operator]
    earlier_s = moved_s - beat_s
    if moved_s <= last_s:
        return moved_s
    return earlier_s if 0 <= earlier_s <= last_s else start_s
