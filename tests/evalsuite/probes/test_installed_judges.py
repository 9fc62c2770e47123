"""Judges that are installed, on real speech; docs/judges.md says how to install them."""

import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from evalsuite.metrics import ItemScores, evaluate, table
from evalsuite.metrics.evaluation import MixtureScores
from evalsuite.metrics.table import judges
from evalsuite.probes import aecmos, dnsmos, talker
from evalsuite.probes._recognisers import WHISPER_WEIGHTS
from evalsuite.probes._weights import Weights
from mixgen.audio.read import as_long
from mixgen.core.errors import MachineError
from mixgen.manifest.mixture import Part
from tests.evalsuite.metrics.conftest import echo_record

Array = NDArray[np.float64]

RATE = 16000
ON_SIGNALS = ("dwer", "talker_sim", "talker_confusion", "dnsmos", "distillmos", "visqol")
LEVEL = 0.05


def needs(name: str) -> None:
    """Skip the test where what a metric needs is not installed."""
    lacks = table()[name].lacks
    if lacks:
        pytest.skip(f"{name} needs {', '.join(lacks)}: see docs/judges.md")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges load without a network."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("a judge opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def talkers(real_data: Path) -> Array:
    """Two talkers of LibriSpeech, 4 s each at 16 kHz, shape (2, 1, time)."""
    folder = real_data / "speech" / "librispeech-resemblyzer" / "test-other"
    files = sorted(folder.rglob("*-0001.flac"))[:2]
    signals = [soundfile.read(path, frames=4 * RATE)[0] for path in files]
    scaled = [LEVEL * s / np.sqrt(np.mean(np.square(s))) for s in signals]
    return np.stack([np.pad(s, (0, 4 * RATE - len(s))) for s in scaled])[:, None]


def score(
    references: Array, estimates: list[Array], metric: str, sample_rate: int = RATE
) -> ItemScores:
    return evaluate(
        references=references,
        estimates=estimates,
        mixture=references.sum(axis=0),
        sample_rate=sample_rate,
        names=[f"s{index}" for index in range(len(references))],
        metrics=[metric],
    )


@pytest.mark.parametrize("name", ON_SIGNALS)
def test_separated_speech_is_better_than_a_mixture(name: str, talkers: Array) -> None:
    needs(name)
    metric = table()[name]
    mixture = talkers.sum(axis=0)
    good = score(talkers, list(talkers + 0.03 * talkers[::-1]), name)
    bad = score(talkers, [mixture, mixture], name)
    for column in metric.columns:
        means = [np.mean([r.values[column] for r in s.references]) for s in (good, bad)]  # type: ignore[misc]
        assert means[0] > means[1] if metric.higher_is_better else means[0] < means[1]


@pytest.mark.parametrize("name", ON_SIGNALS)
def test_the_same_signals_get_the_same_values(name: str, talkers: Array) -> None:
    needs(name)
    estimates = list(talkers + 0.2 * talkers[::-1])
    first, second = (score(talkers, estimates, name).references for _ in range(2))
    assert [r.values for r in first] == [r.values for r in second]


