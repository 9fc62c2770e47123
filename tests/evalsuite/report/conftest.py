"""Reports on small sets, without running a separator."""

import csv
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


class Results(Protocol):
    """Writes what `evalsuite run` would: RESULTS/SET/SYSTEM/estimates and scores of systems.

    Each system has its keywords for `make_estimates`. Returns the folder of the results.
    """

    def __call__(self, set_folder: Path, **systems: dict[str, Any]) -> Path: ...


@pytest.fixture
def results(make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path) -> Results:
    """Results below `tmp_path`."""

    def write(set_folder: Path, **systems: dict[str, Any]) -> Path:
        for name, options in systems.items():
            folder = tmp_path / "results" / set_folder.name / name
            folder.mkdir(parents=True)
            metrics = options.pop("metrics", ("si_sdr", "snr", "gain", "peak"))
            made = make_estimates(set_folder, name, **options).rename(folder / "estimates")
            make_scores(set_folder, made, metrics=metrics).rename(folder / "scores")
        return tmp_path / "results"

    return write


@pytest.fixture
def three_systems(make_set: MakeSet, results: Results) -> tuple[Path, Path]:
    """A set of eight mixtures, and the results of three systems on it, two of them alike."""
    folder = make_set()
    made = results(
        folder,
        good={"noise_db": -20.0, "spread_db": 2.0},
        fair={"noise_db": -10.0, "spread_db": 3.0, "seed": 2},
        alike={"noise_db": -10.0, "spread_db": 3.0, "seed": 3},
    )
    return folder, made


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
