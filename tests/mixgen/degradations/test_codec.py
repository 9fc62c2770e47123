"""Codecs: alignment, bit rates, quality, and G.711 against the code words of the standard."""

import os
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.signal import correlate

from mixgen.audio.read import Samples
from mixgen.core.errors import MachineError
from mixgen.degradations.codec import Codec
from tests.mixgen.degradations.conftest import Sine, Syllables

LOSSY = ("mp3", "vorbis", "opus")
LAWS = ("mulaw", "alaw")


def codec(name: str, quality: float | None = None) -> Codec:
    return Codec(name="codec", codec=name, quality=None if name in LAWS else quality)


def snr_db(reference: Samples, decoded: Samples) -> float:
    return float(10 * np.log10(np.sum(reference**2) / np.sum((decoded - reference) ** 2)))


@pytest.mark.parametrize("name", [*LOSSY, *LAWS])
@pytest.mark.parametrize("sample_rate", [8000, 10000, 16000, 22050, 32000, 44100, 48000])
def test_no_delay_at_any_rate(name: str, sample_rate: int, syllables: Syllables) -> None:
    samples = syllables(2, sample_rate, sample_rate)
    for quality in (0.2, 0.6, 1.0):
        decoded = codec(name, quality).apply(samples, sample_rate)
        correlation = correlate(decoded[1], samples[1], method="fft")
        assert correlation.argmax() == sample_rate - 1
        # Less than a twentieth of a sample by the parabola through the peak.
        before, at, after = correlation[sample_rate - 2 : sample_rate + 1]
        assert abs((before - after) / (before - 2 * at + after)) / 2 < 0.05


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_a_higher_quality_has_a_higher_snr(
    name: str, sample_rate: int, syllables: Syllables
) -> None:
    samples = syllables(1, 2 * sample_rate, sample_rate)
    quality_db = [
        snr_db(samples, codec(name, quality).apply(samples, sample_rate))
        for quality in (0.05, 0.5, 1.0)
    ]
    assert quality_db[0] + 2 < quality_db[1] <= quality_db[2]
    assert quality_db[2] > 18


@pytest.mark.parametrize(
    ("name", "sample_rate", "quality", "kbit_s"),
    [
        ("mp3", 8000, 0.5, 36),
        ("mp3", 16000, 0.0, 8),
        ("mp3", 16000, 0.25, 46),
        ("mp3", 44100, 0.25, 104),
        ("mp3", 44100, 0.5, 176),
        ("opus", 16000, 0.04, 16),
        ("opus", 16000, 0.5, 131),
        ("opus", 48000, 0.25, 68.5),
    ],
)
def test_bit_rates_are_those_documented(
    name: str,
    sample_rate: int,
    quality: float,
    kbit_s: float,
    syllables: Syllables,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    read = soundfile.read

    def measured(file: int, **options: Any) -> Any:
        sizes.append(os.fstat(file).st_size)
        return read(file, **options)

    monkeypatch.setattr(soundfile, "read", measured)
    duration_s = 4
    codec(name, quality).apply(syllables(1, duration_s * sample_rate, sample_rate), sample_rate)
    # Headers add to the size, and encoders keep an average bit rate over longer times only.
    assert sizes[0] * 8 / 1000 / duration_s == pytest.approx(kbit_s, rel=0.1, abs=3)


def mulaw_words() -> tuple[np.ndarray, np.ndarray]:
    """Return the positive values of G.711 mu-law and half the step of each, full scale 1.0."""
    mantissas = np.arange(16)
    segments = [((2 * mantissas + 33) << exponent) - 33 for exponent in range(8)]
    reaches = np.repeat(1 << np.arange(8), 16)
    return np.concatenate(segments) / 8192, reaches / 8192


def alaw_words() -> tuple[np.ndarray, np.ndarray]:
    """Return the positive values of G.711 A-law and half the step of each, full scale 1.0."""
    mantissas = np.arange(16)
    segments = [2 * mantissas + 1, *((2 * mantissas + 33) << segment for segment in range(7))]
    reaches = np.repeat([1, *(1 << np.arange(7))], 16)
    return np.concatenate(segments) / 4096, reaches / 4096


WORDS = {"mulaw": mulaw_words(), "alaw": alaw_words()}


def test_words_are_those_of_the_standard() -> None:
    # Tables 2a and 1a: the outermost words, and the first two of every second segment.
    mulaw, alaw = WORDS["mulaw"][0] * 8192, WORDS["alaw"][0] * 4096
    assert mulaw[[0, 1, 16, 17, 48, 49, 112, 127]].tolist() == [0, 2, 33, 37, 231, 247, 4191, 8031]
    assert alaw[[0, 1, 32, 33, 64, 65, 112, 127]].tolist() == [1, 3, 66, 70, 264, 280, 2112, 4032]


@pytest.mark.parametrize("name", LAWS)
def test_g711_words(name: str) -> None:
    words, reaches = WORDS[name]
    overload = words[-1] + reaches[-1]
    samples = np.linspace(-overload, overload, 40001)[np.newaxis]
    decoded = codec(name).apply(samples, 8000)[0]
    assert set(decoded) == {*words, *-words}
    # A word stands for samples within half its step; inputs are rounded to 16 bits before.
    reach = reaches[np.searchsorted(words, np.abs(decoded))]
    assert np.all(np.abs(decoded - samples[0]) <= reach + 0.501 / 32768)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("amplitude", [0.05, 0.2, 0.8])
def test_g711_on_a_sine(name: str, amplitude: float, sine: Sine) -> None:
    samples = sine(1020, 8000, amplitude)
    # G.712 asks for 33 dB from 0 to -30 dBm0; a coder in software reaches a few more.
    assert 33 < snr_db(samples, codec(name).apply(samples, 8000)) < 42


@pytest.mark.parametrize("name", LAWS)
def test_a_telephone_ends_at_4_khz(name: str) -> None:
    samples = 0.1 * np.random.RandomState(0).standard_normal((1, 48000))
    window = np.hanning(48000)
    power = np.abs(np.fft.rfft(window * codec(name).apply(samples, 48000)[0])) ** 2
    hz = np.fft.rfftfreq(48000, 1 / 48000)
    inside = power[(hz > 300) & (hz < 3400)].mean()
    assert power[hz > 4200].mean() < 1e-6 * inside
    assert inside == pytest.approx((np.abs(np.fft.rfft(window * samples[0])) ** 2).mean(), rel=0.15)


@pytest.mark.parametrize("name", [*LOSSY, *LAWS])
def test_samples_beyond_full_scale_are_clipped_and_not_wrapped(name: str, sine: Sine) -> None:
    samples = sine(200, 8000, amplitude=3.0)
    decoded = codec(name, 1.0).apply(samples, 8000)
    assert snr_db(np.clip(samples, -1, 1), decoded) > 15


@pytest.mark.parametrize("name", [*LOSSY, *LAWS])
def test_a_missing_codec_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "available_subtypes", lambda _container: {})
    with pytest.raises(MachineError, match=f"has no {name}: install soundfile"):
        codec(name, 0.5).apply(np.zeros((1, 800)), 8000)