@pytest.mark.parametrize("name", ON_SIGNALS)
def test_hostile_signals_get_numbers_or_reasons(name: str, talkers: Array) -> None:
    """Silence, one sample, 8 kHz, two channels, levels beyond those of float32."""
    needs(name)
    columns = table()[name].columns
    quarter = talkers[..., : RATE // 4]
    cases = (
        (talkers, list(np.zeros_like(talkers)), RATE),
        (np.zeros_like(talkers), list(talkers), RATE),
        (talkers[..., 9000:9001], list(talkers[..., 9000:9001]), RATE),
        (quarter, list(quarter), RATE),
        (talkers[..., ::2], list(talkers[..., ::2]), RATE // 2),
        (talkers, [1e160 * talkers[0], 1e-160 * talkers[1]], RATE),
        (np.concatenate([talkers, 0 * talkers], axis=1),) * 2 + (RATE,),
    )
    for references, estimates, rate in cases:
        for found in score(references, list(estimates), name, rate).references:
            for column in columns:
                value = found.values[column]
                assert (value is None) == (column in found.reasons)
                assert value is None or np.isfinite(value)


def test_dnsmos_is_that_of_its_package(talkers: Array) -> None:
    needs("dnsmos")
    from speechmos import dnsmos as peer

    samples = talkers[0, 0].astype(np.float32)
    expected = peer.run(samples, RATE)
    (found, _) = score(talkers, list(talkers), "dnsmos").references
    for column, key in dnsmos._KEYS.items():
        assert found.values[column] == pytest.approx(float(expected[key]), abs=1e-5)


def test_talker_identity_is_that_of_its_package(talkers: Array) -> None:
    needs("talker_sim")
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    mixture = talkers.sum(axis=0)
    voices = [
        encoder.embed_utterance(preprocess_wav(s.astype(np.float32)))
        for s in (*talkers[:, 0], mixture[0])
    ]
    found = score(talkers, [mixture, mixture], "talker_sim").references
    for reference, own in zip(found, voices[:2], strict=True):
        assert reference.values["talker_sim"] == pytest.approx(float(own @ voices[2]), abs=1e-5)


def test_a_swapped_talker_is_confused(talkers: Array) -> None:
    needs("talker_confusion")
    swapped = score(talkers, list(talkers[::-1]), "talker_confusion")
    right = score(talkers, list(talkers), "talker_confusion")
    assert [r.values["talker_confusion"] for r in swapped.references] == [1.0, 1.0]
    assert [r.values["talker_confusion"] for r in right.references] == [0.0, 0.0]
    alone = score(talkers[:1], list(talkers[:1]), "talker_confusion").references[0]
    assert alone.reasons == {"talker_confusion": "one_reference"}


def test_aecmos_hears_the_echo_that_is_left(talkers: Array) -> None:
    needs("aecmos")
    near, far = talkers
    echo = 0.7 * np.roll(far, 200, axis=-1)
    others = {"echo": echo, "echo_far_end": far}

    def scored(left: float) -> ItemScores:
        return evaluate(
            references=near[None],
            estimates=[near + left * echo],
            mixture=near + echo,
            sample_rate=RATE,
            metrics=["aecmos"],
            record=echo_record(near + echo, sample_rate=RATE, n_near=1),
            read=others.__getitem__,
        )

    clean, echoing = (scored(left).mixture.values["aecmos_echo"] for left in (0.0, 1.0))
    assert clean is not None
    assert echoing is not None
    assert clean > echoing + 0.5


@pytest.mark.parametrize("frames", [4 * RATE - 800, 4 * RATE + 800])
def test_aecmos_of_an_imported_recording(frames: int, talkers: Array) -> None:
    """Its far end has another length; without a file of the echo, nothing tells who talks."""
    needs("aecmos")
    near, far = talkers
    echo, far_end = 0.7 * np.roll(far, 200, axis=-1), as_long(far, frames)
    drawn = echo_record(near + echo, sample_rate=RATE, n_near=1)

    def scored(parts: list[Part], far_end: Array) -> MixtureScores:
        source = drawn.sources[-1].model_copy(update={"echo": None, "parts": parts})
        return evaluate(
            references=near[None],
            estimates=[near + echo],
            mixture=near + echo,
            sample_rate=RATE,
            metrics=["aecmos"],
            record=drawn.model_copy(update={"sources": [*drawn.sources[:-1], source]}),
            read={"echo": echo, "echo_far_end": far_end}.__getitem__,
        ).mixture

    found = scored(["image", "far_end"], far_end)
    assert found.values["aecmos_echo"] is not None
    assert found.values == scored(["image", "far_end"], as_long(far_end, 4 * RATE)).values
    unknown = scored(["far_end"], far_end)
    assert unknown.reasons["aecmos_degradation"].startswith("not_applicable: no echo alone")


def test_aecmos_without_an_echo_has_no_value(talkers: Array) -> None:
    needs("aecmos")
    scores = score(talkers, list(talkers), "aecmos").mixture
    assert scores.reasons == dict.fromkeys(aecmos.COLUMNS, "not_applicable: no far-end signal")


@pytest.mark.parametrize("name", sorted(judges()))
def test_what_is_not_installed_is_a_reason(
    name: str, talkers: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = judges()[name]
    if name == "emotion":
        pytest.skip("emotion needs a classifier, which is trained")
    monkeypatch.setattr("evalsuite.metrics.metric.installed_version", lambda _: "not installed")
    scores = score(talkers, list(talkers), name)
    values = scores.references[0] if metric.scope == "reference" else scores.mixture
    for column in metric.columns:
        assert values.reasons[column] == f"not_installed: {metric.install}"


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "weighty"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model.bin").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    weights = Weights("weighty==1.0", "weighty", "model.bin", "0" * 64)
    with pytest.raises(MachineError, match=r"not the file of weights .* weighty==1\.0"):
        weights.file()
    missing = Weights("weighty==1.0", "weighty", "none.bin", "0" * 64)
    with pytest.raises(MachineError, match=r"The package weighty has no file none\.bin: pip"):
        missing.file()


def test_installed_weights_are_the_pinned_ones() -> None:
    for name, weights in (
        ("dwer@whisper", WHISPER_WEIGHTS),
        ("talker_sim", talker.WEIGHTS),
        ("dnsmos", dnsmos.WEIGHTS),
        ("dnsmos", dnsmos.P808_WEIGHTS),
        ("aecmos", aecmos.WEIGHTS),
    ):
        if not judges()[name.partition("@")[0]].lacks:
            assert weights.file().is_file()
