"""SMS-WSJ: every sample against the slow reference, its rooms, and what may be wrong with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError, UsageError
from mixgen.dataset import ManifestDataset, RenderedDataset
from mixgen.manifest.file import read_manifest
from mixgen.manifest.published import WhiteNoise
from mixgen.manifest.uses import file_uses
from mixgen.published.importing import Imported
from mixgen.published.render import render_in_layout
from mixgen.published.sms_wsj import import_smswsj
from mixgen.render.steps import white_noise
from mixgen.report import make_report
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import SmsWsj, write_smswsj
from tests.oracles.compare import differing_samples
from tests.oracles.corpora import Recordings
from tests.oracles.smswsj import smswsj as smswsj_oracle

NAME = "0_4k6c0303_4k4c0319"


def _import(given: SmsWsj, out: Path, **options: Any) -> Imported:
    options = {"rirs": given.rirs} | options
    return import_smswsj(given.database, given.wsj, out, **options)


@pytest.fixture(scope="module")
def expected(smswsj: SmsWsj, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the reference."""
    folder = tmp_path_factory.mktemp("expected")
    smswsj_oracle(smswsj.database, smswsj.wsj, smswsj.rirs, folder)
    return folder


def test_every_sample_is_that_of_the_reference(
    smswsj: SmsWsj, expected: Path, tmp_path: Path
) -> None:
    assert _import(smswsj, tmp_path / "M.jsonl").mixtures == 3
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "smswsj")
    found = differing_samples(expected, tmp_path / "out")
    assert len(found) == 3 * (2 + 2 * 4)
    assert set(found.values()) == {0}
    assert verify_set(tmp_path / "out", deep=True) == []


def test_every_sample_of_real_speech(tmp_path: Path, real_data: Path) -> None:
    """Utterances at 8 kHz and zero mean, as the set's own script converts WSJ."""
    recordings = Recordings(real_data)

    def speech(_name: str, frames: int) -> np.ndarray:
        samples = recordings.speech(2 * frames)[::2]
        return samples - samples.mean()

    given = write_smswsj(tmp_path / "in", speech)
    smswsj_oracle(given.database, given.wsj, given.rirs, tmp_path / "expected")
    _import(given, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "smswsj")
    found = differing_samples(tmp_path / "expected", tmp_path / "out")
    assert len(found) == 30
    assert set(found.values()) == {0}


def test_a_mixture_is_its_parts(smswsj: SmsWsj, tmp_path: Path) -> None:
    """Early and tail are the image, and the talkers have the levels of the database."""
    _import(smswsj, tmp_path / "M.jsonl", subset=["cv_dev93"])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "smswsj")
    entry = json.loads(smswsj.database.read_text())["datasets"]["cv_dev93"][NAME]

    def read(kind: str, number: str = "") -> np.ndarray:
        path = tmp_path / "out" / kind / "cv_dev93" / f"{NAME}{number}.wav"
        samples, rate = read_audio(path)
        assert rate == 8000
        return samples

    images = [read("speech_image", f"_{k}") for k in range(2)]
    for k, image in enumerate(images):
        parts = read("early", f"_{k}") + read("tail", f"_{k}")
        np.testing.assert_allclose(parts, image, atol=1e-7)
        level_db = 20 * np.log10(image.std() * 71)
        assert level_db == pytest.approx(entry["log_weights"][k], abs=1e-5)
        assert read("speech_source", f"_{k}").shape == (1, entry["num_samples"]["observation"])
    noise, clean = read("noise"), images[0] + images[1]
    np.testing.assert_allclose(clean + noise, read("observation"), atol=1e-7)
    snr_db = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
    record = read_manifest(tmp_path / "M.jsonl").mixtures[0]
    assert record.sources[-1].generated is not None
    assert snr_db == pytest.approx(record.sources[-1].generated.snr_db, abs=1e-4)
    assert 20 < snr_db < 30
    assert abs(np.corrcoef(noise)[0, 1]) < 0.05


