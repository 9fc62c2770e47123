"""The songs of the corpus: tempo, key, groove, instruments and harmony of each."""

from mixgen.starter.items import Song

# Columns: tempo, key (semitones above C), mode, beats per bar, groove, bass sound and pattern,
# accompaniment sound and pattern, voice, verse and chorus as scale degrees counted from 0.
_SET = {
    "train": {
        "paper_boats": (
            *(96, 0, "major", 4, "rock", "finger", "eighths", "strings", "held"),
            *("alto", (0, 4, 5, 3), (3, 4, 0, 5)),
        ),
        "night_tram": (
            *(122, 9, "minor", 4, "four_floor", "synth", "offbeat", "pad", "stabs"),
            *("soprano", (0, 5, 2, 6), (5, 6, 0, 0)),
        ),
        "orchard_waltz": (
            *(138, 7, "major", 3, "waltz", "upright", "waltz", "epiano", "waltz"),
            *("tenor", (0, 3, 4, 0), (5, 3, 1, 4)),
        ),
        "copper_wire": (
            *(104, 4, "dorian", 4, "funk", "finger", "syncopated", "organ", "stabs"),
            *("baritone", (0, 3, 0, 3), (2, 3, 6, 0)),
        ),
        "slow_river": (
            *(72, 5, "major", 4, "ballad", "upright", "roots", "epiano", "broken"),
            *("soprano", (0, 2, 3, 4), (5, 4, 3, 0)),
        ),
        "market_day": (
            *(132, 2, "mixolydian", 4, "bossa", "upright", "roots_fifths", "guitar", "bossa"),
            *("tenor", (0, 6, 3, 0), (3, 6, 0, 4)),
        ),
        "broken_clock": (
            *(164, 11, "minor", 4, "breakbeat", "synth", "roots", "bells", "rolling"),
            *("alto", (0, 2, 5, 4), (3, 0, 5, 6)),
        ),
        "two_lamps": (
            *(84, 10, "major", 4, "shuffle", "finger", "walking", "organ", "shuffle"),
            *("baritone", (0, 3, 0, 4), (3, 3, 0, 4)),
        ),
    },
    "valid": {
        "salt_road": (
            *(110, 6, "minor", 4, "rock", "pick", "gallop", "guitar", "strum"),
            *("tenor", (0, 6, 5, 6), (2, 6, 0, 5)),
        ),
        "glass_garden": (
            *(90, 3, "dorian", 4, "half_time", "sub", "long", "bells", "broken"),
            *("soprano", (0, 3, 6, 2), (5, 6, 0, 3)),
        ),
    },
    "test": {
        "red_kites": (
            *(118, 1, "mixolydian", 4, "rock", "pick", "eighths", "organ", "strum"),
            *("alto", (0, 6, 3, 3), (4, 3, 0, 6)),
        ),
        "cellar_steps": (
            *(100, 8, "minor", 4, "half_time", "sub", "syncopated", "pad", "held"),
            *("baritone", (0, 3, 5, 4), (5, 2, 6, 0)),
        ),
        "harbour_lights": (
            *(126, 5, "major", 4, "four_floor", "synth", "octaves", "strings", "rolling"),
            *("soprano", (3, 0, 4, 5), (0, 4, 3, 3)),
        ),
        "winter_mill": (
            *(152, 9, "minor", 3, "waltz", "upright", "waltz", "guitar", "arpeggio_waltz"),
            *("tenor", (0, 3, 6, 2), (5, 3, 4, 0)),
        ),
    },
}

SONGS = tuple(
    Song(name, split, *row) for split, songs in _SET.items() for name, row in songs.items()
)
