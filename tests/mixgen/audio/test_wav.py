"""WAV bytes: libsndfile reads them back, and writes the same ones."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mixgen.audio import formats
from mixgen.audio.formats import encode_wav
from mixgen.core.errors import InputError

RATE = 44100


def noise(frames: int, channels: int) -> NDArray[np.int32]:
    """Return full-scale noise of 24 bits, in the upper three bytes of 32 bits."""
    random = np.random.default_rng(frames)
    return (random.integers(-(2**23), 2**23, (frames, channels)) << 8).astype("<i4")


def by_soundfile(samples: NDArray[Any], subtype: str) -> bytes:
    """Return the bytes that libsndfile writes."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, subtype, format="wav")
    return stream.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("frames", [1, 7, 1000])
def test_the_bytes_are_those_of_libsndfile(frames: int, channels: int) -> None:
    samples = noise(frames, channels)
    halves = (samples >> 16).astype("<i2")
    assert encode_wav(halves, RATE, 16) == by_soundfile(halves, "PCM_16")
    assert encode_wav(samples, RATE, 24) == by_soundfile(samples, "PCM_24")


def test_floats_are_read_back_exactly() -> None:
    samples = np.random.default_rng(0).standard_normal((501, 2)).astype("<f4")
    read, rate = soundfile.read(io.BytesIO(encode_wav(samples, RATE, 32)), dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(read, samples)
    info = soundfile.info(io.BytesIO(encode_wav(samples, RATE, 32)))
    assert (info.format, info.subtype, info.frames) == ("WAV", "FLOAT", 501)


def test_samples_beyond_4_gib_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_LARGEST_RIFF", 1000)
    with pytest.raises(InputError, match="do not fit into a WAV file: use FLAC"):
        encode_wav(noise(1000, 1), RATE, 24)
