"""Slices by what is known of talkers beside the manifest: their gender, from a table."""

from collections.abc import Mapping
from pathlib import Path

from evalsuite.boards.slices import Bin, Slicing
from evalsuite.scoring.folder import SystemScores
from evalsuite.scoring.records import ItemRow
from mixgen.core.errors import InputError
from mixgen.corpora.tables import read_table

COLUMNS = ("label", "gender")


def read_talkers(path: Path) -> dict[str, str]:
    """Return talker to gender, from a CSV file with the columns `label` and `gender`.

    `label` is that of sources.csv and items.jsonl; genders have any names, and talkers without one
    are left out.

    Raises:
        InputError: the file lacks a column, or has two genders of one talker.
    """
    gender_of: dict[str, str] = {}
    for row in read_table(path, COLUMNS):
        label, gender = (row[column].strip() for column in COLUMNS)
        if gender and gender_of.setdefault(label, gender) != gender:
            raise InputError(
                f"{path} says that talker {label} is {gender_of[label]} and {gender}: keep one."
            )
    return gender_of


def talker_slicings(gender_of: Mapping[str, str]) -> tuple[Slicing, Slicing]:
    """Return the slicing of references by gender, and that of mixtures by equal genders.

    A mixture is in `same` or `different` if it has two talkers or more and the genders of all are
    known.

    Args:
        gender_of: label of a talker to gender.
    """

    def own(row: ItemRow, _scores: SystemScores) -> Bin | None:
        """Return the gender of the row's talker."""
        gender = None if row.reference is None else gender_of.get(row.label)
        return None if gender is None else (0.0, gender)

    def together(row: ItemRow, scores: SystemScores) -> Bin | None:
        """Return whether all talkers of the row's mixture have the same gender."""
        genders = [gender_of.get(label) for label in scores.labels_of.get(row.id, ())]
        if len(genders) < 2 or None in genders:
            return None
        return (0.0, "same") if len(set(genders)) == 1 else (1.0, "different")

    return Slicing("gender", own), Slicing("genders", together)
