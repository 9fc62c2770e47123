"""Shared base of every record that is read from or written to a file."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mixgen.errors import InputError, SuiteError


class Record(BaseModel):
    """A frozen record: unknown keys are refused, numbers must be finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data in the order of the fields."""
        return self.model_dump(mode="json")


def explain(error: ValidationError) -> str:
    """Return the first problem of a pydantic error as `where: what`."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the record"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {message}"


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
    """Return `check(value)` for a pydantic validator, which reports ValueErrors alone.

    Raises:
        ValueError: the check refuses the value; in the same words.
    """
    try:
        return check(value)
    except SuiteError as error:
        raise ValueError(str(error)) from None
