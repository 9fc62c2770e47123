"""Activity: measured as spans of sound, and looked up for excerpts."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixgen.audio.activity import Activity, active_spans, check_active, sounding_spans
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError

RATE = 8000


def _sound(duration_s: float, *spans: tuple[float, float], rate: int = RATE) -> np.ndarray:
    """Return (1, time) samples that are 0.5 within the spans and 0 elsewhere."""
    samples = np.zeros((1, round(duration_s * rate)))
    for start_s, stop_s in spans:
        samples[:, round(start_s * rate) : round(stop_s * rate)] = 0.5
    return samples


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_spans_cover_the_sound(rate: int) -> None:
    samples = _sound(60, (0.5, 1.2), (1.7, 3.0), (57.5, 58.1), rate=rate)
    assert active_spans(samples, rate) == "0.5-1.2 1.7-3.0 57.5-58.1"


def test_silences_below_300_ms_are_part_of_the_sound() -> None:
    assert active_spans(_sound(3, (0, 1), (1.2, 2), (2.3, 3)), RATE) == "0.0-2.0 2.3-3.0"


def test_spans_in_samples_have_the_range_that_is_asked_for() -> None:
    samples = _sound(5, (0, 1), (1.2, 3), (3.4, 4))
    samples[:, 2 * RATE :] *= 0.1
    assert sounding_spans(samples, RATE).tolist() == [[0, 3 * RATE], [27_200, 4 * RATE]]
    assert sounding_spans(samples, RATE, range_db=19.9).tolist() == [[0, 2 * RATE]]
    assert sounding_spans(0 * samples, RATE).tolist() == []


@pytest.mark.parametrize(("below_db", "spans"), [(39.9, "0.0-2.0"), (40.1, "0.0-1.0")])
def test_sound_more_than_40_db_below_the_loudest_is_silence(below_db: float, spans: str) -> None:
    samples = _sound(2, (0, 2))
    samples[:, RATE:] *= 10 ** (-below_db / 20)
    assert active_spans(samples, RATE) == spans


@pytest.mark.parametrize(("frames", "spans"), [(2, "0.0-1.0"), (3, "0.0-1.0 1.5-1.6")])
def test_a_tenth_of_a_second_needs_sound_in_half_of_its_frames(frames: int, spans: str) -> None:
    assert active_spans(_sound(3, (0, 1), (1.5, 1.5 + 0.02 * frames)), RATE) == spans


def test_sound_in_one_channel_is_sound() -> None:
    samples = np.concatenate([_sound(2), _sound(2, (1, 2))])
    assert active_spans(samples, RATE) == "1.0-2.0"


def test_a_short_last_step_needs_sound_in_half_of_its_frames() -> None:
    assert active_spans(_sound(1.03, (1, 1.03)), RATE) == "1.0-1.1"
    assert active_spans(_sound(1.03, (0, 1)), RATE) == "0.0-1.0"
    assert active_spans(np.full((1, 1), 0.5), RATE) == "0.0-0.1"


def test_a_click_has_sound_in_a_file_without_longer_sounds() -> None:
    assert active_spans(_sound(3, (1.22, 1.221)), RATE) == "1.2-1.3"
    assert active_spans(_sound(3, (1.22, 1.221), (2, 3)), RATE) == "2.0-3.0"


def test_digital_silence_has_no_spans() -> None:
    assert active_spans(_sound(1), RATE) == ""


def test_the_text_for_many_hours_fits_into_a_csv_field() -> None:
    pulses = np.tile(_sound(1, (0, 0.5), rate=50), (1, 40_000))
    text = active_spans(pulses, 50)
    assert len(text) < csv.field_size_limit()
    assert text == "0.0-39999.5"


def test_real_vocals_are_silent_outside_of_their_spans(real_data: Path) -> None:
    samples, rate = read_audio(real_data / "music/everything-is-free/potassium/vocals.flac")
    words = active_spans(samples, rate).split()
    spans = [tuple(map(float, word.split("-"))) for word in words]
    quiet = samples.copy()
    for start_s, stop_s in spans:
        quiet[:, round(start_s * rate) : round(stop_s * rate)] = 0
    # By ear: four phrases with pauses of a second and more between them.
    assert len(spans) == 4
    assert sum(stop_s - start_s for start_s, stop_s in spans) == pytest.approx(15.7, abs=0.3)
    assert np.sum(quiet**2) < 1e-4 * np.sum(samples**2)


@pytest.mark.parametrize(
    "text",
    [
        "all",
        "0-1",
        "0.0-1",
        "1.0-1.0",
        "2.0-1.0",
        "0.0-1.0 0.5-2.0",
        "0.0-1.0 1.0-2.0",
        "0.0-1.0  1.5-2.0",
        "0.0-1.0,1.5-2.0",
        "-1.0-1.0",
        "nan-inf",
        "0.0-1.0 ",
        "0.00-1.00",
        "9" * 400 + ".0-1.0",
    ],
)
def test_texts_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"written in order, like '0\.0-3\.2 4\.1-9\.9', not"):
        check_active(text)
    with pytest.raises(InputError, match="written in order"):
        Activity(text, 10.0)


def test_an_unmeasured_file_may_be_listed_but_not_looked_up() -> None:
    assert check_active("") == ""
    with pytest.raises(InputError, match="are not known: index it again"):
        Activity("", 10.0)


def test_share_of_an_excerpt() -> None:
    activity = Activity("1.0-2.0 3.0-4.1", 4.05)
    assert activity.share(0, 1) == 0
    assert activity.share(1, 1) == 1
    assert activity.share(1.5, 1) == pytest.approx(0.5)
    assert activity.share(0.75, 3.05) == pytest.approx((1 + 0.8) / 3.05)
    assert activity.share(0, 4.05) == pytest.approx(2.05 / 4.05)


def test_an_excerpt_ends_where_the_file_ends() -> None:
    activity = Activity("3.0-4.1", 4.05)
    assert activity.share(3.0, 100) == pytest.approx(1)
    assert activity.share(0, 100) == pytest.approx(1.05 / 4.05)
    assert activity.share(4.05, 1) == 0
    assert activity.share(9, 1) == 0


def test_starts_are_tenths_of_a_second_in_order() -> None:
    assert Activity("0.0-0.7", 0.9).starts(0.6, 1) == [0.0, 0.1]
    assert Activity("0.0-0.7", 0.9).starts(0.6, 0.5) == [0.0, 0.1, 0.2, 0.3]
    assert Activity("1.0-2.0", 3.0).starts(1.0, 1) == [1.0]
    assert Activity("1.0-2.0", 3.0).starts(2.5, 0.5) == []


@pytest.mark.parametrize("duration_s", [3.0, 3.5])
def test_the_whole_file_starts_at_zero(duration_s: float) -> None:
    activity = Activity("1.0-2.0", 3.0)
    assert activity.starts(duration_s, 0.33) == [0.0]
    assert activity.starts(duration_s, 0.34) == []


@given(
    active=st.lists(st.booleans(), min_size=1, max_size=40).filter(any),
    steps=st.integers(1, 45),
    least_tenths=st.integers(0, 10),
)
def test_starts_agree_with_counting_steps(
    active: list[bool], steps: int, least_tenths: int
) -> None:
    edges = np.flatnonzero(np.diff([False, *active, False])) / 10
    text = " ".join(f"{a:.1f}-{b:.1f}" for a, b in edges.reshape(-1, 2))
    length = min(steps, len(active))
    expected = [
        round(start / 10, 1)
        for start in range(len(active) - length + 1)
        if 10 * sum(active[start : start + length]) >= least_tenths * length
    ]
    activity = Activity(text, len(active) / 10)
    assert activity.starts(steps / 10, least_tenths / 10) == expected
