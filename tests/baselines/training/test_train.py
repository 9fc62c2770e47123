"""Training: it learns, it resumes exactly, and it says what it cannot do."""

import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from baselines.checkpoint import load, load_history, read_meta
from baselines.model import Variant
from baselines.registry import names
from baselines.training import train as training
from baselines.training.config import TrainingConfig, training_config
from baselines.training.train import Trainer, load_feed, resume, train
from mixgen.core.errors import InputError, MachineError, UsageError


def files_of(folder):
    return {name: load_file(folder / f"{name}.safetensors") for name in ("model", "state")}


def assert_equal_files(one, other):
    for name, tensors in files_of(one).items():
        others = files_of(other)[name]
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensor, others[key]) for key, tensor in tensors.items())


def interrupt_at(monkeypatch, step):
    """Press Ctrl-C in the middle of one training step."""
    step_of = Trainer.step

    def stepping(self, batch):
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        step_of(self, batch)

    monkeypatch.setattr(Trainer, "step", stepping)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_resumed_training_is_bit_equal(brief, tmp_path, monkeypatch, schedule):
    config = brief(steps=6, schedule=schedule)
    train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts")
    assert read_meta(tmp_path / "parts").progress["step"] == 3
    resume(tmp_path / "parts")
    assert_equal_files(tmp_path / "whole", tmp_path / "parts")
    rows = [
        [{k: v for k, v in row.items() if k != "elapsed_s"} for row in load_history(folder)]
        for folder in (tmp_path / "whole", tmp_path / "parts")
    ]
    assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]] == [3, 6]
    assert rows[0][-1]["valid_si_sdr_db"] == rows[1][-1]["valid_si_sdr_db"]


def test_dropout_resumes_exactly(speech, tmp_path, monkeypatch):
    from baselines.models.mask_inference import MASK_INFERENCE, MaskInferenceHyperparameters

    name = "mask_inference:dropout"
    monkeypatch.setitem(
        MASK_INFERENCE.variants,
        name,
        Variant(lambda: MaskInferenceHyperparameters(hidden_size=8, n_layers=2, dropout=0.5), {}),
    )
    config = training_config(
        name, rendered=str(speech.rendered), steps=4, batch_size=2, segment_s=0.25, device="cpu"
    )
    train(config, tmp_path / "whole")
    interrupt_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "parts")
    resume(tmp_path / "parts")
    assert_equal_files(tmp_path / "whole", tmp_path / "parts")


def test_workers_change_no_weight(brief, tmp_path):
    for workers in (0, 2):
        train(brief(workers=workers), tmp_path / str(workers))
    assert_equal_files(tmp_path / "0", tmp_path / "2")


def test_another_seed_gives_other_weights(brief, tmp_path):
    for seed in (0, 1):
        train(brief(seed=seed, steps=1), tmp_path / str(seed))
    one, other = (files_of(tmp_path / name)["model"] for name in ("0", "1"))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_finished_run_can_be_made_longer(brief, tmp_path):
    train(brief(steps=2, schedule="constant", warmup=0.0), tmp_path / "run")
    assert resume(tmp_path / "run", steps=5).progress["step"] == 5


def test_training_learns_to_separate_tones(brief, tmp_path):
    """Four tones are easy: a few steps from nothing bring the loss down by several dB."""
    train(brief(steps=30, validations=6, average_decay=0.0), tmp_path / "run")
    rows = load_history(tmp_path / "run")
    assert rows[-1]["loss"] < rows[0]["loss"] - 5
    assert rows[-1]["valid_si_sdr_db"] > rows[0]["valid_si_sdr_db"] + 5


def test_the_best_weights_are_kept(brief, tmp_path):
    """A rate that wrecks the weights later on leaves the checkpoint of the best validation."""
    config = brief(steps=6, validations=6, learning_rate=0.5, schedule="constant", warmup=0.6)
    feed = load_feed(config)
    meta = Trainer(config, feed, tmp_path / "run").run()
    scores = {row["step"]: row["valid_si_sdr_db"] for row in load_history(tmp_path / "run")}
    assert meta.step == max(scores, key=scores.get)
    kept = load(tmp_path / "run")
    assert feed.validation.si_sdr_db(kept) == pytest.approx(scores[meta.step], abs=1e-4)


def test_the_average_follows_the_weights(brief, tmp_path):
    """With decay 0 the average is the weights; with much of it, it lags behind them."""
    for decay in (0.0, 0.9):
        train(brief(average_decay=decay), tmp_path / str(decay))
        state = load_file(tmp_path / str(decay) / "state.safetensors")
        name = next(k for k in state if k.startswith("weights/") and k.endswith("weight"))
        average = state[name.replace("weights/", "average/", 1)]
        assert torch.equal(average, state[name]) == (decay == 0.0)


