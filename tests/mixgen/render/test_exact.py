"""Mixtures of published sets, computed step by step: each step, sums, clip rules and errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from mixgen.audio.formats import FORMATS
from mixgen.core.errors import InputError
from mixgen.core.files import sha256_file
from mixgen.core.records import parse_record
from mixgen.manifest.mixture import Mixture
from mixgen.render.exact import ExactRenderer
from mixgen.render.mixture import render

RATE = 16000
Step = dict[str, Any]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two mono files of noise, and one in stereo."""
    random = np.random.default_rng(3)
    for name, shape in (("a", (4000,)), ("b", (3000,)), ("pair", (4000, 2))):
        noise = np.int16(random.uniform(-12000, 12000, shape))
        soundfile.write(tmp_path / f"{name}.wav", noise, RATE)
    return tmp_path


def event(folder: Path, name: str, steps: list[Step] | None = None, **others: Any) -> Step:
    """Return the event of a whole file."""
    path = folder / f"{name}.wav"
    return {
        "corpus": "here",
        "path": path.name,
        "sha256": sha256_file(path),
        "source_time": 0.0,
        "event_time": 0.0,
        "event_duration": soundfile.info(path).frames / RATE,
        "snr": 0.0,
        "steps": steps or [],
        **others,
    }


def mixture(events: dict[str, Step], frames: int = 3000, **others: Any) -> Mixture:
    """Return a mixture with an event for each source."""
    sources = [
        {
            "name": name,
            "role": "target",
            "label": name,
            "kind": "speech",
            "events": [given],
            "gain": {"rule": "lufs"},
        }
        for name, given in events.items()
    ]
    record = {
        "id": "m",
        "split": "test",
        "sample_rate": RATE,
        "channels": 1,
        "frames": frames,
        "seed": 0,
        "sources": sources,
        "level": {"reference_db": 0.0},
        "clip": {"rule": "none"},
        "targets": list(events),
        "arithmetic": {"numbers": "float32", "sum_of": "signals"},
        **others,
    }
    parsed: Mixture = parse_record(Mixture, record, "the record")
    return parsed


def rendered(folder: Path, record: Mixture, sample_format: str = "wav_float") -> dict[str, Any]:
    """Return the samples of the files (time,) of a mixture."""
    renderer = ExactRenderer({"here": folder}, FORMATS[sample_format])
    files = renderer.render(record).files
    return {name: file.samples[:, 0] for name, file in files.items()}


def read(folder: Path, name: str) -> np.ndarray:
    return np.asarray(soundfile.read(folder / f"{name}.wav", dtype="float32")[0])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"multiply": 0.3}], lambda x: x * np.float32(0.3)),
        ([{"divide": 0.3}], lambda x: x / np.float32(0.3)),
        ([{"skip": 500}], lambda x: x[500:]),
        ([{"convert": "float64"}, {"multiply": 1 / 3}], lambda x: x.astype(float) * (1 / 3)),
        (
            [{"multiply": 0.3}, {"round_bits": 8}],
            lambda x: np.round(x * np.float32(0.3) * 128) / 128,
        ),
        ([{"multiply": 0.1}, {"divide": 0.3}], lambda x: x * np.float32(0.1) / np.float32(0.3)),
    ],
)
def test_steps_are_those_of_numpy(files: Path, steps: list[Step], expected: Any) -> None:
    found = rendered(files, mixture({"s1": event(files, "a", steps)}))["s1"]
    np.testing.assert_array_equal(found, expected(read(files, "a"))[:3000].astype(np.float32))


def test_the_order_of_gain_and_resampling_counts(files: Path) -> None:
    steps = [{"multiply": 0.3}, {"resample_poly": 8000}]
    found = []
    for order in (steps, steps[::-1]):
        record = mixture({"s1": event(files, "a", order)}, 2000, sample_rate=8000)
        found.append(rendered(files, record)["s1"])
    signal, gain = read(files, "a"), np.float32(0.3)
    np.testing.assert_array_equal(found[0], resample_poly(signal * gain, 8000, RATE))
    np.testing.assert_array_equal(found[1], resample_poly(signal, 8000, RATE) * gain)
    assert (found[0] != found[1]).any()


def test_a_channel_is_taken_and_not_the_mean(files: Path) -> None:
    record = mixture({"s1": event(files, "pair", [{"channel": 1}])})
    np.testing.assert_array_equal(rendered(files, record)["s1"], read(files, "pair")[:3000, 1])


def test_events_begin_where_the_record_says(files: Path) -> None:
    late = event(files, "b", event_time=1000 / RATE)
    found = rendered(files, mixture({"s1": late}, frames=5000))["s1"]
    np.testing.assert_array_equal(found, np.pad(read(files, "b"), (1000, 1000)))


def test_extending_fades_one_copy_into_the_next(files: Path) -> None:
    steps = [{"extend": {"frames": 7000, "crossfade": 1001}}]
    found = rendered(files, mixture({"s1": event(files, "b", steps)}, frames=7000))["s1"]
    signal = read(files, "b").astype(float)
    fade = np.hanning(2001)[:1001]
    np.testing.assert_allclose(found[:1999], signal[:1999], atol=1e-7)
    seam = signal[-1001:] * fade[::-1] + signal[:1001] * fade
    np.testing.assert_allclose(found[1999:3000], seam, atol=1e-6)
    np.testing.assert_allclose(found[3000:3998], signal[1001:1999], atol=1e-7)


