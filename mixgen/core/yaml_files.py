"""YAML files: plain values only, and one sentence for whatever is wrong with a file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mixgen.core.errors import InputError
from mixgen.core.files import read_text


def read_yaml(path: Path) -> Any:
    """Return the plain values in a YAML file.

    Raises:
        InputError: the file is missing or is not YAML; the message names the line.
    """
    text = read_text(path).removeprefix("\ufeff")
    with yaml_errors(path):
        return yaml.safe_load(text)


@contextlib.contextmanager
def yaml_errors(path: Path) -> Iterator[None]:
    """Turn errors of parsing the YAML of `path` into one InputError with the line."""
    try:
        yield
    # RecursionError: thousands of brackets; ValueError: a number of 5000 digits, or no such date.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line} is not valid YAML: correct or restore it.") from None
