"""The plan of the starter corpus: numbers and variety of its voices, sentences, songs, noises."""

from collections import Counter
from itertools import combinations

from mixgen.starter.composition import GROOVES, bar_count
from mixgen.starter.plan import HIGH_VARIANTS, SPLITS, full_plan

PLAN = full_plan()


def test_there_are_enough_different_voices() -> None:
    voices = {(s.accent, s.variant, s.pitch, s.formant_scale) for s in PLAN.speakers}
    assert len(voices) == len(PLAN.speakers) >= 40
    assert len({(s.accent, s.variant) for s in PLAN.speakers}) == len(PLAN.speakers)


def test_every_split_has_low_and_high_voices_in_equal_number() -> None:
    for split in SPLITS:
        speakers = [s for s in PLAN.speakers if s.split == split]
        assert sum(s.variant in HIGH_VARIANTS for s in speakers) * 2 == len(speakers) > 0


def test_no_voice_song_or_sentence_is_in_two_splits() -> None:
    for kind in ("speaker", "text", "song"):
        pools = [_names(kind, split) for split in SPLITS]
        assert all(pools)
        assert all(a.isdisjoint(b) for a, b in combinations(pools, 2))


def _names(kind: str, split: str) -> set[str]:
    if kind == "song":
        return {song.name for song in PLAN.songs if song.split == split}
    mine = [u for u in PLAN.utterances if u.speaker.split == split]
    return {u.speaker.name if kind == "speaker" else u.text for u in mine}


def test_all_sentences_are_different_and_of_speakable_length() -> None:
    texts = [utterance.text for utterance in PLAN.utterances]
    assert len(set(texts)) == len(texts) >= 600
    assert all(8 <= len(text.split()) <= 26 for text in texts)
    assert len({word for text in texts for word in text.lower().split()}) > 300


def test_the_words_last_thirty_minutes_at_the_rates_of_their_speakers() -> None:
    words_per_minute = [u.speaker.words_per_minute for u in PLAN.utterances]
    words = [len(u.text.split()) for u in PLAN.utterances]
    assert sum(w / rate for w, rate in zip(words, words_per_minute, strict=True)) >= 30


def test_songs_differ_in_tempo_name_and_instruments() -> None:
    assert len(PLAN.songs) >= 12
    for field in ("tempo_bpm", "name"):
        assert len({getattr(song, field) for song in PLAN.songs}) == len(PLAN.songs)
    sounds = {(s.groove, s.bass, s.accompaniment, s.accompaniment_pattern) for s in PLAN.songs}
    assert len(sounds) == len(PLAN.songs)
    assert {song.groove for song in PLAN.songs} == set(GROOVES)
    assert len({song.key for song in PLAN.songs}) >= 10


def test_songs_last_twenty_to_thirty_seconds() -> None:
    for song in PLAN.songs:
        assert 19 <= bar_count(song) * song.beats_per_bar * 60 / song.tempo_bpm <= 31, song.name


def test_noises_cover_four_classes_in_every_split_and_ten_minutes() -> None:
    labels = {"stationary", "babble", "impulsive", "ambient"}
    for split in SPLITS:
        assert {noise.label for noise in PLAN.noises if noise.split == split} == labels
    assert sum(noise.duration_s for noise in PLAN.noises) >= 600


def test_no_two_items_share_a_file() -> None:
    paths = Counter(path for item in PLAN.items for path in item.paths)
    assert set(paths.values()) == {1}
