"""Templates of pages that need no network, in which names stay text."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_SHARED = Path(__file__).parent / "templates"
_BREAKS = re.compile(r"(?<=[/_@,;])(?=[^\s/_@,;])")

# Control codes, marks without width that hide or reorder text, and halves of surrogate pairs.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def environment(folder: Path, **filters: Callable[..., Any]) -> jinja2.Environment:
    """Return an environment for the templates in a folder.

    Templates may include those that all pages share, such as `style.css`. Beside the given filters
    there are `number`, a number with thousands separators and as many decimals as it is given, and
    `breakable`, a name that a line may break after its separators.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters.update(number=number, breakable=breakable, **filters)
    return made


def _finalize(value: Any) -> Any:
    """Spell out characters that nobody sees, some of which UTF-8 cannot hold."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], value)
    return value


@dataclass(frozen=True)
class Script:
    """A script inside a page, and the source that its content security policy allows."""

    text: Markup
    source: str


def read_script(*files: Path) -> Script:
    """Return files of this project, one after the other, as one script.

    A name of a file without a folder is that of a script which all pages share.
    """
    text = "\n".join((_SHARED / file).read_text(encoding="utf-8") for file in files)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(Markup(text), f"sha256-{digest}")


def breakable(name: str) -> Markup:
    """Return an escaped name which lines may break after its slashes, underscores and commas."""
    return Markup("<wbr>").join(str(_finalize(part)) for part in _BREAKS.split(name))


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with thousands separators; a dash for None."""
    if value is None:
        return "–"
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−")
