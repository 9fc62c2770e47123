"""The text of the recipe that a set was drawn from."""

from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.files import read_text
from mixgen.recipe.read import find_recipe, read_recipe, shipped_folder
from mixgen.report.rows import ReportSource

_RECIPE_FILE = "recipe.yaml"


def recipe_text(source: ReportSource, given: str | Path | None) -> str | None:
    """Return the text of the recipe with the hash that the manifest records; None if not found.

    A recipe that is not given is looked for beside the manifest and among the shipped sets.

    Raises:
        InputError: the given recipe cannot be read, or is not that of the set.
    """
    if given is not None:
        path = find_recipe(given)
        if read_recipe(path).sha256 != source.header.recipe_sha256:
            raise InputError(
                f"{path} is not the recipe that the set was drawn from "
                f"({source.header.recipe_sha256[:12]}): give that one, or leave --recipe out."
            )
        return read_text(path)
    return next((text for path in _candidates(source) if (text := _text(path, source))), None)


def _candidates(source: ReportSource) -> list[Path]:
    shipped = shipped_folder().glob(f"*/{_RECIPE_FILE}")
    # The name in a manifest is text from outside, and makes no path.
    named = [path for path in shipped if path.parent.name == source.header.name]
    return [source.manifest.path.with_name(_RECIPE_FILE), *named]


def _text(path: Path, source: ReportSource) -> str | None:
    try:
        fits = path.is_file() and read_recipe(path).sha256 == source.header.recipe_sha256
        return read_text(path) if fits else None
    except InputError:
        return None
