"""Slices by the gender of talkers, from a table beside the scores."""

import csv
from pathlib import Path
from statistics import fmean

import pytest

from evalsuite.boards.slices import slice_rows, write_slices
from evalsuite.boards.talkers import read_talkers, talker_slicings
from evalsuite.scoring.folder import ScoreFolder
from evalsuite.scoring.inputs import labels_of
from mixgen.core.errors import InputError
from mixgen.sets.rendered import RenderedSet
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet

GENDER_OF = {"1": "F", "2": "F", "3": "M"}


@pytest.fixture
def scores(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> ScoreFolder:
    """Scores of four mixtures: F with F, F with M, F with a talker nobody knows, and F alone."""
    folder = make_set(n=4, counts=[2, 2, 2, 1])
    estimates = make_estimates(folder, named=True, spread_db=5.0)
    found = ScoreFolder(make_scores(folder, estimates, metrics=("si_sdr",)))
    talkers = {
        ("test_000", "s1"): "1",
        ("test_000", "s2"): "2",
        ("test_001", "s1"): "2",
        ("test_001", "s2"): "3",
        ("test_002", "s1"): "1",
        ("test_003", "s1"): "1",
    }
    found.items = [
        row.model_copy(update={"label": talkers.get((row.id, row.reference or ""), "unknown")})
        for row in found.items
    ]
    return found


def test_slices_are_those_of_talkers_and_of_mixtures(scores: ScoreFolder) -> None:
    def mean(*items: tuple[str, str]) -> float:
        by_mixture: dict[str, list[float]] = {}
        for item in items:
            row = scores.rows[item]
            gain = (row.values["si_sdr"] or 0.0) - (row.mixture["si_sdr"] or 0.0)
            by_mixture.setdefault(row.id, []).append(gain)
        return fmean(map(fmean, by_mixture.values()))

    # One talker alone improves nothing: its mixture is perfect.
    own, together = (slice_rows([scores], slicing) for slicing in talker_slicings(GENDER_OF))
    of_women = [("test_000", "s1"), ("test_000", "s2"), ("test_001", "s1"), ("test_002", "s1")]
    assert [(row["slice"], row["n"], row["value"]) for row in own] == [
        ("F", 3, pytest.approx(mean(*of_women))),
        ("M", 1, pytest.approx(mean(("test_001", "s2")))),
    ]
    assert [(row["slice"], row["n"], row["value"]) for row in together] == [
        ("same", 1, pytest.approx(mean(("test_000", "s1"), ("test_000", "s2")))),
        ("different", 1, pytest.approx(mean(("test_001", "s1"), ("test_001", "s2")))),
    ]


def test_files_stand_beside_the_leaderboard(scores: ScoreFolder, tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "board.csv", [scores], talker_slicings(GENDER_OF))
    assert {path.name for path in paths} >= {"board_by_gender.csv", "board_by_genders.csv"}
    with (tmp_path / "board_by_gender.csv").open(newline="") as stream:
        assert [row["slice"] for row in csv.DictReader(stream)] == ["F", "M"]


def test_a_part_of_a_source_has_the_label_of_its_talker(make_set: MakeSet) -> None:
    (mixture,) = RenderedSet(make_set(n=1)).mixtures()
    first, second = mixture.sources
    early = first.model_copy(update={"references": ["early"]})
    targets = {"sources": [early, second], "targets": ["s1_early", "s2", "undegraded"]}
    labels = labels_of(mixture.model_copy(update=targets))
    assert labels == {"s1_early": "speaker_s1", "s2": "speaker_s2"}


def test_a_table_with_two_genders_of_one_talker_or_without_a_column_is_a_sentence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "talkers.csv"
    path.write_text("label,gender,age\n1,F,30\n2,,\n1,F,31\n")
    assert read_talkers(path) == {"1": "F"}
    path.write_text("label,gender\n1,F\n1,M\n")
    with pytest.raises(InputError, match="talker 1 is F and M"):
        read_talkers(path)
    path.write_text("speaker,gender\n1,F\n")
    with pytest.raises(InputError, match="no column 'label'"):
        read_talkers(path)
