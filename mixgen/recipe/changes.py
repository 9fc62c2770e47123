"""What the options of a draw change in a recipe: numbers of mixtures, and their splits in corpora.

A manifest records the changes and the hash of the changed recipe, so what it was drawn by can be
made again from the recipe of its name.
"""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError

from mixgen.core.errors import UsageError
from mixgen.core.records import explain
from mixgen.manifest.file import RecipeChanges
from mixgen.recipe.schema import Recipe, SplitRule


def parse_mixtures(words: Iterable[str]) -> int | dict[str, int] | None:
    """Read numbers of mixtures that are written as N, for every split, or as SPLIT=N.

    Raises:
        UsageError: a word has another form, or N comes with other words.
    """
    numbers = {}
    for word in words:
        split, _, number = word.rpartition("=")
        if not (number.isascii() and number.isdigit() and len(number) < 10) or split in numbers:
            raise UsageError(f"--mixtures takes N or SPLIT=N, each split once, not {word!r}.")
        numbers[split] = int(number)
    if "" not in numbers:
        return numbers or None
    if len(numbers) > 1:
        raise UsageError("--mixtures takes one N for every split, or SPLIT=N for each.")
    return numbers[""]


def parse_source_splits(words: Iterable[str]) -> dict[str, list[str]]:
    """Read splits of the corpora that are written as SPLIT=NAME or SPLIT=NAME,NAME.

    Raises:
        UsageError: a word has another form.
    """
    chosen: dict[str, list[str]] = {}
    for word in words:
        split, _, names = word.partition("=")
        given = names.split(",")
        if not split or not all(given):
            raise UsageError(
                f"--splits takes SPLIT=NAME[,NAME], a split of the recipe and splits of the "
                f"corpora, not {word!r}."
            )
        chosen[split] = list(dict.fromkeys([*chosen.get(split, []), *given]))
    return chosen


def recipe_changes(
    recipe: Recipe,
    mixtures: int | Mapping[str, int] | None = None,
    source_splits: Mapping[str, Sequence[str]] | None = None,
) -> RecipeChanges:
    """Return the changes to a recipe, with the names of its splits.

    Args:
        recipe: the recipe to change.
        mixtures: how many, for every split or by split; as many as in the recipe by default.
        source_splits: for a split of the recipe, the splits of the corpora to take sources from.
    """
    if isinstance(mixtures, int):
        mixtures = dict.fromkeys(recipe.splits, mixtures)
    sources = {split: list(names) for split, names in (source_splits or {}).items()}
    return RecipeChanges(mixtures=dict(mixtures or {}), sources=sources)


def changed(recipe: Recipe, changes: RecipeChanges) -> Recipe:
    """Return the recipe with the changes.

    It is the recipe that one gets by writing them into the file, and has the same hash.

    Raises:
        UsageError: the recipe has no such split, or a value is not allowed.
    """
    splits = dict(recipe.splits)
    for split in (*changes.mixtures, *changes.sources):
        if split not in splits:
            known = ", ".join(splits)
            raise UsageError(f"The recipe has no split {split!r}: choose one of {known}.")
    try:
        for split, number in changes.mixtures.items():
            splits[split] = _with(splits[split], mixtures=number)
        for split, names in changes.sources.items():
            splits[split] = _with(splits[split], sources=_sources(splits[split], names))
    except ValidationError as error:
        raise UsageError(f"The recipe cannot be changed like this: {explain(error)}.") from None
    return recipe.model_copy(update={"splits": splits})


def _with(rule: SplitRule, **keys: object) -> SplitRule:
    return SplitRule.model_validate({**rule.model_dump(exclude_defaults=True), **keys})


def _sources(rule: SplitRule, names: Sequence[str]) -> object:
    """Return what `sources` would be in a file: for each kind that the rule has, or for all."""
    chosen = names[0] if len(names) == 1 else list(names)
    return dict.fromkeys(rule.sources, chosen) if isinstance(rule.sources, dict) else chosen
