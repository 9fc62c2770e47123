"""Tempo, key and beat of songs: in text, in tables, and the semitones between two keys."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixgen.core.errors import InputError
from mixgen.corpora.song_tags import SongTags, read_tags, semitones_between, tags_of, to_text

TABLE = "group,tempo_bpm,key,beat_s\n"
SONGS = {"train/A - Song", "B"}

MODES = ("major", "dorian", "phrygian", "lydian", "mixolydian", "minor", "locrian")
KEYS = [
    f"{letter}{sign} {mode}" for letter in "ABCDEFG" for sign in ("", "#", "b") for mode in MODES
]


def test_tags_are_read_among_other_words() -> None:
    text = "a song key=A_minor tempo_bpm=120.0 t60_s=0.3 monkey=B_major beat_s=0.25"
    assert tags_of(text) == SongTags(tempo_bpm=120, key="A minor", beat_s=0.25)
    assert tags_of("") == tags_of("some words") == SongTags()


def test_the_last_of_two_tags_counts() -> None:
    assert tags_of("tempo_bpm=120 tempo_bpm=90").tempo_bpm == 90


def test_text_omits_unknown_tags() -> None:
    tags = SongTags(tempo_bpm=120, key="F# major", beat_s=0)
    assert to_text(tags) == "tempo_bpm=120.0 key=F#_major beat_s=0.0"
    assert to_text(SongTags(key="Bb minor")) == "key=Bb_minor"
    assert to_text(SongTags()) == ""


@given(
    tempo_bpm=st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
    key=st.none() | st.sampled_from(KEYS),
    beat_s=st.none() | st.floats(0, allow_infinity=False),
)
def test_text_is_read_back_as_written(
    tempo_bpm: float | None, key: str | None, beat_s: float | None
) -> None:
    tags = SongTags(tempo_bpm=tempo_bpm, key=key, beat_s=beat_s)
    assert tags_of(to_text(tags)) == tags


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tempo_bpm=0", "tempo_bpm: Input should be greater than 0"),
        ("tempo_bpm=fast", "tempo_bpm: Input should be a valid number"),
        ("tempo_bpm=inf", "tempo_bpm: Input should be a finite number"),
        ("tempo_bpm=1_0", "tempo_bpm: Input should be a valid number"),
        ("beat_s=-1", "beat_s: Input should be greater than or equal to 0"),
        ("key=", "key: a key is a tonic and a mode"),
        ("key=Am", "key: a key is a tonic and a mode .*, like 'A minor' or 'Bb major', not 'Am'"),
        ("key=H_minor", "not 'H minor'"),
        ("key=a_minor", "not 'a minor'"),
    ],
)
def test_wrong_tags_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        tags_of(text)


@pytest.mark.parametrize(
    ("key_a", "key_b", "shift"),
    [
        ("C major", "C major", 0),
        ("C major", "D major", 2),
        ("D major", "C major", -2),
        ("C major", "F# major", 6),
        ("F# major", "C major", 6),
        ("C major", "G major", -5),
        ("G major", "C major", 5),
        ("C# major", "Db major", 0),
        ("B major", "C major", 1),
        ("Cb major", "B# major", 1),
        ("A minor", "C major", 0),
        ("A minor", "C minor", 3),
        ("A minor", "A major", -3),
        ("D dorian", "C major", 0),
        ("G mixolydian", "A minor", 0),
        ("E phrygian", "F lydian", 0),
        ("B locrian", "D dorian", 0),
    ],
)
def test_semitones_between_keys_are_those_of_the_nearest_shift(
    key_a: str, key_b: str, shift: int
) -> None:
    assert semitones_between(key_a, key_b) == shift


def test_semitones_between_unknown_keys_are_none_and_wrong_keys_are_refused() -> None:
    assert semitones_between(None, "C major") is None
    assert semitones_between("C major", None) is None
    with pytest.raises(InputError, match="'Am' is not a key"):
        semitones_between("Am", "C major")


def _table(folder: Path, text: str) -> Path:
    path = folder / "tags.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(("mark", "end"), [("", "\n"), ("\ufeff", "\r\n")])
def test_a_table_is_read_with_any_line_ends_and_byte_order_mark(
    tmp_path: Path, mark: str, end: str
) -> None:
    text = f"{mark}{TABLE}train/A - Song,120,A minor,0.25\nB,,Bb major,\n".replace("\n", end)
    assert read_tags(_table(tmp_path, text), SONGS) == {
        "train/A - Song": SongTags(tempo_bpm=120, key="A minor", beat_s=0.25),
        "B": SongTags(key="Bb major"),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "",
            r"tags\.csv line 1: the columns .* must be group, tempo_bpm, key, beat_s",
        ),
        ("group,tempo,key,beat_s\n", "line 1: the columns of a table of tags must be"),
        ("group,tempo_bpm,key,beat_s,by\n", "line 1: the columns of a table of tags must be"),
        (f"{TABLE}\nC,120,,\n", "line 3: the corpus has no song 'C'"),
        (f"{TABLE}B,120,,\nB,,,\n", "line 3: the song 'B' is listed twice"),
        (f"{TABLE}B,quick,,\n", "line 2 is not valid: tempo_bpm: Input should be a valid number"),
        (f"{TABLE}B,,Am,\n", "line 2 is not valid: key: a key is a tonic and a mode"),
        (f"{TABLE}B,,,-0.5\n", "line 2 is not valid: beat_s"),
        (f"{TABLE},120,,\n", "line 2 is not valid: group"),
        (f"{TABLE}B,120,,,,\n", "line 2 has more cells than columns"),
        (f'{TABLE}"B,120\n', "line 2 is not a table row"),
    ],
)
def test_wrong_tables_are_refused_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        read_tags(_table(tmp_path, text), SONGS)
    assert "\n" not in str(refusal.value)
