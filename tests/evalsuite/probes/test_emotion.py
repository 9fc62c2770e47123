"""The judge of emotion, on voices that are made: high and low ones stand for two emotions."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from evalsuite import cli
from evalsuite.metrics import evaluate, select, table
from evalsuite.metrics.outcome import Missing
from evalsuite.probes.emotion.features import (
    HOP,
    PITCH,
    acoustic_features,
    features,
    prepared,
    word_numbers,
)
from evalsuite.probes.emotion.folder import load, read_meta
from evalsuite.probes.emotion.network import EmotionNetwork
from evalsuite.probes.emotion.training import (
    Clip,
    Described,
    collated,
    describe,
    leave_talkers_out,
    predicted,
    train,
    uar,
)
from mixgen.core.errors import InputError
from mixgen.core.files import sha256_file
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source

Array = NDArray[np.float64]

RATE = 16000
EMOTIONS = ["anger", "sadness"]
HZ = {"anger": 300.0, "sadness": 110.0}
CODES = {"anger": "W", "sadness": "T"}
TALKERS = ("03", "08", "09", "10")


def voice(hz: float, seconds: float = 0.4, seed: int = 0) -> Array:
    """Return harmonics of a pitch with a little noise, (time,)."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * n * hz * time_s) / n for n in range(1, 9))
    noise = np.random.default_rng(seed).standard_normal(len(time_s))
    return np.asarray(0.05 * tones + 0.0005 * noise)


@pytest.fixture(scope="module")
def described() -> list[Described]:
    """Two emotions of four talkers, whose sentences say nothing of them."""
    clips = [
        Clip(emotion, talker, voice(hz * (1 + 0.03 * k), seed=k).astype(np.float32), "one sentence")
        for k, talker in enumerate(TALKERS)
        for emotion, hz in HZ.items()
        for _ in range(2)
    ]
    return [describe(clip, ["acoustic", "text"]) for clip in clips]


