"""Shared base of every record that is read from or written to a file."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from mixgen.core.errors import InputError, SuiteError
from mixgen.core.files import stream_jsonl
from mixgen.core.paths import check_relative

_LONGEST_SHOWN = 80
_LONGEST_MESSAGE = 400


class Record(BaseModel):
    """A frozen record: unknown keys are refused, numbers must be finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data in the order of the fields."""
        return self.model_dump(mode="json")


class ExactRecord(Record):
    """A record of which programs write every value: a number is neither text nor true or false."""

    model_config = ConfigDict(strict=True)


def explain(error: ValidationError) -> str:
    """Return the first problem of a pydantic error as `where: what`."""
    first = error.errors(include_url=False)[0]
    where = ".".join(shown(part).strip("'") for part in first["loc"]) or "the record"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {_cut(message, _LONGEST_MESSAGE)}"


def shown(value: Any) -> str:
    """Return a value as sentences quote it: cut where it is long, half characters spelled out."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "an integer of thousands of digits"
    return _cut(text, _LONGEST_SHOWN)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


Rule = tuple[Callable[[Any], object], str]
"""What a record must not have (a function of it that finds that), and the sentence for it."""


def check_rules(record: Record, rules: Iterable[Rule]) -> None:
    """Check a record in one of pydantic's validators; `{}` in a sentence becomes what was found.

    Raises:
        ValueError: the record breaks a rule; with the sentence of the first one.
    """
    for find, sentence in rules:
        found = find(record)
        if found:
            raise ValueError(sentence.format(found))


def parse_record(kind: type[Record], data: Any, where: str) -> Any:
    """Build a `kind` from plain `data`.

    Raises:
        InputError: the data does not fit; the message begins with `where`.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where} is not valid: {explain(error)}.") from None


def as_value_error(check: Callable[[str], str], value: str) -> str:
    """Return `check(value)` for a pydantic validator, which reports only ValueErrors.

    Raises:
        ValueError: the check refuses the value; with the same sentence.
    """
    try:
        return check(value)
    except SuiteError as error:
        raise ValueError(str(error)) from None


Item = TypeVar("Item", bound=Record)


RelativePath = Annotated[str, AfterValidator(lambda path: as_value_error(check_relative, path))]


def read_header(path: Path, kind: type[Item]) -> Item:
    """Return the record on the first line.

    Raises:
        InputError: the file is missing or empty, or the line is not a record of this kind.
    """
    for where, data in stream_jsonl(path):
        header: Item = parse_record(kind, data, where)
        return header
    raise InputError(f"{path} is empty: it should begin with a header line; make it again.")


def read_records(path: Path, kind: type[Item]) -> Iterator[Item]:
    """Yield the records that follow the header.

    Raises:
        InputError: the file is missing, or a line is not a record of this kind; the sentence names
            the line.
    """
    for where, data in itertools.islice(stream_jsonl(path), 1, None):
        yield parse_record(kind, data, where)
