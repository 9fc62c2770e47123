"""Separating sets and files: the folder of estimates, compatibility, failures, second runs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from baselines.checkpoint import load, read_meta, save_checkpoint
from baselines.inference import recording as module
from baselines.inference.long import separate_long
from baselines.inference.recording import separate_file
from baselines.inference.separate import separate_set
from mixgen.core.errors import InputError, MachineError, PartialFailure, UsageError
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet


def run(system: str | Path, tiny: TinySet, out: Path, **options: Any) -> dict[str, Any]:
    return separate_set(system, tiny.rendered, out, device="cpu", threads=1, **options)


def break_weights(checkpoint: Path) -> None:
    """Replace all weights by NaN; the checkpoint stays valid."""
    meta = read_meta(checkpoint)
    weights = {
        name: torch.full_like(tensor, torch.nan)
        for name, tensor in load(checkpoint).state_dict().items()
    }
    save_checkpoint(checkpoint, meta, weights)


def test_the_mixture_is_every_estimate_of_the_mixture(speech: TinySet, tmp_path: Path) -> None:
    record = run("mixture", speech, tmp_path / "est")
    rendered = RenderedSet(speech.rendered)
    for mixture in rendered.mixtures("test"):
        for name in ("est1", "est2"):
            path = tmp_path / "est" / mixture.id / f"{name}.wav"
            assert soundfile.info(path).subtype == "FLOAT"
            samples, rate = soundfile.read(path, always_2d=True)
            assert rate == 8000
            np.testing.assert_array_equal(samples.T, rendered.load_mixture(mixture.id))
    assert record["named"] is False
    assert record["checkpoint_sha256"] is None
    assert record["parameters"] == 0


def test_run_json_says_what_was_done(speech: TinySet, trained: Path, tmp_path: Path) -> None:
    record = run(trained, speech, tmp_path / "est")
    assert json.loads((tmp_path / "est" / "run.json").read_text()) == record
    assert record["schema"] == "estimates/1"
    assert record["model"] == "conv_tasnet:tiny"
    assert record["manifest_sha256"] == RenderedSet(speech.rendered).manifest.sha256
    assert record["estimates"] == ["est1", "est2"]
    assert record["split"] == "test"
    assert record["sample_rate"] == 8000
    assert record["threads"] == 1
    assert record["device"] == "cpu"
    assert record["failures"] == []
    assert record["real_time_factor"] > 0
    assert record["macs_per_second"] > 1e5
    assert record["peak_memory_mb"] > 50
    assert sorted(p.name for p in (tmp_path / "est").iterdir() if p.is_dir()) == [
        "test-0",
        "test-1",
        "test-2",
    ]


def test_estimates_that_players_clip_are_reported(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, 3 * np.sin(np.arange(4000) / 5), 8000, subtype="FLOAT")
    first, second = separate_file(trained, loud, tmp_path / "out", device="cpu")
    peaks = [float(np.abs(soundfile.read(path)[0]).max()) for path in (first, second)]
    assert max(peaks) > 1
    printed = capsys.readouterr().err
    assert "go beyond full scale" in printed
    assert f"peaks at {max(peaks):.2f}" in printed


def test_the_largest_peak_of_a_set_counts_estimates_of_an_earlier_run(
    speech: TinySet, tmp_path: Path
) -> None:
    out = tmp_path / "est"
    whole = run("mixture", speech, out)
    shutil.rmtree(out / "test-2")
    assert run("mixture", speech, out)["largest_peak"] == whole["largest_peak"] > 0


def test_estimates_are_the_checkpoints(speech: TinySet, trained: Path, tmp_path: Path) -> None:
    run(trained, speech, tmp_path / "est")
    mixture = torch.from_numpy(RenderedSet(speech.rendered).load_mixture("test-1")).float()
    expected = separate_long(load(trained), mixture[None])[0, 1].numpy()
    samples, _ = soundfile.read(tmp_path / "est/test-1/est2.wav", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(samples.T, expected)


@pytest.mark.parametrize("mask", ["ibm", "irm", "psm", "mwf"])
def test_oracles_name_their_estimates_after_the_targets(
    stems: TinySet, tmp_path: Path, mask: str
) -> None:
    record = run(f"oracle:{mask}", stems, tmp_path / "est")
    assert record["named"] is True
    assert record["estimates"] == ["vocals", "drums"]
    rendered = RenderedSet(stems.rendered)
    for name, reference in zip(
        record["estimates"], rendered.load_references("test-0"), strict=True
    ):
        estimate = soundfile.read(tmp_path / f"est/test-0/{name}.wav", always_2d=True)[0].T
        error = np.square(estimate - reference).sum() / np.square(reference).sum()
        assert error < 0.05


def test_a_second_run_separates_only_what_is_missing(speech: TinySet, tmp_path: Path) -> None:
    first = run("mixture", speech, tmp_path / "est")
    times = {p: os.stat(p).st_mtime_ns for p in (tmp_path / "est").glob("*/*.wav")}
    missing = tmp_path / "est" / "test-1" / "est2.wav"
    missing.unlink()
    run("mixture", speech, tmp_path / "est")
    assert missing.is_file()
    kept = [p for p in times if p.parent != missing.parent]
    assert all(os.stat(p).st_mtime_ns == times[p] for p in kept)
    again = run("mixture", speech, tmp_path / "est")
    assert again.keys() == first.keys()
    assert again["real_time_factor"] is not None


def test_estimates_of_another_system_are_not_mixed_in(
    speech: TinySet, trained: Path, tmp_path: Path
) -> None:
    run("mixture", speech, tmp_path / "est")
    with pytest.raises(UsageError, match="another system"):
        run(trained, speech, tmp_path / "est")
    record = run(trained, speech, tmp_path / "est", overwrite=True)
    assert record["model"] == "conv_tasnet:tiny"


def test_a_folder_of_other_things_is_left_alone(speech: TinySet, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"")
    with pytest.raises(UsageError, match="in use"):
        run("mixture", speech, tmp_path, overwrite=True)
    assert (tmp_path / "cat.png").exists()


def test_an_untrained_name_is_refused(speech: TinySet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not trained"):
        run("conv_tasnet:small", speech, tmp_path / "est")
    assert not (tmp_path / "est").exists()


def test_a_checkpoint_folder_can_have_the_name_of_a_system(
    speech: TinySet, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path / "conv_tasnet")
    monkeypatch.chdir(tmp_path)
    record = run("conv_tasnet", speech, tmp_path / "est")
    assert record["model"] == "conv_tasnet:tiny"
    assert record["checkpoint_sha256"]


def test_an_unknown_name_is_refused(speech: TinySet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a checkpoint"):
        run("conv_tasnot", speech, tmp_path / "est")


def test_a_set_that_does_not_fit_is_refused(stems: TinySet, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="number of channels"):
        run(trained, stems, tmp_path / "est")


def test_a_set_of_another_rate_is_refused(
    speech_at_16k: TinySet, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"8000.*16000"):
        run(trained, speech_at_16k, tmp_path / "est")


def test_an_unknown_split_is_refused(speech: TinySet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of train, valid, test"):
        run("mixture", speech, tmp_path / "est", split="dev")


def test_broken_weights_fail_every_mixture_with_a_reason(
    speech: TinySet, checkpoint: Path, tmp_path: Path
) -> None:
    break_weights(checkpoint)
    with pytest.raises(PartialFailure, match="3 of 3"):
        run(checkpoint, speech, tmp_path / "est")
    record = json.loads((tmp_path / "est" / "run.json").read_text())
    assert [failure["id"] for failure in record["failures"]] == ["test-0", "test-1", "test-2"]
    assert all("NaN" in failure["reason"] for failure in record["failures"])
    assert not list((tmp_path / "est").glob("*/*.wav"))


def test_one_bad_mixture_does_not_stop_the_others(
    speech: TinySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = RenderedSet.load_mixture

    def failing(self: RenderedSet, mixture_id: str) -> NDArray[np.float64]:
        if mixture_id == "test-1":
            raise InputError("test-1 is cut short.")
        return load(self, mixture_id)

    with monkeypatch.context() as patch:
        patch.setattr(RenderedSet, "load_mixture", failing)
        with pytest.raises(PartialFailure, match="1 of 3"):
            run("mixture", speech, tmp_path / "est")
    record = json.loads((tmp_path / "est" / "run.json").read_text())
    assert record["failures"] == [{"id": "test-1", "reason": "test-1 is cut short."}]
    assert run("mixture", speech, tmp_path / "est")["failures"] == []


def test_an_unwritable_folder_is_an_error(speech: TinySet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="Cannot write"):
        run("mixture", speech, tmp_path / "file" / "est")


def test_long_recordings_are_separated_in_chunks(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 s are more than one chunk of 20 s."""
    monkeypatch.setattr(module, "set_threads", lambda threads: threads)
    recording = 0.1 * np.random.default_rng(0).normal(size=25 * 8000)
    soundfile.write(tmp_path / "long.wav", recording, 8000, subtype="FLOAT")
    paths = separate_file(trained, tmp_path / "long.wav", tmp_path / "est", device="cpu")
    assert [path.name for path in paths] == ["est1.wav", "est2.wav"]
    assert all(soundfile.info(path).frames == len(recording) for path in paths)


def test_a_file_of_another_rate_and_two_channels_is_converted(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    time_s = np.arange(44100) / 44100
    tone = 0.1 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "stereo.flac", np.stack([tone, tone], axis=1), 44100)
    paths = separate_file(trained, tmp_path / "stereo.flac", tmp_path / "est", device="cpu")
    for path in paths:
        info = soundfile.info(path)
        assert (info.samplerate, info.frames, info.channels) == (44100, 44100, 1)
    printed = capfd.readouterr().err
    assert "44100 Hz: separated at 8000 Hz" in printed
    assert "2 channel(s)" in printed


def test_a_file_that_is_no_audio_is_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(InputError, match="not audio"):
        separate_file(trained, tmp_path / "text.wav", tmp_path / "est", device="cpu")


def test_broken_weights_write_no_file(checkpoint: Path, tmp_path: Path) -> None:
    break_weights(checkpoint)
    soundfile.write(tmp_path / "short.wav", np.zeros(800), 8000)
    with pytest.raises(InputError, match="NaN"):
        separate_file(checkpoint, tmp_path / "short.wav", tmp_path / "est", device="cpu")
    assert not (tmp_path / "est").exists()