def test_records_say_where_everything_is(smswsj: SmsWsj, tmp_path: Path) -> None:
    _import(smswsj, tmp_path / "M.jsonl")
    manifest = read_manifest(tmp_path / "M.jsonl")
    assert (manifest.header.name, manifest.header.format) == ("sms_wsj", "wav_float")
    first = manifest.mixtures[0]
    assert (first.id, first.split, first.channels, first.frames) == (NAME, "valid", 6, 12000)
    assert [source.role for source in first.sources] == ["target", "target", "background"]
    assert [source.label for source in first.sources] == ["4k6", "4k4", "noise"]
    assert first.targets == ["s1", "s2"]
    event = first.sources[0].events[0]
    assert event.event_time == 1293 / 8000
    assert event.text.startswith("THE NOTE ON THE DOOR")
    assert [step.name for step in event.steps] == ["spatialise", "place", "rescale"]
    assert {use.kind for use in file_uses(first)} == {"speech", "rir"}
    assert manifest.mixtures[2].split == "test"
    _import(smswsj, tmp_path / "E.jsonl", subset=["test_eval92"], target="early")
    early = read_manifest(tmp_path / "E.jsonl")
    assert early.header.name == "sms_wsj_test_eval92"
    assert [mixture.targets for mixture in early.mixtures] == [["s1_early", "s2_early"]]


def test_the_set_is_used_like_any_other(smswsj: SmsWsj, tmp_path: Path) -> None:
    _import(smswsj, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", measures=True, workers=1)
    assert verify_set(tmp_path / "out", deep=True) == []
    from_files, in_memory = RenderedDataset(tmp_path / "out"), ManifestDataset(tmp_path / "M.jsonl")
    assert from_files[1].references.shape == (2, 6, 10007)
    np.testing.assert_array_equal(from_files[1].mixture, in_memory[1].mixture)
    np.testing.assert_array_equal(from_files[1].references, in_memory[1].references)
    page = make_report(tmp_path / "out", tmp_path / "report", examples=1)
    assert NAME in page.read_text()


def test_responses_are_computed_where_the_published_ones_are_missing(
    smswsj: SmsWsj, tmp_path: Path, mixgen: RunMixgen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixgen.published.sms_wsj_rooms._TAPS", 1024)
    monkeypatch.setattr("mixgen.published.sms_wsj_rooms.default_workers", lambda: 1)
    rooms, out = tmp_path / "rirs", tmp_path / "M.jsonl"
    words = ("--metadata", smswsj.database, "--wsj", smswsj.wsj, "--subset", "test_eval92")
    answer = mixgen("import", "smswsj", *words, "--simulate", rooms, "--out", out)
    assert (answer.exit_code, answer.out) == (0, f"1 mixtures in {out}.\n")
    info = soundfile.info(rooms / "test_eval92/0/h_1.wav")
    assert (info.subtype, info.channels, info.frames, info.samplerate) == ("DOUBLE", 6, 1024, 8000)
    manifest = read_manifest(out)
    assert manifest.header.imported is not None
    assert "differ by -268 dB" in manifest.header.imported.script
    (part,) = [
        s.spatialise for s in manifest.mixtures[0].sources[0].events[0].steps if s.spatialise
    ]
    assert part.engine == "rir_generator/1"
    smswsj_oracle(_only(smswsj, "test_eval92", tmp_path), smswsj.wsj, rooms, tmp_path / "expected")
    render_in_layout(out, tmp_path / "out", "smswsj")
    assert set(differing_samples(tmp_path / "expected", tmp_path / "out").values()) == {0}
    before = (rooms / "test_eval92/0/h_1.wav").stat().st_mtime_ns
    (rooms / "test_eval92/0/h_0.wav").unlink()
    assert mixgen("import", "smswsj", *words, "--simulate", rooms, "--out", out).exit_code == 0
    assert (rooms / "test_eval92/0/h_0.wav").is_file()
    assert (rooms / "test_eval92/0/h_1.wav").stat().st_mtime_ns == before


def _only(given: SmsWsj, subset: str, folder: Path) -> Path:
    database = json.loads(given.database.read_text())["datasets"]
    path = folder / "only.json"
    path.write_text(json.dumps({"datasets": {subset: database[subset]}}))
    return path


def test_older_databases_have_another_key(smswsj: SmsWsj, tmp_path: Path) -> None:
    path = tmp_path / "sms_wsj.json"
    path.write_text(smswsj.database.read_text().replace("original_source", "speech_source"))
    import_smswsj(path, smswsj.wsj, tmp_path / "old.jsonl", rirs=smswsj.rirs)
    _import(smswsj, tmp_path / "new.jsonl")
    old, new = (read_manifest(tmp_path / f"{name}.jsonl").mixtures for name in ("old", "new"))
    assert old == new


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: e["speaker_id"].pop(), "there has to be one of each list for every speaker_id"),
        (lambda e: e["offset"].__setitem__(0, 12000), "a talker begins after the end of the mix"),
        (
            lambda e: e["num_samples"]["original_source"].__setitem__(1, 11999),
            "4k4c0319.wav has 12000 samples, and the JSON says 11999",
        ),
        (
            lambda e: e["audio_path"]["rir"].__setitem__(0, "/x/cv_dev93/7/h_0.wav"),
            "cv_dev93/7/h_0.wav is not in .*: check --rirs",
        ),
        (lambda e: e["room_dimensions"].pop(), "room_dimensions"),
        (lambda e: e["log_weights"].__setitem__(0, 1e6), "log_weights.0: Input should be less"),
        (lambda e: e.update(snr=400.0), "snr: Input should be less than or equal to 300"),
        (lambda e: e["num_samples"].update(observation=10**12), "observation: Input should be"),
    ],
)
def test_wrong_entries_are_one_sentence(
    smswsj: SmsWsj, tmp_path: Path, change: Any, problem: str
) -> None:
    database = json.loads(smswsj.database.read_text())
    change(database["datasets"]["cv_dev93"][NAME])
    path = tmp_path / "sms_wsj.json"
    path.write_text(json.dumps(database))
    with pytest.raises(InputError, match=problem):
        import_smswsj(path, smswsj.wsj, tmp_path / "M.jsonl", rirs=smswsj.rirs)


