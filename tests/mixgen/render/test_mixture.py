"""Rendering in memory: levels, places, fades, clip rule, and the exact sum."""

import shutil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile

from mixgen.audio.formats import FORMATS
from mixgen.audio.levels import LEVEL_RULES, energy_db, integrated_lufs
from mixgen.audio.sox import pitch_and_stretch
from mixgen.core.errors import InputError, MachineError
from mixgen.core.files import sha256_file
from mixgen.manifest.mixture import Clip, Mixture
from mixgen.render.mixture import SourceRenderer, render

RATE = 8000


class MakeRecord(Protocol):
    """Makes the record of a mixture of files, each given as (samples, fields of its event)."""

    def __call__(self, *files: tuple[np.ndarray, dict[str, Any]], **fields: Any) -> Mixture: ...


class Measure(Protocol):
    """Measures the level of a signal in dB."""

    def __call__(self, signal: np.ndarray, rate: int) -> float: ...


@pytest.fixture
def record(tmp_path: Path) -> MakeRecord:
    """The record of a one-second mixture of files given as (samples, event fields)."""

    def make(*files: tuple[np.ndarray, dict[str, Any]], **fields: Any) -> Mixture:
        sources = [_source(tmp_path, number, *file) for number, file in enumerate(files)]
        data = {
            "id": "m",
            "split": "test",
            "sample_rate": RATE,
            "channels": 1,
            "frames": RATE,
            "seed": 0,
            "sources": sources,
            "level": {"reference_db": -30.0},
            "targets": [],
        }
        return Mixture.model_validate(data | fields)

    return make


def _source(
    folder: Path, number: int, samples: np.ndarray, fields: dict[str, Any]
) -> dict[str, Any]:
    path = folder / f"{number}.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    event = {
        "corpus": "c",
        "path": path.name,
        "sha256": sha256_file(path),
        "source_time": 0.0,
        "event_time": 0.0,
        "event_duration": len(samples) / RATE,
        "snr": 0.0,
    }
    rule = fields.pop("rule", "lufs")
    role = fields.pop("role", "target")
    return {
        "name": f"s{number}",
        "role": role,
        "label": "x",
        "kind": "speech",
        "events": [event | fields],
        "gain": {"rule": rule},
    }


def _noise(seconds: float, seed: int = 0, channels: int = 1) -> np.ndarray:
    shape = (round(seconds * RATE), channels)
    return 0.1 * np.random.default_rng(seed).standard_normal(shape)


def _signal(mixture: Mixture, folder: Path, number: int = 0) -> np.ndarray:
    source = mixture.sources[number]
    return SourceRenderer(mixture, source, {"c": folder}).signals()[source.name]


@pytest.mark.parametrize(("rule", "measure"), [("lufs", integrated_lufs), ("energy", energy_db)])
def test_level_is_reference_plus_snr(
    record: MakeRecord, tmp_path: Path, rule: str, measure: Measure
) -> None:
    mixture = record((_noise(1), {"snr": 7.0, "rule": rule}), fade_s=0.0)
    assert measure(_signal(mixture, tmp_path), RATE) == pytest.approx(-23.0, abs=1e-6)


