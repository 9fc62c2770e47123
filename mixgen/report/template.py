"""Templates of pages that need no network, in which names stay text."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_HERE = Path(__file__).parent

# Control codes, marks without width that hide or reorder text, and halves of surrogate pairs.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def environment(folder: Path, **filters: Callable[..., Any]) -> jinja2.Environment:
    """Return an environment for the templates in a folder.

    Templates may include `style.css`, which all pages share. Beside the given filters there is
    `number`: a number with thousands separators and as many decimals as it is told.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters.update(number=number, **filters)
    return made


def _finalize(value: Any) -> Any:
    """Spell out characters that nobody sees, some of which UTF-8 cannot hold."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], value)
    return value


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with thousands separators; a dash for None."""
    if value is None:
        return "–"
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−")
