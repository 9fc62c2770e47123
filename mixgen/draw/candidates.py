"""Which source files may serve a group of a recipe in a split."""

from collections import Counter
from collections.abc import Callable, Sequence

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.sources import SourceRow
from mixgen.draw.songs import salient_starts
from mixgen.recipe.schema import Recipe
from mixgen.recipe.source_group import SourceGroup

Rows = list[SourceRow]


class Candidates:
    """Finds the files of a list of sources that fit what a recipe asks for in one split."""

    def __init__(self, recipe: Recipe, rows: Sequence[SourceRow], split: str) -> None:
        self._recipe = recipe
        self._rows = rows
        self._split = split

    def of_group(self, group: SourceGroup) -> Rows:
        """Return the files that may serve a group.

        Raises:
            InputError: there is none; the sentence has the condition that excluded the last ones.
        """
        found = self.of_kind(group.kind, repr(group.name))
        for condition, keep in _CONDITIONS.items():
            left = keep(self._recipe, group, found)
            if not left:
                raise InputError(
                    f"None of {len(found)} {group.kind} source(s) of split {self._split!r} is left "
                    f"for {group.name!r} by {condition}: index more, or change the recipe."
                )
            found = left
        return found

    def of_kind(self, kind: Kind, user: str) -> Rows:
        """Return the files of a kind that feed the split; `user` is who needs them, for the error.

        Raises:
            InputError: there is none; the sentence has the splits that there are.
        """
        rule = self._recipe.splits[self._split]
        allowed = rule.source_splits(kind)
        found = [
            row
            for row in self._rows
            if row.kind == kind
            and (allowed is None or row.split in allowed)
            and rule.holds_label(kind, row.label)
        ]
        if found:
            return found
        splits = sorted({row.split or "(none)" for row in self._rows if row.kind == kind})
        have = f"their splits are {', '.join(splits)}" if splits else "there are none of that kind"
        raise InputError(
            f"No {kind} source fits {user} in split {self._split!r} (wanted from "
            f"{allowed or 'any split'}; {have}): index more, or say which to take "
            f"(`--splits {self._split}=NAME`)."
        )


def _with_label(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    labels = [group.stem] if group.kind == "music" else group.labels
    return [row for row in rows if labels is None or row.label in labels]


def _short_enough(recipe: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Exclude utterances that are longer than any mixture: they can be no turn."""
    limit_s = recipe.duration.seconds or recipe.duration.limit_s
    if group.turns is None or limit_s is None:
        return rows
    return [row for row in rows if row.duration_s <= limit_s]


def _with_another_utterance(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Exclude talkers who have no second utterance to enrol with."""
    utterances = Counter(row.owner for row in rows)
    return [row for row in rows if group.enrolment is None or utterances[row.owner] > 1]


def _salient(recipe: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Exclude files without a salient excerpt; songs are checked with all of their stems."""
    share, seconds = group.salient, recipe.duration.seconds or 0.0
    if share is None or group.kind == "music":
        return rows
    return [row for row in rows if salient_starts([row], share, seconds)]


_CONDITIONS: dict[str, Callable[[Recipe, SourceGroup, Rows], Rows]] = {
    "its labels": _with_label,
    "`label_share`": lambda _, group, rows: [r for r in rows if group.holds_label(r.label)],
    "`corpora`": lambda _, group, rows: [
        row for row in rows if group.corpora is None or row.corpus in group.corpora
    ],
    "`shortest_s`": lambda _, group, rows: [r for r in rows if r.duration_s >= group.shortest_s],
    "the length of the mixtures": _short_enough,
    "`enrolment`, for which talkers need two utterances": _with_another_utterance,
    "`salient`": _salient,
}