def test_a_run_by_minutes_ends_in_time(brief, tmp_path):
    meta = train(brief(steps=None, minutes=0.02), tmp_path / "run")
    assert 1.2 <= meta.progress["elapsed_s"] < 20
    assert meta.progress["step"] > 0


def test_schedules(brief, tmp_path):
    def rates(**changes):
        trainer = Trainer(brief(steps=10, learning_rate=1.0, **changes), feed, tmp_path)
        found = []
        for step in range(10):
            trainer.progress.step = step
            found.append(trainer.learning_rate)
        return found

    feed = load_feed(brief())
    assert rates(schedule="constant", warmup=0.0) == [1.0] * 10
    assert rates(schedule="constant", warmup=0.4)[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    cosine = [(1 + np.cos(np.pi * step / 10)) / 2 for step in range(10)]
    assert rates(schedule="cosine", warmup=0.0) == pytest.approx(cosine)


def test_the_rate_is_halved_when_validation_stands_still(brief, tmp_path):
    trainer = Trainer(
        brief(schedule="plateau", patience=2, warmup=0.0), load_feed(brief()), tmp_path
    )
    for score_db in (1.0, 0.5, 0.5, 2.0, 1.0, 1.0, 1.0, 1.0):
        trainer._keep_if_best(score_db)
    assert trainer.progress.halvings == 3
    assert trainer.learning_rate == trainer.config.learning_rate / 8


def test_stems_train_on_a_rendered_set(stems, tmp_path):
    config = training_config(
        "open_unmix:small",
        rendered=str(stems.rendered),
        steps=1,
        batch_size=2,
        segment_s=0.5,
        device="cpu",
    )
    meta = train(config, tmp_path / "run")
    assert meta.config["source_names"] == ["vocals", "drums"]
    assert meta.config["channels"] == 2


def test_broken_gradients_stop_the_run(brief, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_BROKEN_STEPS_ALLOWED", 2)
    trainer = Trainer(brief(steps=10), load_feed(brief()), tmp_path / "run")
    before = {k: v.clone() for k, v in trainer.separator.state_dict().items()}
    batch = {
        "mixture": torch.full((2, 1, 400), torch.nan),
        "references": torch.ones(2, 2, 1, 400),
    }
    trainer.step(batch)
    assert all(torch.equal(v, before[k]) for k, v in trainer.separator.state_dict().items())
    with pytest.raises(InputError, match="diverged"):
        trainer.step(batch)


def test_what_has_nothing_to_train_is_refused(speech, tmp_path):
    config = training_config("oracle:irm", rendered=str(speech.rendered), steps=1)
    with pytest.raises(UsageError, match="nothing to train"):
        train(config, tmp_path / "run")


def test_a_place_in_use_is_refused_before_any_work(brief, trained):
    with pytest.raises(UsageError, match="--resume"):
        train(brief(), trained)


def test_a_missing_device_is_told(brief, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    with pytest.raises(MachineError, match="no device 'cuda'"):
        train(brief(device="cuda"), tmp_path / "run")
    with pytest.raises(UsageError, match="it can be auto"):
        train(brief(device="toaster"), tmp_path / "run")


def test_resuming_on_another_manifest_is_refused(brief, tmp_path, stems, monkeypatch):
    train(brief(steps=1), tmp_path / "run")
    other = load_feed(
        training_config("open_unmix:small", rendered=str(stems.rendered), steps=1, device="cpu")
    )
    monkeypatch.setattr(training, "load_feed", lambda _: other)
    with pytest.raises(InputError, match="not the one"):
        resume(tmp_path / "run")


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"steps": 1}, "--set"),
        ({"steps": 1, "manifest": "a", "rendered": "b"}, "--set"),
        ({"manifest": "a"}, "--minutes"),
        ({"manifest": "a", "steps": 1, "minutes": 1.0}, "--minutes"),
        ({"manifest": "a", "steps": 0}, "steps"),
        ({"manifest": "a", "steps": 1, "learning_rate": float("nan")}, "learning_rate"),
        ({"manifest": "a", "steps": 1, "schedule": "wild"}, "schedule"),
        ({"manifest": "a", "steps": 1, "slowest": 1.3}, "slowest"),
    ],
)
def test_choices_that_make_no_sense_are_refused(chosen, problem):
    with pytest.raises(InputError, match=problem):
        training_config("conv_tasnet:small", **chosen)


@pytest.mark.parametrize("name", names())
def test_the_training_that_a_model_declares_is_valid(name):
    assert isinstance(training_config(name, manifest="m", steps=1), TrainingConfig)


def test_variants_without_training_of_their_own_take_the_plain_one():
    plain, causal = (
        training_config(name, manifest="m", steps=1)
        for name in ("conv_tasnet", "conv_tasnet:causal")
    )
    assert causal == plain.model_copy(update={"model": "conv_tasnet:causal"})
    assert plain.schedule == "plateau"
