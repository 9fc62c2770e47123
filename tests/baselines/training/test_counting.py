"""Sets of varying counts: the level of activity, its place in the checkpoint, the validation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.checkpoint import checkpoint_sha256, load, load_history, read_meta, save_checkpoint
from baselines.compatibility import build_for
from baselines.registry import build
from baselines.training.config import TrainingConfig, training_config
from baselines.training.counting import CountedValidation, p_si_snr_db, tuned_level_db
from baselines.training.train import train
from evalsuite.metrics.counting import p_si_snr
from mixgen.core.errors import InputError
from mixgen.manifest.file import read_manifest
from tests.baselines.conftest import TinySet


def test_the_level_is_in_the_middle_of_the_widest_interval_with_most_counts_right() -> None:
    levels = [np.array([-3.0, -4.0, -30.0]), np.array([-1.0, -40.0, -50.0]), np.array([-34.0])]
    assert tuned_level_db(levels, [2, 1, 0]) == pytest.approx((-30 + -4) / 2)
    assert tuned_level_db(levels, [3, 1, 0]) == pytest.approx((-34 + -30) / 2)


def test_levels_far_below_the_mixture_are_one() -> None:
    """A gap down to digital silence is no reason for a level that no leak is below."""
    level_db = tuned_level_db([np.array([-10.0, -300.0])], [1])
    assert level_db == pytest.approx((-60 + -10) / 2)


@pytest.mark.parametrize(("n_ref", "n_est"), [(1, 1), (2, 1), (1, 3), (2, 0), (0, 2), (3, 3)])
def test_the_penalised_si_snr_is_that_of_the_metric(n_ref: int, n_est: int) -> None:
    references = torch.randn(n_ref, 1, 800, dtype=torch.float64)
    noise = torch.randn(n_est, 1, 800, dtype=torch.float64)
    estimates = noise.clone()
    estimates[: min(n_ref, n_est)] += 2 * references[:n_est]
    ours = p_si_snr_db(references=references, estimates=estimates)
    theirs = p_si_snr(references=list(references.numpy()), estimates=list(estimates.numpy()))
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.fixture
def brief(counts: TinySet) -> TrainingConfig:
    return training_config(
        "conv_tasnet:tiny",
        manifest=str(counts.manifest),
        roots=counts.root_options,
        steps=4,
        batch_size=3,
        segment_s=0.25,
        validations=2,
        valid_items=2,
        device="cpu",
    )


def test_a_set_of_varying_counts_is_trained_on(brief: TrainingConfig, tmp_path: Path) -> None:
    meta = train(brief, tmp_path / "out")
    assert (meta.config["n_src"], meta.config["fewest"]) == (2, 0)
    rows = load_history(tmp_path / "out")
    assert all({"valid_p_si_snr_db", "valid_count_right"} <= row.keys() for row in rows)
    best = next(row for row in rows if row["step"] == meta.step)
    chosen = load(tmp_path / "out").get_buffer("active_above_db")
    assert float(chosen) == pytest.approx(best["active_above_db"], abs=1e-4)


def test_another_level_is_another_checkpoint(brief: TrainingConfig, tmp_path: Path) -> None:
    train(brief, tmp_path / "out")
    separator = load(tmp_path / "out")
    separator.get_buffer("active_above_db").sub_(1.0)
    save_checkpoint(tmp_path / "other", read_meta(tmp_path / "out"), separator.state_dict())
    assert checkpoint_sha256(tmp_path / "out") != checkpoint_sha256(tmp_path / "other")


def test_validation_leaves_out_scenes_without_sources_that_are_found_empty() -> None:
    separator = build("conv_tasnet:tiny", fewest=0)
    for parameter in separator.parameters():
        parameter.data.zero_()  # every estimate is silent
    noise = 0.1 * torch.randn(1, 800)
    empty = (noise, torch.zeros(0, 1, 800))
    measured = CountedValidation([empty]).measure(separator)
    assert (measured["valid_count_right"], measured["valid_p_si_snr_db"]) == (1.0, 0.0)
    missed = CountedValidation([empty, (noise, noise[None])]).measure(separator)
    assert (missed["valid_count_right"], missed["valid_p_si_snr_db"]) == (0.5, -30.0)


def test_a_system_that_assigns_whole_bins_is_refused(counts: TinySet) -> None:
    mixtures = read_manifest(counts.manifest).of_split("train")
    with pytest.raises(InputError, match="none of them can be silent"):
        build_for("deep_clustering:tiny", mixtures)
