"""Recipe files: read as plain YAML, and what is wrong told with its line."""

import difflib
from pathlib import Path

import yaml
from pydantic import ValidationError

from mixgen.degradations import DEGRADATIONS
from mixgen.echo import EchoRule, LoudspeakerRule
from mixgen.errors import InputError
from mixgen.files import read_text
from mixgen.manifest import Clip
from mixgen.match import Match
from mixgen.recipe import (
    Duration,
    Enrolment,
    Recipe,
    Rooms,
    Songs,
    SourceGroup,
    SplitRule,
    Turns,
)
from mixgen.records import Record, explain
from mixgen.rooms.geometry import RoomShape

_LARGEST_FILE = 1 << 20


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: the file is missing or too large, is not plain YAML, or a key or value is not
            allowed; the key, its line and the nearest allowed name are told.
    """
    if Path(path).is_file() and Path(path).stat().st_size > _LARGEST_FILE:
        raise InputError(f"{path} is larger than 1 MiB, which no recipe is.")
    text = read_text(path)
    try:
        # Anchors could blow a small file up to gigabytes, and a recipe has no use for them.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InputError(f"{path} uses a YAML alias (*name): write the value out.")
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line} is not valid YAML.") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a recipe: it should be a list of `key: value` lines.")
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}{_hint(error, text)}.") from None


def _hint(error: ValidationError, text: str) -> str:
    """Return the line, the problem and, for an unknown key, the nearest allowed one."""
    problems = error.errors(include_url=False)
    # A misspelt key is often a missing one as well; the spelling is what helps.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    keys = [str(part) for part in first["loc"] if isinstance(part, str)]
    line = _line_of(keys[-1], text) if keys else ""
    if first["type"] != "extra_forbidden":
        return f"{line}: {explain(error)}"
    nearest = difflib.get_close_matches(keys[-1], _all_keys(), n=1)
    meant = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    return f"{line}: the key {keys[-1]!r} is not known{meant}"


def _line_of(key: str, text: str) -> str:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip().lstrip("- {").startswith(f"{key}:"):
            return f" line {number}"
    return ""


def _all_keys() -> list[str]:
    models: list[type[Record]] = [
        Recipe,
        SourceGroup,
        Turns,
        Enrolment,
        Duration,
        SplitRule,
        Songs,
        Match,
        Rooms,
        RoomShape,
        Clip,
        EchoRule,
        LoudspeakerRule,
    ]
    models += [rule for _, rule in DEGRADATIONS.values()]
    return sorted({name for model in models for name in model.model_fields})
