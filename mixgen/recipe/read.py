"""Recipe files, and recipes that ship."""

from pathlib import Path

from mixgen.acoustics.echo_path import EchoRule, LoudspeakerRule
from mixgen.acoustics.room import SimulatedRoom
from mixgen.core.errors import InputError
from mixgen.core.records import Record
from mixgen.core.yaml_files import read_yaml_record
from mixgen.degradations import DEGRADATIONS
from mixgen.manifest.mixture import Clip
from mixgen.recipe.schema import Duration, Recipe, Rooms, Songs, SplitRule
from mixgen.recipe.song_match import MatchRule
from mixgen.recipe.source_group import Enrolment, SourceGroup, Turns


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: as in `read_yaml_record`.
    """
    return read_yaml_record(path, Recipe, _MODELS)


_MODELS: tuple[type[Record], ...] = (
    Recipe,
    SourceGroup,
    Turns,
    Enrolment,
    Duration,
    SplitRule,
    Songs,
    MatchRule,
    Rooms,
    SimulatedRoom,
    Clip,
    EchoRule,
    LoudspeakerRule,
    *(kind.rule for kind in DEGRADATIONS.values()),
)
_PACKAGE = Path(__file__).parents[1]


def open_recipe(recipe: str | Path | Recipe) -> Recipe:
    """Return a recipe that is given as a file, by the name of a shipped set, or already read.

    Raises:
        InputError: as `read_recipe`, or it is neither a file nor a shipped set.
    """
    return recipe if isinstance(recipe, Recipe) else read_recipe(find_recipe(recipe))


def shipped_folder() -> Path:
    """Return the folder of shipped sets: inside an installed package, beside it in a checkout."""
    installed = _PACKAGE / "manifests"
    return installed if installed.is_dir() else _PACKAGE.parent / "manifests"


def find_recipe(name: str | Path, file: str = "recipe.yaml") -> Path:
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
    raise InputError(f"{str(name)!r} is neither a recipe file nor a shipped set ({known}).")