@pytest.mark.parametrize("hz", [90.0, 155.0, 400.0])
def test_pitch_and_harmonicity_of_a_voice(hz: float) -> None:
    found = acoustic_features(voice(hz).astype(np.float32))
    middle = found[10:-10]
    assert found.shape == (1 + (round(0.4 * RATE) - 1) // HOP, 36)
    # The period is a whole number of samples.
    np.testing.assert_allclose(np.exp(middle[:, 0]), hz, rtol=0.5 * hz / RATE + 1e-3)
    assert middle[:, 1].max() < 0.01  # jitter
    assert middle[:, 2].max() < 0.1  # shimmer
    assert middle[:, 3].min() > 10.0  # dB


def test_noise_has_no_pitch() -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    found = acoustic_features(noise)
    assert np.mean(found[:, 0] > 0) < 0.05
    assert found[:, 3].mean() < 0.0


def test_slopes_are_those_of_a_line() -> None:
    found = acoustic_features(voice(200.0).astype(np.float32)).astype(np.float64)
    static, slopes = found[:, :18], found[:, 18:]
    for frame in (5, 20):
        line = np.polynomial.polynomial.polyfit(np.arange(-2, 3), static[frame - 2 : frame + 3], 1)
        np.testing.assert_allclose(slopes[frame], line[1], atol=1e-4)


def test_padding_and_level_are_not_heard() -> None:
    samples = voice(200.0).astype(np.float32)
    padded = np.pad(samples, (5 * HOP, 40 * HOP))
    expected = prepared(samples)
    np.testing.assert_allclose(prepared(padded), expected, atol=1e-6)
    np.testing.assert_allclose(prepared(0.1 * samples), expected, atol=1e-6)
    assert prepared(padded)[-1] != 0.0  # there is a floor of noise


@pytest.mark.parametrize("samples", [np.zeros(5000), np.zeros(1), np.ones(1), voice(200.0)[:50]])
def test_silence_and_short_signals_have_features(samples: Array) -> None:
    found = features("acoustic", samples.astype(np.float32))
    assert len(found) >= PITCH // HOP
    assert np.isfinite(found).all()


def test_words_are_numbers_that_do_not_depend_on_case() -> None:
    assert word_numbers("Der Lappen.").tolist() == word_numbers("der, LAPPEN").tolist()
    assert word_numbers("").tolist() == [[0.0]]
    assert len(np.unique(word_numbers("eins zwei drei"))) == 3


def test_what_fills_a_batch_up_is_not_heard() -> None:
    torch.manual_seed(0)
    network = EmotionNetwork(["encoder", "acoustic", "text"], 3).eval()
    rng = np.random.default_rng(0)

    def clip(frames: int) -> Described:
        kinds = {"encoder": 384, "acoustic": 36}
        found = {
            kind: rng.standard_normal((frames, n)).astype(np.float32) for kind, n in kinds.items()
        }
        return Described("", "", {**found, "text": word_numbers("a b c"[: 2 * (frames % 3) + 1])})

    clips = [clip(n) for n in (7, 30, 12)]
    kinds = list(network.branches)
    with torch.no_grad():
        together = network(collated(clips, kinds))
        alone = torch.cat([network(collated([one], kinds)) for one in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kinds", "fusion"),
    [(["acoustic"], "joint"), (["acoustic", "text"], "joint"), (["acoustic", "text"], "frozen")],
)
def test_voices_are_told_apart_on_other_talkers(
    kinds: list[str], fusion: str, described: list[Described]
) -> None:
    def trained(part: list[Described]) -> EmotionNetwork:
        return train(part, EMOTIONS, kinds, fusion=fusion, epochs=30)  # type: ignore[arg-type]

    found = leave_talkers_out(described, {"clean": described}, trained, EMOTIONS, folds=2)  # type: ignore[arg-type]
    assert found == {"clean": 1.0}


def test_text_that_is_the_same_for_all_emotions_is_at_chance(described: list[Described]) -> None:
    network = train(described, EMOTIONS, ["text"], epochs=3)
    heard = [EMOTIONS[predicted(network, clip)] for clip in described]
    assert uar([clip.emotion for clip in described], heard) == 0.5


def test_a_seed_gives_the_same_network(described: list[Described]) -> None:
    first, second = (train(described, EMOTIONS, ["acoustic"], epochs=2) for _ in range(2))
    other = train(described, EMOTIONS, ["acoustic"], epochs=2, seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert not torch.equal(first.head.weight, other.head.weight)


def test_frozen_branches_do_not_change(described: list[Described]) -> None:
    single = train(described, EMOTIONS, ["acoustic"], epochs=2)
    fused = train(
        described,
        EMOTIONS,
        ["acoustic", "text"],
        fusion="frozen",
        epochs=2,
        singles={"acoustic": single},
    )
    for name, value in fused.branches["acoustic"].state_dict().items():
        assert torch.equal(value, single.branches["acoustic"].state_dict()[name])


def test_uar_weighs_emotions_alike() -> None:
    assert uar(["a"] * 8 + ["b"] * 2, ["a"] * 10) == 0.5
    assert uar(["a", "a", "b"], ["a", "b", "b"]) == 0.75


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of EmoDB, indexed: its sources.csv."""
    root = tmp_path_factory.mktemp("emodb")
    for number, talker in enumerate(TALKERS):
        for emotion, hz in HZ.items():
            for version in "ab":
                path = root / "wav" / f"{talker}a01{CODES[emotion]}{version}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, voice(hz * (1 + 0.03 * number), 0.6, number), RATE)
    from mixgen.corpora.index import index_corpus
    from mixgen.corpora.layout import get_layout
    from mixgen.corpora.roots import write_roots
    from mixgen.corpora.sources import write_sources

    found = index_corpus(get_layout("emodb"), root, corpus="emodb")
    write_sources(root / "sources.csv", found.rows)
    write_roots(root, {"emodb": root})
    return root / "sources.csv"


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["evalsuite", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def record(emotions: list[str]) -> Mixture:
    def source(number: int, emotion: str) -> Source:
        event = Event(
            corpus="emodb",
            path=f"wav/03a01{CODES[emotion]}a.wav",
            sha256="0" * 64,
            source_time=0.0,
            event_time=0.0,
            event_duration=0.6,
            snr=0.0,
        )
        return Source(
            name=f"s{number}",
            role="target",
            label=str(number),
            kind="speech",
            events=[event],
            gain=Gain(rule="energy"),
        )

    return Mixture(
        id="m",
        split="test",
        sample_rate=RATE,
        channels=1,
        frames=9600,
        seed=1,
        sources=[source(n, emotion) for n, emotion in enumerate(emotions)],
        level=Level(reference_db=-30.0),
        targets=[f"s{n}" for n in range(len(emotions))],
    )


def test_a_trained_classifier_judges_a_set(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "judge"
    options = ("--out", folder, "--hear", "acoustic", "--validate")
    assert call(monkeypatch, "train-emotion", corpus, *options) == 0
    printed = capsys.readouterr()
    assert "UAR 1.000 of 2 emotions" in printed.err
    assert f"A classifier of anger, sadness, trained on 16 clips, is in {folder}." in printed.out
    meta = read_meta(folder)
    assert (meta.emotions, meta.n_clips, len(meta.talkers)) == (EMOTIONS, 16, 4)
    assert load(folder) is load(folder)

    (metric,) = select(task="speech_separation", sample_rate=RATE, metrics=[f"emotion@{folder}"])
    assert meta.weights_sha256 in json.dumps(metric.spec())
    references = np.stack([voice(HZ[e], 0.6)[None] for e in ("anger", "sadness", "sadness")])
    # The first is heard, the second is not, the third is missing.
    estimates = [references[0], voice(305.0, 0.6)[None] + 0.3 * references[1], None]
    scores = evaluate(
        references=references,
        estimates=estimates,
        mixture=references.sum(axis=0),
        sample_rate=RATE,
        metrics=[metric.name],
        record=record(["anger", "sadness", "sadness"]),
    )
    tallies = scores.mixture.tallies
    assert tallies["emotion_sadness_n"] == tallies["emotion_clean_sadness_right"] == 2.0
    values = metric.score(tallies)  # type: ignore[attr-defined]
    assert (values["emotion_uar"], values["emotion_uar_clean"]) == (0.5, 1.0)
    assert isinstance(metric.score({})["emotion_uar"], Missing)  # type: ignore[attr-defined]

    assert call(monkeypatch, "train-emotion", corpus, *options) == 2
    assert "exists: give another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--hear", "smell"), "There is no kind of features 'smell'"),
        (("--fusion", "late"), "There is no fusion 'late'"),
        (("--emotions", "joy"), "No source is spoken with such an emotion"),
        (("--emotions", "anger", "--hear", "text"), "The sources have the emotion anger alone"),
    ],
)
def test_bad_requests_are_refused(
    options: tuple[str, ...],
    sentence: str,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, "train-emotion", corpus, "--out", tmp_path / "x", *options) in (2, 3)
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_without_a_classifier_the_reason_says_how_to_get_one() -> None:
    metric = table()["emotion"]
    found = metric.score({})["emotion_uar"]  # type: ignore[attr-defined]
    assert str(found).startswith("not_installed: train one with `evalsuite train-emotion")
    with pytest.raises(InputError, match=r"holds no classifier of emotion \(no emotion\.json\)"):
        select(task="speech_separation", sample_rate=RATE, metrics=["emotion@nowhere"])


def test_changed_weights_are_refused(described: list[Described], tmp_path: Path) -> None:
    from evalsuite.probes.emotion.folder import WEIGHTS_FILE, save

    network = train(described, EMOTIONS, ["text"], epochs=1)
    meta = {
        "emotions": EMOTIONS,
        "kinds": ["text"],
        "fusion": "joint",
        "encoder_sha256": "",
        "epochs": 1,
        "seed": 0,
        "n_clips": 16,
        "talkers": list(TALKERS),
    }
    save(tmp_path / "judge", network, meta)
    weights = tmp_path / "judge" / WEIGHTS_FILE
    assert read_meta(tmp_path / "judge").weights_sha256 == sha256_file(weights)
    save(tmp_path / "other", network, meta)
    (tmp_path / "other" / WEIGHTS_FILE).write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(InputError, match="was changed after training: train it again"):
        read_meta(tmp_path / "other")
