"""Sample formats: files return the samples that were written, step for step."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixgen.audio.formats import (
    FORMATS,
    encode_flac,
    file_samples,
    format_called,
    from_grid,
    read_file_samples,
    rounded_samples,
    samples_sha256,
    to_grid,
    write_samples,
)
from mixgen.core.errors import InputError, MachineError, UsageError

ALL = pytest.mark.parametrize("name", sorted(FORMATS))


@ALL
def test_files_return_every_step(tmp_path: Path, name: str) -> None:
    sample_format = FORMATS[name]
    top = 2 ** (sample_format.bits - 1) - 1
    steps = np.random.default_rng(1).integers(-top, top, (2, 500), endpoint=True)
    samples = file_samples(steps, sample_format)
    path = tmp_path / f"x.{sample_format.extension}"
    write_samples(path, samples, 16000, sample_format)
    np.testing.assert_array_equal(read_file_samples(path, sample_format), samples)
    values, rate = soundfile.read(path, dtype="float64", always_2d=True)
    assert rate == 16000
    assert soundfile.info(path).subtype == sample_format.subtype
    np.testing.assert_array_equal(values.T, from_grid(steps, sample_format))


@ALL
def test_hash_is_of_the_little_endian_samples(name: str) -> None:
    sample_format = FORMATS[name]
    samples = file_samples(np.array([[1, -2, 3]], np.int32), sample_format)
    assert samples_sha256(samples) == hashlib.sha256(samples.tobytes()).hexdigest()
    assert samples.dtype.str in ("<i2", "<i4", "<f4")


@ALL
@given(st.data())
def test_rounding_is_at_most_half_a_step(name: str, data: st.DataObject) -> None:
    sample_format = FORMATS[name]
    samples = data.draw(arrays(np.float64, (2, 8), elements=st.floats(-1, 1)))
    error = from_grid(to_grid(samples, sample_format), sample_format) - samples
    assert np.abs(error).max() <= sample_format.step / 2


@ALL
def test_a_failed_write_leaves_no_file(tmp_path: Path, name: str) -> None:
    sample_format = FORMATS[name]
    samples = file_samples(np.array([[1, -2, 3]], np.int32), sample_format)
    with pytest.raises(MachineError, match="too long"):
        write_samples(
            tmp_path / f"{'x' * 300}.{sample_format.extension}", samples, 8000, sample_format
        )
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_flac_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot encode 10000000 Hz as FLAC"):
        write_samples(tmp_path / "x.flac", np.zeros((4, 1), "<i2"), 10**7, FORMATS["flac16"])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'wav32': choose one of flac16, flac24, wav16"):
        format_called("wav32")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_is_encoded_without_callbacks(monkeypatch: pytest.MonkeyPatch, subtype: str) -> None:
    samples = np.random.default_rng(2).integers(-9000, 9000, (5000, 2)).astype("<i2")
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16000, subtype, format="FLAC")
    monkeypatch.delattr(soundfile.SoundFile, "_init_virtual_io")  # creates the callbacks
    assert encode_flac(samples, 16000, subtype) == stream.getvalue()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["wav16", "wav24", "wav_float"])
def test_rounding_down_is_that_of_soundfile(
    name: str, dtype: str, compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr("mixgen.audio.formats.kernels", lambda: None)
    sample_format = FORMATS[name]
    random = np.random.default_rng(2)
    whole = random.integers(-(2**15), 2**15, 3000) / 2**15
    parts = [random.uniform(-1.5, 1.5, 9000), random.normal(0, 1e-9, 3000), whole]
    parts += [np.nextafter(whole, 9), np.nextafter(whole, -9), whole - 0.5 / 2**31]
    samples = np.concatenate([*parts, [1, -1, 0, 1 - 2**-25, -1.000001, 1e9, -1e9]]).astype(dtype)
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype=sample_format.subtype)
    found = rounded_samples(samples[None], sample_format, down=True)
    expected = read_file_samples(tmp_path / "x.wav", sample_format)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("compiled", [True, False])
def test_rounding_to_the_nearest_is_that_of_numpy(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr("mixgen.audio.formats.kernels", lambda: None)
    random = np.random.default_rng(2)
    halves = (random.integers(-(2**15), 2**15, 3000) + 0.5) / 2**15
    samples = np.concatenate([random.uniform(-0.99, 0.99, 9000), halves[halves < 0.99]])
    found = rounded_samples(samples[None], FORMATS["wav16"], down=False)
    np.testing.assert_array_equal(found[:, 0], np.int16(np.round(2**15 * samples)))
    beyond = rounded_samples(np.array([[1.0, -1.0, 3.0, -3.0]]), FORMATS["wav16"], down=False)
    assert beyond[:, 0].tolist() == [32767, -32768, 32767, -32768]
