"""Reading audio: complete, finite, with the requested channels and rate."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.audio.read import (
    audio_info,
    is_cut_short,
    peak,
    read_audio,
    read_excerpt,
    resample,
    to_channels,
)
from mixgen.core.errors import InputError
from tests.mixgen.conftest import flac_that_claims


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """Half a second of stereo, every sample another multiple of 2^-15."""
    path = tmp_path / "ramp.wav"
    steps = np.arange(8000, dtype=np.int16).reshape(-1, 2)
    soundfile.write(path, steps, 8000, subtype="PCM_16")
    return path


def test_the_header_has_length_rate_and_channels(ramp: Path) -> None:
    info = audio_info(ramp)
    assert (info.frames, info.sample_rate, info.channels) == (4000, 8000, 2)
    assert info.duration_s == 0.5


def test_samples_are_exact_with_channels_first(ramp: Path) -> None:
    samples, rate = read_audio(ramp)
    assert samples.shape == (2, 4000)
    assert samples.dtype == np.float64
    assert rate == 8000
    np.testing.assert_array_equal(samples[1] * 2**15, np.arange(1, 8000, 2))


def test_a_part_of_a_file_equals_that_part_of_the_whole(ramp: Path) -> None:
    whole, _ = read_audio(ramp)
    part, _ = read_audio(ramp, start=100, frames=50)
    np.testing.assert_array_equal(part, whole[:, 100:150])


def test_excerpt_truncates_times_as_scaper_does(ramp: Path) -> None:
    whole, _ = read_audio(ramp)
    part, _ = read_excerpt(ramp, 0.01019, 0.01)
    np.testing.assert_array_equal(part, whole[:, 81:161])


def test_an_excerpt_to_the_end_may_be_shorter(ramp: Path) -> None:
    part, _ = read_excerpt(ramp, 0.4, 5.0, to_end=True)
    assert part.shape == (2, 800)


def test_a_read_past_the_end_is_refused(ramp: Path) -> None:
    with pytest.raises(
        InputError, match="has 4000 samples, but samples 3990 to 4040 are requested"
    ):
        read_audio(ramp, start=3990, frames=50)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The audio file .* does not exist"):
        read_audio(tmp_path / "none.wav")


def test_a_file_without_audio_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.wav"
    path.write_text("these are words")
    with pytest.raises(InputError, match="not audio that can be read"):
        read_audio(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.array([0.0, value, 0.0]), 8000, subtype="FLOAT")
    with pytest.raises(InputError, match="NaN or infinite"):
        read_audio(path)


def test_floats_above_full_scale_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, 3.5, -2.0]), 8000, subtype="FLOAT")
    assert np.abs(read_audio(path)[0]).max() == 3.5


@pytest.mark.parametrize("value", [1e3, -1e3])
def test_sixty_decibels_above_full_scale_are_the_most(tmp_path: Path, value: float) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, value, 0.0]), 8000, subtype="DOUBLE")
    assert peak(read_excerpt(path, 0.0, 1.0, to_end=True)[0]) == 1e3
    soundfile.write(path, np.array([0.0, value * 1.001, 0.0]), 8000, subtype="DOUBLE")
    with pytest.raises(InputError, match=r"has a peak of 1e\+03, and 1000 \(\+60 dB full scale\)"):
        read_excerpt(path, 0.0, 1.0, to_end=True)


@pytest.mark.parametrize(
    ("rate", "words"), [(3999, "3999 Hz"), (768_001, "768001 Hz"), (2**31 - 1, "2147483647 Hz")]
)
def test_rates_that_no_audio_has_are_refused(tmp_path: Path, rate: int, words: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), rate)
    for read in (read_audio, audio_info):
        with pytest.raises(InputError, match=f"claims a sample rate of {words}"):
            read(tmp_path / "a.wav")


def test_lengths_that_the_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    path = flac_that_claims(tmp_path / "a.flac", 2**36 - 1)
    for read in (read_audio, audio_info):
        with pytest.raises(InputError, match=r"claims 68719476735 samples, which its \d+ bytes"):
            read(path)


def test_a_truncated_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 20000)
    soundfile.write(path, noise, 8000)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"cut\.flac"):
        read_audio(path)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "big-endian WAV"])
def test_a_cut_file_is_detected(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    order = "BIG" if kind.startswith("big") else "FILE"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1001)
    soundfile.write(path, noise, 8000, "PCM_24", order, format=kind.split()[-1])
    assert not is_cut_short(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert is_cut_short(path)


def test_a_streamed_wav_is_not_cut(ramp: Path) -> None:
    content = bytearray(ramp.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    ramp.write_bytes(content)
    assert not is_cut_short(ramp)


def test_mean_to_mono_and_copies_to_stereo() -> None:
    stereo = np.array([[1.0, 2.0], [3.0, 6.0]])
    np.testing.assert_array_equal(to_channels(stereo, 1), [[2.0, 4.0]])
    np.testing.assert_array_equal(to_channels(stereo[:1], 2), [[1.0, 2.0], [1.0, 2.0]])
    assert to_channels(stereo, 2) is stereo


def test_three_channels_do_not_become_two() -> None:
    with pytest.raises(InputError, match="Cannot make 2 channels from 3"):
        to_channels(np.zeros((3, 4)), 2)


def test_resampling_keeps_a_tone() -> None:
    time = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 440 * time)[None]
    lower = resample(tone, 44100, 16000)
    assert lower.shape == (1, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    middle = slice(1000, -1000)
    np.testing.assert_allclose(lower[0, middle], expected[middle], atol=1e-5)


def test_no_resampling_is_no_change() -> None:
    samples = np.ones((1, 5))
    assert resample(samples, 8000, 8000) is samples


@pytest.mark.parametrize(
    ("name", "quality"),
    [("long.ogg", 0.9), ("long.opus", 0.99), ("long.mp3", 0.99), ("long.mp3", 0.1)],
)
def test_an_excerpt_of_a_compressed_file_is_that_part_of_the_whole(
    name: str, quality: float, tmp_path: Path
) -> None:
    path, rate = tmp_path / name, 16_000
    rng = np.random.default_rng(0)
    time_s = np.arange(450_000) / rate
    buzz = 2 * (120 * time_s + np.sin(3 * time_s)) % 1 - 0.5
    sound = 0.4 * np.sin(2 * time_s) ** 2 * (buzz + 0.1 * rng.standard_normal(len(buzz)))
    how = {"format": "OGG", "subtype": "OPUS"} if name.endswith(".opus") else {}
    if name.endswith(".mp3"):
        how["bitrate_mode"] = "VARIABLE"
    with soundfile.SoundFile(path, "w", rate, 1, compression_level=quality, **how) as file:
        for start in range(0, len(sound), 4096):  # libsndfile's Vorbis writer fails on long arrays
            file.write(sound[start : start + 4096])
    whole, _ = read_audio(path)
    frames = whole.shape[1]
    starts = [*rng.integers(0, frames, 10), *rng.integers(frames - 20_000, frames, 10)]
    for start in map(int, starts):
        part, _ = read_audio(path, start, min(3000, frames - start))
        np.testing.assert_array_equal(part, whole[:, start : start + 3000])
