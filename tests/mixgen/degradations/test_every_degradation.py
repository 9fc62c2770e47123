"""Properties of every degradation: same shape, no delay, no randomness, no NaN."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.signal import correlate

from mixgen import degradations
from mixgen.audio.read import Samples
from mixgen.core.errors import InputError, SuiteError
from mixgen.core.records import Record, parse_record
from mixgen.core.registry import collect
from mixgen.degradations import DEGRADATIONS, Degradation, DegradationRule
from mixgen.degradations.degradation import DegradationKind
from tests.mixgen.degradations.conftest import Syllables

EXAMPLES: list[dict[str, Any]] = [
    {"name": "band", "high_hz": 3400.0},
    {"name": "band", "low_hz": 300.0, "order": 2},
    {"name": "band", "low_hz": 20.0, "high_hz": 2000.0, "order": 16},
    {"name": "clipping", "quantile": 0.8},
    {"name": "clipping", "below_peak_db": 12.0, "shape": "soft"},
    {"name": "codec", "codec": "mp3", "quality": 0.5},
    {"name": "codec", "codec": "mp3", "quality": 0.0},
    {"name": "codec", "codec": "vorbis", "quality": 0.5},
    {"name": "codec", "codec": "opus", "quality": 0.5},
    {"name": "codec", "codec": "mulaw"},
    {"name": "codec", "codec": "alaw"},
    {"name": "packet_loss", "loss_rate": 0.2, "mean_burst": 2.0, "seed": 7},
    {
        "name": "packet_loss",
        "loss_rate": 0.2,
        "mean_burst": 2.0,
        "seed": 7,
        "concealment": "repeat",
    },
    {"name": "quantise", "bits": 8},
    {"name": "quantise", "bits": 8, "dither": "tpdf", "seed": 3},
]
RULES: list[dict[str, Any]] = [
    {"name": "band", "low_hz": ["uniform", 50, 300], "high_hz": ["choose", [3400, 7000]]},
    {"name": "clipping", "quantile": ["uniform", 0.8, 1], "shape": ["hard", "soft"]},
    {"name": "codec", "codec": ["mp3", "opus", "mulaw"], "quality": ["uniform", 0, 1]},
    {"name": "packet_loss", "loss_rate": ["uniform", 0, 0.3], "mean_burst": ["uniform", 1, 3]},
    {"name": "quantise", "bits": ["choose", [8, 12, 16]], "dither": "tpdf"},
]


class Chain(Record):
    """A record whose fields are the two unions."""

    degradations: tuple[Degradation, ...] = ()
    rules: tuple[DegradationRule, ...] = ()


def of(data: dict[str, Any]) -> Degradation:
    """Return the record that `data` describes."""
    return Chain.model_validate({"degradations": [data]}).degradations[0]


def ids(data: dict[str, Any]) -> str:
    return "-".join(str(value) for value in data.values())


every_example = pytest.mark.parametrize("example", EXAMPLES, ids=ids)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])


def test_every_degradation_has_an_example_and_a_rule_here() -> None:
    assert {example["name"] for example in EXAMPLES} == set(DEGRADATIONS)
    assert [rule["name"] for rule in RULES] == list(DEGRADATIONS)


def test_names_are_those_of_the_modules_and_of_both_records() -> None:
    for name, kind in DEGRADATIONS.items():
        record, rule = kind.record, kind.rule
        assert record.__module__ == rule.__module__ == f"mixgen.degradations.{name}"
        assert record.model_fields["name"].annotation == rule.model_fields["name"].annotation
        assert record.model_fields["name"].is_required()
        assert rule.model_fields["name"].is_required()


def test_two_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = "import dataclasses\nfrom mixgen.degradations import band\n"
    again += "DEGRADATION = dataclasses.replace(band.DEGRADATION)\n"
    (tmp_path / "again.py").write_text(again)
    monkeypatch.setattr(degradations, "__path__", [*degradations.__path__, str(tmp_path)])
    with pytest.raises(SuiteError, match="Two entries of DegradationKind are called 'band'"):
        collect("mixgen.degradations", DegradationKind)
    sys.modules.pop("mixgen.degradations.again")


@every_example
@pytest.mark.parametrize("sample_rate", [8000, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_shape_stays_and_all_samples_are_finite(
    example: dict[str, Any], sample_rate: int, channels: int, syllables: Syllables
) -> None:
    for frames in (1, 2, sample_rate // 10, sample_rate // 2 + 7):
        samples = syllables(channels, frames, sample_rate)
        given = samples.copy()
        degraded = of(example).apply(samples, sample_rate)
        assert degraded.shape == samples.shape
        assert degraded.dtype == np.float64
        assert np.isfinite(degraded).all()
        assert not np.shares_memory(degraded, samples)
        np.testing.assert_array_equal(samples, given)


@every_example
def test_silence_stays_silent(example: dict[str, Any]) -> None:
    degraded = of(example).apply(np.zeros((2, 16000)), 16000)
    # Dither may add one step of 8 bits, and A-law has no 0 but a smallest word.
    assert np.abs(degraded).max() <= 2**-7


@every_example
@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_no_delay(example: dict[str, Any], sample_rate: int, syllables: Syllables) -> None:
    samples = syllables(1, 2 * sample_rate, sample_rate)
    degraded = of(example).apply(samples, sample_rate)
    assert lag(samples[0], degraded[0]) == 0


def lag(reference: Samples, degraded: Samples) -> int:
    """Return the delay of `degraded` in samples."""
    correlation = correlate(degraded, reference, method="fft")
    return int(correlation.argmax()) - (len(reference) - 1)


@every_example
def test_every_degradation_changes_the_signal(
    example: dict[str, Any], syllables: Syllables
) -> None:
    samples = syllables(1, 16000, 16000)
    assert np.abs(of(example).apply(samples, 16000) - samples).max() > 1e-3


def test_same_bytes_in_another_process(syllables: Syllables) -> None:
    samples = syllables(2, 8000, 16000)
    script = (
        "import hashlib, json, sys, numpy as np\n"
        "from pydantic import TypeAdapter\n"
        "from mixgen.degradations import Degradation\n"
        "samples = np.frombuffer(sys.stdin.buffer.read()).reshape(2, -1)\n"
        "for record in TypeAdapter(list[Degradation]).validate_json(sys.argv[1]):\n"
        "    print(hashlib.sha256(record.apply(samples, 16000).tobytes()).hexdigest())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, json.dumps(EXAMPLES)],
        input=samples.tobytes(),
        capture_output=True,
        check=True,
        cwd=Path(degradations.__file__).parents[2],
    )
    here = [hashlib.sha256(of(e).apply(samples, 16000).tobytes()).hexdigest() for e in EXAMPLES]
    assert ran.stdout.decode().split() == here


def test_records_are_the_same_after_a_round_trip_through_json() -> None:
    chain = Chain.model_validate({"degradations": EXAMPLES, "rules": RULES})
    assert Chain.model_validate_json(json.dumps(chain.as_dict())) == chain
    assert [type(d).__name__ for d in chain.degradations[:4]] == [*["Band"] * 3, "Clipping"]


def test_a_dump_without_defaults_keeps_the_names() -> None:
    dumped = Chain.model_validate({"rules": RULES}).model_dump(exclude_defaults=True)
    assert [rule["name"] for rule in dumped["rules"]] == list(DEGRADATIONS)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "bnad", "high_hz": 3.0}, "expected tags: 'band', 'clipping', 'codec'"),
        ({"high_hz": 3.0}, "discriminator 'name'"),
        ({"name": "band", "hihg_hz": 3.0}, "degradations.0.band.hihg_hz: Extra inputs"),
        ({"name": "band", "low_hz": float("nan")}, "finite number"),
        ({"name": "band"}, "a band needs `low_hz`, `high_hz` or both"),
        ({"name": "band", "high_hz": 100.0, "low_hz": 200.0}, "low_hz (200) must be below"),
        ({"name": "clipping"}, "clipping needs either `quantile` or `below_peak_db`"),
        ({"name": "clipping", "quantile": 0.5, "below_peak_db": 1.0}, "needs either"),
        ({"name": "clipping", "quantile": 1.5}, "less than or equal to 1"),
        ({"name": "codec", "codec": "mp3"}, "the codec mp3 needs a quality"),
        ({"name": "codec", "codec": "alaw", "quality": 0.5}, "the codec alaw has no quality"),
        ({"name": "codec", "codec": "wma", "quality": 0.5}, "'mp3', 'vorbis', 'opus', 'mulaw'"),
        ({"name": "packet_loss", "loss_rate": 0.6, "mean_burst": 1, "seed": 0}, "at most 0.5 of"),
        ({"name": "packet_loss", "loss_rate": 0.1, "mean_burst": 1}, "seed: Field required"),
        ({"name": "quantise", "bits": 25}, "less than or equal to 24"),
    ],
)
def test_values_that_are_not_valid_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as error:
        parse_record(Chain, {"degradations": [given]}, "line 2")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@every_rule
def test_draws_are_records_that_depend_on_the_seed_alone(rule: dict[str, Any]) -> None:
    drawn = [read_rule(rule).draw(seed) for seed in range(20)]
    assert drawn == [read_rule(rule).draw(seed) for seed in range(20)]
    assert {type(record) for record in drawn} == {DEGRADATIONS[rule["name"]].record}
    assert len({repr(record) for record in drawn}) > 5


def read_rule(data: dict[str, Any]) -> DegradationRule:
    return TypeAdapter(DegradationRule).validate_python(data)


@every_rule
def test_the_probability_decides_how_often_a_rule_draws(rule: dict[str, Any]) -> None:
    sometimes = read_rule({**rule, "probability": 0.3})
    drawn = [sometimes.draw(seed) for seed in range(500)]
    happened = sum(record is not None for record in drawn)
    assert abs(happened - 150) < 4 * np.sqrt(500 * 0.3 * 0.7)
    always = read_rule(rule)
    assert all(record in (None, always.draw(seed)) for seed, record in enumerate(drawn))
    assert read_rule({**rule, "probability": 0.0}).draw(1) is None


def test_parameters_do_not_shift_one_another() -> None:
    edges = {"name": "band", "high_hz": ["uniform", 3000, 4000]}
    both = {**edges, "low_hz": ["uniform", 50, 300]}
    drawn = [(read_rule(edges).draw(s), read_rule(both).draw(s)) for s in range(10)]
    assert all(one.high_hz == two.high_hz for one, two in drawn)


def test_parameters_are_independent() -> None:
    rule = {"name": "band", "low_hz": ["uniform", 0.001, 1], "high_hz": ["uniform", 2, 3]}
    drawn = [read_rule(rule).draw(seed) for seed in range(500)]
    correlation = np.corrcoef([d.low_hz for d in drawn], [d.high_hz for d in drawn])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(500)


def test_choices_are_as_frequent_as_one_another() -> None:
    rule = read_rule({"name": "codec", "codec": ["mulaw", "alaw"]})
    drawn = [rule.draw(seed).codec for seed in range(500)]
    assert abs(drawn.count("mulaw") - 250) < 4 * np.sqrt(500 / 4)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"name": "band", "high_hz": ["const", -5]}, "high_hz: Input should be greater than 0"),
        ({"name": "quantise", "bits": ["const", 12.5]}, "bits: Input should be a valid integer"),
        (
            {"name": "packet_loss", "loss_rate": ["const", 0.9], "mean_burst": ["const", 2]},
            "bursts of 2 packets",
        ),
    ],
)
def test_draws_out_of_range_are_refused(rule: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match="change its distributions") as error:
        read_rule(rule).draw(0)
    assert reason in str(error.value)


def test_scaper_is_not_imported_for_reading_or_applying() -> None:
    code = "import sys, mixgen.degradations; sys.exit('scaper' in sys.modules)"
    root = Path(degradations.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
