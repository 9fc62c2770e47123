"""Seeds of one training, joined."""

from pathlib import Path

import pytest

from evalsuite.boards.show import leaderboard_text
from evalsuite.run import write_boards
from evalsuite.scoring.folder import ScoreFolder
from mixgen.core.files import read_json, write_json
from tests.evalsuite.boards.test_slices import read
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet

LEVELS_DB = {("a", 1): -10.0, ("a", 2): -12.0, ("a", 3): -14.0, ("b", 1): -11.0}


def test_rows_that_differ_in_the_seed_alone_are_joined(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    folder = make_set(n=2)
    scores = []
    for (configuration, seed), noise_db in LEVELS_DB.items():
        estimates = make_estimates(
            folder,
            f"{configuration}{seed}",
            noise_db=noise_db,
            model=f"model_{configuration}",
            checkpoint_sha256=f"{configuration}{seed}" * 32,
            configuration_sha256=configuration * 64,
        )
        run = read_json(estimates / "run.json")
        write_json(estimates / "run.json", {**run, "seed": seed})
        scores.append(ScoreFolder(make_scores(folder, estimates)))
    rows = write_boards(tmp_path / "board.csv", scores)
    (row,) = read(tmp_path / "board_seeds.csv")
    values = sorted(r["si_sdri_mean"] for r in rows if r["model"] == "model_a")
    assert (row["model"], row["n_seeds"]) == ("model_a", "3")
    assert float(row["mean"]) == pytest.approx(sum(values) / 3)
    assert float(row["spread"]) == pytest.approx(2.0, abs=0.3)
    assert (float(row["lowest"]), float(row["highest"])) == (values[0], values[-1])
    assert "model_a on tiny: 3 seeds, si_sdri_mean" in leaderboard_text(rows)
