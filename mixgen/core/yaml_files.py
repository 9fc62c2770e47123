"""YAML files: plain values only, and one sentence for whatever is wrong with a file."""

import contextlib
import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.core.files import read_text
from mixgen.core.records import Record, explain, shown

_LARGEST_KIB = 128
_DEEPEST = 50
_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, which no file can hold

Item = TypeVar("Item", bound=Record)


class _Refused(yaml.MarkedYAMLError):  # type: ignore[misc]  # PyYAML has no types
    """What this module refuses and YAML allows; the problem follows the line in the sentence."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader without deep values: its time grows with the square of the depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next value, unless it is too deep."""
        if self._depth == _DEEPEST:
            mark = self.peek_event().start_mark
            raise _Refused(
                problem=f"is nested more than {_DEEPEST} levels deep: write it flatter",
                problem_mark=mark,
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _OwnLoader(_Loader):
    """The loader of files that are written for this project, which have no use for aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next value, unless it is an alias."""
        if self.check_event(yaml.AliasEvent):  # a small file could blow up to gigabytes
            raise _Refused(
                problem="uses a YAML alias (*name): write the value out",
                problem_mark=self.peek_event().start_mark,
            )
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """Return the plain values in a YAML file.

    Raises:
        InputError: the file is missing or is not YAML; the message names the line.
    """
    return _parse(path, _Loader)[1]


def _parse(path: Path, loader: type[_Loader]) -> tuple[yaml.Node | None, Any]:
    """Return the tree of nodes of a YAML file, and its values."""
    text = read_text(path).removeprefix("\ufeff")
    with _yaml_errors(path):
        parser = loader(text)
        tree = parser.get_single_node()
        return tree, None if tree is None else parser.construct_document(tree)


@contextlib.contextmanager
def _yaml_errors(path: Path) -> Iterator[None]:
    """Turn errors of parsing the YAML of `path` into one InputError with the line."""
    try:
        yield
    # ValueError: a number of 5000 digits, or no such date.
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        what = "is not valid YAML: correct or restore it"
        if isinstance(error, _Refused):
            what = str(error.problem)
        raise InputError(f"{path}{line} {what}.") from None


def read_yaml_record(path: Path, kind: type[Item], models: Sequence[type[Record]]) -> Item:
    """Read a record of a `kind` that people write in YAML.

    Args:
        path: the file.
        kind: the record that the whole file is.
        models: all records that may be in it, whose keys are known.

    Raises:
        InputError: the file is missing or too large, is not plain YAML, or a key or value is not
            allowed; the sentence has the key, its line and the nearest known key.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > _LARGEST_KIB << 10:
        raise InputError(f"{path} is larger than {_LARGEST_KIB} KiB: this is no file of settings.")
    tree, values = _parse(path, _OwnLoader)
    if not isinstance(values, dict):
        raise InputError(f"{path} should be a list of `key: value` lines.")
    written = _Written(path, tree, models)
    written.check()
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}{written.hint(error)}.") from None


@dataclass(frozen=True)
class _Written:
    """The tree of a YAML file, to check what its values do not show, and to find lines."""

    path: Path
    tree: yaml.Node
    models: Sequence[type[Record]]

    def check(self) -> None:
        """Refuse keys that come twice, half characters, and truth values where none belongs.

        YAML would keep the last of two keys, and a number would take `true` as 1.
        """
        self._check(self.tree, "", frozenset(self._keys(bool)))

    def _check(self, node: yaml.Node, key: str, booleans: frozenset[str]) -> None:
        where = f"{self.path} line {node.start_mark.line + 1}"
        if isinstance(node, yaml.ScalarNode):
            if node.tag.endswith(":bool") and key not in booleans:
                raise InputError(
                    f"{where}: YAML reads {node.value!r} as true or false: give a number, or put "
                    "a word into quotes."
                )
            if _SURROGATE.search(node.value):
                raise InputError(f"{where}: {shown(node.value)} has half of a character.")
        for child in node.value if isinstance(node, yaml.SequenceNode) else ():
            self._check(child, key, booleans)
        seen: set[str] = set()
        for child, value in node.value if isinstance(node, yaml.MappingNode) else ():
            name = child.value if isinstance(child, yaml.ScalarNode) else ""
            if name in seen:
                line = child.start_mark.line + 1
                raise InputError(f"{self.path} line {line}: the key {shown(name)} comes twice.")
            seen.add(name)
            self._check(child, "", booleans)
            self._check(value, name, booleans)

    def hint(self, error: ValidationError) -> str:
        """Return the line, the problem and, for an unknown key, the nearest known one."""
        problems = error.errors(include_url=False)
        # A misspelt key is often reported as missing as well; the spelling helps more.
        first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        line = self._line_of(first["loc"])
        if first["type"] != "extra_forbidden":
            return f"{line}: {explain(error)}"
        key = str(first["loc"][-1])
        nearest = difflib.get_close_matches(key, self._keys(), n=1)
        meant = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        return f"{line}: the key {shown(key)} is not known{meant}"

    def _line_of(self, path: Sequence[int | str]) -> str:
        """Return the line of a value in the file, or of the nearest thing around it that exists."""
        line, node = None, self.tree
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if found is not None:
                    line, node = found[0].start_mark.line, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                node = node.value[part]
                line = node.start_mark.line
        return "" if line is None else f" line {line + 1}"

    def _keys(self, annotation: type | None = None) -> list[str]:
        """Return the known keys, or those whose value is of one type."""
        return sorted(
            {
                name
                for model in self.models
                for name, field in model.model_fields.items()
                if annotation in (None, field.annotation)
            }
        )
