"""Which source files may serve a group of a recipe in a split."""

from collections import Counter
from collections.abc import Callable, Sequence

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.sources import SourceRow
from mixgen.draw.songs import salient_starts
from mixgen.recipe.schema import Recipe, SourceGroup


def candidates(
    recipe: Recipe, group: SourceGroup, rows: Sequence[SourceRow], split: str
) -> list[SourceRow]:
    """Return the files that may serve a group in a split.

    Raises:
        InputError: there is none; what left none is told.
    """
    found = of_split(recipe, group.kind, rows, split)
    found = found_or_error(found, recipe, group.kind, rows, split, repr(group.name))
    for what, keep in _FILTERS.items():
        left = keep(recipe, group, found)
        if not left:
            raise InputError(
                f"None of {len(found)} {group.kind} source(s) of split {split!r} is left for "
                f"{group.name!r} by {what}: index more, or change the recipe."
            )
        found = left
    return found


Rows = list[SourceRow]


def _of_labels(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    labels = [group.stem] if group.kind == "music" else group.labels
    return [row for row in rows if labels is None or row.label in labels]


def _of_share(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    return [row for row in rows if group.holds_label(row.label)]


def _of_corpora(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    return [row for row in rows if group.corpora is None or row.corpus in group.corpora]


def _long_enough(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    return [row for row in rows if row.duration_s >= group.shortest_s]


def _short_enough(recipe: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Leave out the utterances that can be no turn, because no mixture is so long."""
    limit_s = recipe.duration.seconds or recipe.duration.limit_s
    if group.turns is None or limit_s is None:
        return rows
    return [row for row in rows if row.duration_s <= limit_s]


def _with_another(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Leave out talkers who have no other utterance to enrol with."""
    utterances = Counter(row.owner for row in rows)
    return [row for row in rows if group.enrolment is None or utterances[row.owner] > 1]


def _salient(recipe: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Leave out files without a salient excerpt; of songs all stems have to be looked at."""
    share, seconds = group.salient, recipe.duration.seconds or 0.0
    if share is None or group.kind == "music":
        return rows
    return [row for row in rows if salient_starts([row], share, seconds)]


_FILTERS: dict[str, Callable[[Recipe, SourceGroup, Rows], Rows]] = {
    "its labels": _of_labels,
    "`label_share`": _of_share,
    "`corpora`": _of_corpora,
    "`shortest_s`": _long_enough,
    "the length of the mixtures": _short_enough,
    "`enrolment`, for which talkers need two utterances": _with_another,
    "`salient`": _salient,
}


def of_split(recipe: Recipe, kind: Kind, rows: Sequence[SourceRow], split: str) -> list[SourceRow]:
    rule = recipe.splits[split]
    allowed = rule.source_splits(kind)
    return [
        row
        for row in rows
        if row.kind == kind
        and (allowed is None or row.split in allowed)
        and rule.holds_label(kind, row.label)
    ]


def found_or_error(
    found: list[SourceRow],
    recipe: Recipe,
    kind: Kind,
    rows: Sequence[SourceRow],
    split: str,
    user: str,
) -> list[SourceRow]:
    """Return what was found; raise InputError, with what there is, where that is nothing."""
    if found:
        return found
    wanted = recipe.splits[split].source_splits(kind) or "any split"
    splits = sorted({row.split or "(none)" for row in rows if row.kind == kind})
    have = f"their splits are {', '.join(splits)}" if splits else "there are none of that kind"
    raise InputError(
        f"No {kind} source fits {user} in split {split!r} "
        f"(wanted from {wanted}; {have}): index more, or change the recipe."
    )
