"""The recipes and manifests that come with the package."""

from pathlib import Path

from mixgen.errors import InputError

_HERE = Path(__file__).parent


def shipped_folder() -> Path:
    """Return the folder of shipped sets: inside an installed package, beside it in a checkout."""
    installed = _HERE / "manifests"
    return installed if installed.is_dir() else _HERE.parent / "manifests"


def find_recipe(name: str, file: str = "recipe.yaml") -> Path:
    """Return the path of a recipe given as a file, or by the name of a shipped set.

    Raises:
        InputError: it is neither.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    shipped = shipped_folder() / name / file
    if shipped.is_file():
        return shipped
    known = ", ".join(sorted(p.parent.name for p in shipped_folder().glob(f"*/{file}")))
    raise InputError(f"{name!r} is neither a recipe file nor a shipped set ({known}).")