def test_the_last_digits_of_a_level_change_no_sample(
    record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = record((_noise(1), {"snr": 7.0}))
    before = _signal(mixture, tmp_path)
    monkeypatch.setitem(LEVEL_RULES, "lufs", lambda *signal: integrated_lufs(*signal) + 1e-10)
    np.testing.assert_array_equal(_signal(mixture, tmp_path), before)


@pytest.mark.parametrize("steps_above", [-0.6, -0.1, 0.0, 0.1, 0.6])
def test_the_peak_before_rounding_decides_on_the_clip_gain(
    record: MakeRecord, tmp_path: Path, steps_above: float
) -> None:
    sample_format = FORMATS["flac16"]
    mixture = record((_noise(1), {}))
    peak = float(np.abs(_signal(mixture, tmp_path)).max())
    limit = peak - steps_above * sample_format.step
    # Of a single stem, half a step is kept for rounding.
    clip = Clip(peak=limit + sample_format.step / 2)
    rendering = render(mixture.model_copy(update={"clip": clip}), {"c": tmp_path}, sample_format)
    assert rendering.clip_gain == pytest.approx(min(1.0, limit / peak), abs=1e-12)
    assert np.abs(rendering.mixture).max() <= clip.peak


def test_energy_rule_gives_the_plain_snr(record: MakeRecord, tmp_path: Path) -> None:
    files = [(_noise(1, n), {"snr": snr, "rule": "energy"}) for n, snr in enumerate((5.0, 0.0))]
    mixture = record(*files, fade_s=0.0)
    target, noise = (_signal(mixture, tmp_path, n) for n in (0, 1))
    snr_db = 10 * np.log10(np.sum(target**2) / np.sum(noise**2))
    assert snr_db == pytest.approx(5.0, abs=1e-6)  # levels are rounded to it


def test_event_is_placed_and_cut_at_the_end(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((_noise(0.5), {"event_time": 0.75}), fade_s=0.0)
    signal = _signal(mixture, tmp_path)
    assert signal.shape == (1, RATE)
    assert not signal[:, :6000].any()
    assert signal[:, 6000:].all()


def test_events_of_a_source_add_up(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((_noise(0.25), {}), (_noise(0.25, 1), {"event_time": 0.5}))
    data = mixture.as_dict()
    data["sources"][0]["events"] += data["sources"][1]["events"]
    both = Mixture.model_validate(data)
    expected = _signal(mixture, tmp_path, 0) + _signal(mixture, tmp_path, 1)
    np.testing.assert_array_equal(_signal(both, tmp_path, 0), expected)


def test_fades_are_quarter_sines(record: MakeRecord, tmp_path: Path) -> None:
    plain = _signal(record((_noise(1), {}), fade_s=0.0), tmp_path)
    faded = _signal(record((_noise(1), {}), fade_s=0.01), tmp_path)
    window = np.sin(np.linspace(0, np.pi / 2, 80))
    np.testing.assert_allclose(faded[0, :80], plain[0, :80] * window, rtol=1e-12)
    np.testing.assert_allclose(faded[0, -80:], plain[0, -80:] * window[::-1], rtol=1e-12)
    np.testing.assert_array_equal(faded[0, 80:-80], plain[0, 80:-80])


def test_one_sample_and_a_fade_longer_than_it(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((np.array([0.5]), {"event_time": 0.5}), fade_s=0.01)
    rendering = render(mixture, {"c": tmp_path}, FORMATS["wav16"])
    assert rendering.mixture.shape == (1, RATE)
    assert np.isfinite(rendering.mixture).all()


def test_silent_stem_stays_silent(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((np.zeros(RATE), {"snr": 20.0}), (_noise(1), {}))
    rendering = render(mixture, {"c": tmp_path}, FORMATS["flac16"])
    assert not rendering.stems["s0"].any()
    np.testing.assert_array_equal(rendering.mixture, rendering.stems["s1"])


def test_background_is_repeated_without_fades(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((_noise(0.3), {"role": "background", "event_duration": 1.0}))
    signal = _signal(mixture, tmp_path)[0]
    np.testing.assert_allclose(signal[2400:4800], signal[:2400], rtol=1e-12)
    np.testing.assert_allclose(signal[7200:], signal[:800], rtol=1e-12)


def test_stereo_to_mono_is_the_mean_and_back_is_twice(record: MakeRecord, tmp_path: Path) -> None:
    stereo = _noise(1, channels=2)
    anti = np.stack([stereo[:, 0], -stereo[:, 0]], axis=1)
    assert not _signal(record((anti, {})), tmp_path).any()
    wide = _signal(record((_noise(1), {}), channels=2), tmp_path)
    np.testing.assert_array_equal(wide[0], wide[1])


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("limit", [0.01, 0.5, 0.9])
def test_clip_rule_is_joint_and_holds(
    record: MakeRecord, tmp_path: Path, name: str, limit: float
) -> None:
    files = [(_noise(1, n), {"snr": 30.0 - 3 * n}) for n in range(3)]
    mixture = record(*files, clip={"peak": limit})
    rendering = render(mixture, {"c": tmp_path}, FORMATS[name])
    peaks = [np.abs(stem).max() for stem in (rendering.mixture, *rendering.stems.values())]
    step = FORMATS[name].step
    assert limit - 4 * step <= max(peaks) <= limit
    assert rendering.clip_gain < 1
    unclipped = _signal(mixture, tmp_path, 1) * rendering.clip_gain
    assert np.abs(rendering.stems["s1"] - unclipped).max() <= step / 2 * (1 + 1e-9)


def test_no_clip_gain_below_the_limit(record: MakeRecord, tmp_path: Path) -> None:
    rendering = render(record((_noise(1), {})), {"c": tmp_path}, FORMATS["wav24"])
    assert rendering.clip_gain == 1.0
    assert rendering.clip_gain_db == 0.0


def test_source_loud_beyond_full_scale(record: MakeRecord, tmp_path: Path) -> None:
    loud, quiet = (_signal(record((gain * _noise(1), {})), tmp_path) for gain in (50, 1))
    np.testing.assert_allclose(loud, quiet, atol=1e-8)


def test_altered_source(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((_noise(1), {}))
    soundfile.write(tmp_path / "0.wav", _noise(1, 9), RATE, subtype="FLOAT")
    with pytest.raises(InputError, match="not the file that the manifest was drawn from"):
        _signal(mixture, tmp_path)


def test_missing_source(record: MakeRecord, tmp_path: Path) -> None:
    mixture = record((_noise(1), {}))
    (tmp_path / "0.wav").unlink()
    with pytest.raises(InputError, match=r"The source file .* does not exist.*--root c=FOLDER"):
        _signal(mixture, tmp_path)


@pytest.mark.parametrize("role", ["target", "background"])
def test_excerpt_beyond_the_file(record: MakeRecord, tmp_path: Path, role: str) -> None:
    mixture = record((_noise(0.5), {"role": role, "source_time": 3.0}))
    with pytest.raises(InputError, match="has 4000 samples, but samples 24000 to"):
        _signal(mixture, tmp_path)


@pytest.mark.skipif(shutil.which("sox") is None, reason="needs the program sox")
@pytest.mark.parametrize("change", [{"pitch_shift": 60.0}, {"time_stretch": 11.0}])
def test_more_than_sox_shifts_and_stretches(change: dict[str, float]) -> None:
    values = {"pitch_shift": None, "time_stretch": None} | change
    with pytest.raises(InputError, match=r"sox refuses .*: shift by -79\.7 to 39\.9 semitones"):
        pitch_and_stretch(_noise(0.5).T, RATE, RATE, 1, **values)


def test_no_sox(record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="need the program sox: install it"):
        _signal(record((_noise(0.5), {"pitch_shift": 1.0})), tmp_path)