def test_sums_are_in_the_order_and_format_of_the_record(files: Path) -> None:
    parts = {
        "s1": event(files, "a", [{"multiply": 0.1}]),
        "s2": event(files, "b", [{"convert": "float64"}, {"multiply": 1e-6}]),
        "s3": event(files, "a", [{"skip": 7}, {"multiply": 0.7}]),
    }
    one = read(files, "a")[:3000] * np.float32(0.1)
    two = read(files, "b").astype(float) * 1e-6
    three = read(files, "a")[7:3007] * np.float32(0.7)
    found = rendered(files, mixture(parts))["mixture"]
    np.testing.assert_array_equal(found, (one + two).astype(np.float32) + three)
    arithmetic = {"numbers": "float32", "sum_of": "signals", "order": ["s3", "s1", "s2"]}
    found = rendered(files, mixture(parts, arithmetic=arithmetic))["mixture"]
    np.testing.assert_array_equal(found, (three + one + two).astype(np.float32))


def test_a_recorded_mixture_is_read_and_not_summed(files: Path) -> None:
    record = mixture({"s1": event(files, "a")}, recorded=event(files, "b", [{"multiply": 0.5}]))
    found = rendered(files, record)
    np.testing.assert_array_equal(found["mixture"], read(files, "b") * np.float32(0.5))


@pytest.mark.parametrize("rounding", ["nearest", "down"])
@pytest.mark.parametrize("sample_format", ["wav16", "wav24", "flac16"])
def test_rounding(files: Path, rounding: str, sample_format: str) -> None:
    arithmetic = {"numbers": "float64", "sum_of": "signals", "rounding": rounding}
    record = mixture({"s1": event(files, "a", [{"multiply": 3.3}])}, arithmetic=arithmetic)
    found = rendered(files, record, sample_format)["s1"].astype(np.int64)
    bits = FORMATS[sample_format].bits
    exact = read(files, "a")[:3000].astype(float) * 3.3 * 2.0 ** (bits - 1)
    whole = np.floor(exact) if rounding == "down" else np.round(exact)
    limits = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert (whole < limits[0]).any()
    expected = whole.clip(*limits)
    np.testing.assert_array_equal(found >> (8 if bits == 24 else 0), expected)


def test_headroom_scales_all_files_alike(files: Path) -> None:
    for gain, highest in ((0.1, 1.0), (4.0, None)):
        parts = {name: event(files, name, [{"multiply": gain}]) for name in ("a", "b")}
        clip = {"rule": "headroom", "peak": 0.8}
        record = mixture(parts, clip=clip)
        found = rendered(files, record)
        a, b = (read(files, name)[:3000] * np.float32(gain) for name in "ab")
        divisor = (highest or np.abs(a + b).max()) / 0.8
        np.testing.assert_allclose(found["mixture"], (a + b) / divisor, rtol=1e-6)
        np.testing.assert_allclose(found["a"], a / divisor, rtol=1e-6)


def test_datasets_get_the_same_samples(files: Path) -> None:
    record = mixture({name: event(files, name) for name in ("a", "b")})
    steps = render(record, {"here": files}, FORMATS["wav16"]).steps
    for name, samples in rendered(files, record, "wav16").items():
        np.testing.assert_array_equal(steps[name][0], samples)


def test_what_cannot_be_rendered_is_one_sentence(files: Path) -> None:
    for steps, sentence in (
        ([{"channel": 1}], "has no channel 1, counted from 0"),
        ([{"resample_poly": 8000}], r"has 1 channel\(s\) at 8000 Hz after its steps"),
        ([{"extend": {"frames": 9000, "crossfade": 4000}}], "needs more than the 4000"),
    ):
        with pytest.raises(InputError, match=sentence):
            rendered(files, mixture({"s1": event(files, "a", steps)}))
    with pytest.raises(InputError, match=r"has 2 channel\(s\) at 16000 Hz"):
        rendered(files, mixture({"s1": event(files, "pair")}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arithmetic": None, "clip": {"rule": "joint"}}, "need `arithmetic`"),
        ({"arithmetic": None}, "need `arithmetic`"),
        ({"clip": {"rule": "joint"}}, "needs the clip rule `headroom` or `none`"),
        (
            {"arithmetic": {"numbers": "float32", "sum_of": "files", "order": ["s2"]}},
            "name every source once",
        ),
        ({"degradations": [{"name": "quantise", "bits": 8}]}, "has no room, echo, enrolment"),
    ],
)
def test_records_that_make_no_sense_are_refused(files: Path, changes: Step, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        mixture({"s1": event(files, "a", [{"multiply": 0.5}])}, **changes)


@pytest.mark.parametrize(
    "step", [{}, {"multiply": 1.0, "skip": 1}, {"multiply": None}, {"divide": 0.0}, {"skip": -1}]
)
def test_a_step_is_one_operation(files: Path, step: Step) -> None:
    with pytest.raises(InputError, match="steps"):
        mixture({"s1": event(files, "a", [step])})
