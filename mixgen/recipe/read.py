"""Recipe files and shipped recipes: plain YAML, with the line in every error."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from mixgen.acoustics.echo_path import EchoRule, LoudspeakerRule
from mixgen.acoustics.room import SimulatedRoom
from mixgen.core.errors import InputError
from mixgen.core.files import read_text
from mixgen.core.records import Record, explain
from mixgen.core.yaml_files import yaml_errors
from mixgen.degradations import DEGRADATIONS
from mixgen.manifest.mixture import Clip
from mixgen.recipe.schema import Duration, Recipe, Rooms, Songs, SplitRule
from mixgen.recipe.song_match import MatchRule
from mixgen.recipe.source_group import Enrolment, SourceGroup, Turns

_LARGEST_FILE = 1 << 20


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: the file is missing or too large, is not plain YAML, or a key or value is not
            allowed; the sentence has the key, its line and the nearest allowed name.
    """
    if Path(path).is_file() and Path(path).stat().st_size > _LARGEST_FILE:
        raise InputError(f"{path} is larger than 1 MiB, which no recipe is.")
    text = read_text(path)
    with yaml_errors(path):
        # Anchors could blow a small file up to gigabytes, and a recipe has no use for them.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InputError(f"{path} uses a YAML alias (*name): write the value out.")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        _check_keys(tree, path)
        data = yaml.safe_load(text)
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a recipe: it should be a list of `key: value` lines.")
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}{_hint(error, tree)}.") from None


def _check_keys(node: yaml.Node | None, path: Path) -> None:
    """Refuse a key that comes twice: YAML would silently keep the last one."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item, path)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                line = key.start_mark.line + 1
                raise InputError(f"{path} line {line}: the key {name!r} comes twice.")
            seen.add(name)
            _check_keys(value, path)


def _hint(error: ValidationError, tree: yaml.Node | None) -> str:
    """Return the line, the problem and, for an unknown key, the nearest allowed one."""
    problems = error.errors(include_url=False)
    # A misspelt key is often reported as missing as well; the spelling helps more.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    keys = [str(part) for part in first["loc"] if isinstance(part, str)]
    line = _line_of(first["loc"], tree)
    if first["type"] != "extra_forbidden":
        return f"{line}: {explain(error)}"
    nearest = difflib.get_close_matches(keys[-1], _all_keys(), n=1)
    meant = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    return f"{line}: the key {keys[-1]!r} is not known{meant}"


def _line_of(path: Sequence[int | str], node: yaml.Node | None) -> str:
    """Return the line of a value in the file, or of the nearest thing around it that exists."""
    line = None
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is not None:
                line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return "" if line is None else f" line {line + 1}"


def _all_keys() -> list[str]:
    models: list[type[Record]] = [
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
    ]
    models += [kind.rule for kind in DEGRADATIONS.values()]
    return sorted({name for model in models for name in model.model_fields})


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