@pytest.mark.parametrize("datasets", [3, [], {"cv_dev93": 3}, {"cv_dev93": {}}])
def test_a_database_without_mixtures(smswsj: SmsWsj, tmp_path: Path, datasets: object) -> None:
    path = tmp_path / "sms_wsj.json"
    path.write_text(json.dumps({"datasets": datasets}))
    with pytest.raises(InputError, match="has no mixtures of train_si284, cv_dev93, test_eval92"):
        import_smswsj(path, smswsj.wsj, tmp_path / "M.jsonl", rirs=smswsj.rirs)


def test_names_and_channels_are_checked(smswsj: SmsWsj, tmp_path: Path) -> None:
    path, rirs = tmp_path / "sms_wsj.json", tmp_path / "rirs"
    path.write_text(smswsj.database.read_text().replace(f'"{NAME}": {{', '"../x": {'))
    with pytest.raises(InputError, match=r"cv_dev93 ../x is not the name of a mixture"):
        import_smswsj(path, smswsj.wsj, tmp_path / "M.jsonl", rirs=smswsj.rirs)
    shutil.copytree(smswsj.rirs, rirs)
    soundfile.write(rirs / "cv_dev93/0/h_1.wav", np.eye(3), 8000)
    with pytest.raises(InputError, match="its responses have other numbers of channels"):
        _import(smswsj, tmp_path / "M.jsonl", rirs=rirs)
    soundfile.write(rirs / "cv_dev93/0/h_0.wav", np.eye(9), 8000)
    with pytest.raises(InputError, match=r"h_0\.wav has 9 channels, and a mixture at most 8"):
        _import(smswsj, tmp_path / "M.jsonl", rirs=rirs)


def test_wrong_words(smswsj: SmsWsj, tmp_path: Path) -> None:
    out = tmp_path / "M.jsonl"
    with pytest.raises(UsageError, match="Give either --rirs with the published responses, or"):
        _import(smswsj, out, rirs=None)
    with pytest.raises(UsageError, match="--target takes image, early, not dry"):
        _import(smswsj, out, target="dry")
    with pytest.raises(InputError, match="has no mixtures of train_si284"):
        _import(smswsj, out, subset=["train_si284"])
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="has no value datasets"):
        import_smswsj(tmp_path / "x.json", smswsj.wsj, out, rirs=smswsj.rirs)


def test_noise_has_its_level_and_its_seed() -> None:
    """The first number of numpy's RandomState(1).normal is known."""
    speech = np.ones((2, 8000))
    noise = white_noise(WhiteNoise(seed=1, snr_db=20.0), speech)
    assert np.mean(noise**2) == pytest.approx(0.01, rel=1e-12)
    assert noise[0, 0] / noise[0, 1] == pytest.approx(1.62434536 / -0.61175641, rel=1e-7)
