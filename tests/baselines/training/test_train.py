"""Training: it learns, it resumes exactly, and it refuses what it cannot do."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from baselines.checkpoint import load, load_history, read_meta
from baselines.model import Variant
from baselines.models.mask_inference import MASK_INFERENCE, MaskInferenceHyperparameters
from baselines.registry import names
from baselines.training import train as training
from baselines.training.config import TrainingConfig, training_config
from baselines.training.data import Batch
from baselines.training.train import Trainer, load_feed, resume, train
from mixgen.core.errors import InputError, MachineError, UsageError
from tests.baselines.conftest import MakeConfig, TinySet


def load_tensors(folder: Path) -> dict[str, dict[str, Tensor]]:
    return {name: load_file(folder / f"{name}.safetensors") for name in ("model", "state")}


def assert_equal_tensors(folder: Path, other_folder: Path) -> None:
    expected = load_tensors(other_folder)
    for name, tensors in load_tensors(folder).items():
        assert tensors.keys() == expected[name].keys()
        assert all(torch.equal(tensor, expected[name][key]) for key, tensor in tensors.items())


def train_in_parts(config: TrainingConfig, out: Path, *, interrupted_step: int) -> None:
    """Train with a Ctrl-C in the middle of one step, then resume."""
    step_of = Trainer.step

    def interrupt(self: Trainer, batch: Batch) -> None:
        if self.progress.step == interrupted_step:
            os.kill(os.getpid(), signal.SIGINT)
        step_of(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, out)
    assert read_meta(out).progress["step"] == interrupted_step + 1
    resume(out)


@pytest.mark.parametrize(("schedule", "optimizer"), [("cosine", "adamw"), ("plateau", "muon")])
def test_resumed_training_is_bit_equal(
    brief: MakeConfig, tmp_path: Path, schedule: str, optimizer: str
) -> None:
    config = brief(steps=6, schedule=schedule, optimizer=optimizer)
    train(config, tmp_path / "whole")
    train_in_parts(config, tmp_path / "parts", interrupted_step=2)
    assert_equal_tensors(tmp_path / "whole", tmp_path / "parts")
    whole, parts = (load_history(tmp_path / name) for name in ("whole", "parts"))
    assert [row["step"] for row in whole] == [row["step"] for row in parts] == [3, 6]
    assert whole[-1]["valid_si_sdr_db"] == parts[-1]["valid_si_sdr_db"]


def test_dropout_resumes_exactly(
    speech: TinySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    train_in_parts(config, tmp_path / "parts", interrupted_step=1)
    assert_equal_tensors(tmp_path / "whole", tmp_path / "parts")


def test_workers_change_no_weight(brief: MakeConfig, tmp_path: Path) -> None:
    for workers in (0, 2):
        train(brief(workers=workers), tmp_path / str(workers))
    assert_equal_tensors(tmp_path / "0", tmp_path / "2")


def test_another_seed_gives_other_weights(brief: MakeConfig, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(brief(seed=seed, steps=1), tmp_path / str(seed))
    first, second = (load_tensors(tmp_path / name)["model"] for name in ("0", "1"))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_finished_run_can_be_extended(brief: MakeConfig, tmp_path: Path) -> None:
    train(brief(steps=2, schedule="constant", warmup=0.0), tmp_path / "run")
    assert resume(tmp_path / "run", steps=5).progress["step"] == 5


def test_training_learns_to_separate_tones(brief: MakeConfig, tmp_path: Path) -> None:
    """The tones of four talkers are easy: the loss falls by several dB in a few steps."""
    train(brief(steps=30, validations=6, average_decay=0.0), tmp_path / "run")
    rows = load_history(tmp_path / "run")
    assert rows[-1]["loss"] < rows[0]["loss"] - 5
    assert rows[-1]["valid_si_sdr_db"] > rows[0]["valid_si_sdr_db"] + 5


def test_the_best_weights_are_kept(brief: MakeConfig, tmp_path: Path) -> None:
    """With a rate that ruins the weights, the checkpoint is that of the best validation."""
    config = brief(steps=6, validations=6, learning_rate=0.5, schedule="constant", warmup=0.6)
    feed = load_feed(config)
    meta = Trainer(config, feed, tmp_path / "run").run()
    scores = {row["step"]: row["valid_si_sdr_db"] for row in load_history(tmp_path / "run")}
    assert meta.step == max(scores, key=scores.__getitem__)
    kept = load(tmp_path / "run")
    assert feed.validation is not None
    assert feed.validation.si_sdr_db(kept) == pytest.approx(scores[meta.step], abs=1e-4)


def test_the_average_follows_the_weights(brief: MakeConfig, tmp_path: Path) -> None:
    """With decay 0 the average equals the weights; with decay 0.9 it lags behind them."""
    for decay in (0.0, 0.9):
        train(brief(average_decay=decay), tmp_path / str(decay))
        state = load_file(tmp_path / str(decay) / "state.safetensors")
        name = next(k for k in state if k.startswith("weights/") and k.endswith("weight"))
        average = state[name.replace("weights/", "average/", 1)]
        assert torch.equal(average, state[name]) == (decay == 0.0)


def test_a_run_by_minutes_ends_in_time(brief: MakeConfig, tmp_path: Path) -> None:
    meta = train(brief(steps=None, minutes=0.02), tmp_path / "run")
    assert 1.2 <= meta.progress["elapsed_s"] < 20
    assert meta.progress["step"] > 0


def test_schedules(brief: MakeConfig, tmp_path: Path) -> None:
    def rates(**changes: object) -> list[float]:
        trainer = Trainer(brief(steps=10, learning_rate=1.0, **changes), feed, tmp_path)
        found = []
        for step in range(10):
            trainer.progress.step = step
            found.append(trainer.learning_rate)
        return found

    feed = load_feed(brief())
    assert rates(schedule="constant", warmup=0.0) == [1.0] * 10
    assert rates(schedule="constant", warmup=0.4)[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    cosine = rates(schedule="cosine", warmup=0.0)
    assert cosine == sorted(cosine, reverse=True)
    assert [cosine[0], cosine[2], cosine[5]] == pytest.approx([1.0, 0.9045, 0.5], abs=1e-4)


def test_the_rate_is_halved_when_validation_does_not_improve(
    brief: MakeConfig, tmp_path: Path
) -> None:
    trainer = Trainer(
        brief(schedule="plateau", patience=2, warmup=0.0), load_feed(brief()), tmp_path
    )
    for score_db in (1.0, 0.5, 0.5, 2.0, 1.0, 1.0, 1.0, 1.0):
        trainer._keep_if_best(score_db)
    assert trainer.progress.decays == 3
    assert trainer.learning_rate == trainer.config.learning_rate / 8


def test_stems_train_on_a_rendered_set(stems: TinySet, tmp_path: Path) -> None:
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


def test_broken_gradients_stop_the_run(
    brief: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_separator_without_parameters_is_refused(speech: TinySet, tmp_path: Path) -> None:
    config = training_config("oracle:irm", rendered=str(speech.rendered), steps=1)
    with pytest.raises(UsageError, match="no parameters to train"):
        train(config, tmp_path / "run")


def test_a_folder_in_use_is_refused_before_any_work(brief: MakeConfig, trained: Path) -> None:
    with pytest.raises(UsageError, match="--resume"):
        train(brief(), trained)


def test_a_missing_device_is_an_error(brief: MakeConfig, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    with pytest.raises(MachineError, match="no device 'cuda'"):
        train(brief(device="cuda"), tmp_path / "run")
    with pytest.raises(UsageError, match="it can be auto"):
        train(brief(device="toaster"), tmp_path / "run")


def test_an_extended_run_goes_on_to_validate(brief: MakeConfig, tmp_path: Path) -> None:
    """As often as a run of the new length does from that share of it on."""
    train(brief(steps=4, validations=2), tmp_path / "run")
    resume(tmp_path / "run", steps=8)
    assert [row["step"] for row in load_history(tmp_path / "run")] == [2, 4, 8]


def test_resuming_on_another_manifest_is_refused(
    brief: MakeConfig, tmp_path: Path, stems: TinySet, monkeypatch: pytest.MonkeyPatch
) -> None:
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
def test_inconsistent_choices_are_refused(chosen: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        training_config("conv_tasnet:small", **chosen)


@pytest.mark.parametrize("name", names())
def test_the_training_that_a_model_declares_is_valid(name: str) -> None:
    assert isinstance(training_config(name, manifest="m", steps=1), TrainingConfig)


def test_a_variant_that_declares_no_training_takes_that_of_the_plain_one() -> None:
    plain, causal = (
        training_config(name, manifest="m", steps=1)
        for name in ("conv_tasnet", "conv_tasnet:causal")
    )
    assert causal == plain.model_copy(update={"model": "conv_tasnet:causal"})
    assert plain.schedule == "plateau"
