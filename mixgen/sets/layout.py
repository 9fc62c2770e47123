"""Where the files of a mixture are in a rendered set: the tree that other programs expect."""

import re

from pydantic import field_validator

from mixgen.core.paths import check_relative
from mixgen.core.records import Record, as_value_error
from mixgen.manifest.mixture import MIXTURE, Mixture, published_of

_KEYS = ("id", "file", "name", "folder", "type")
_KEY = re.compile(r"\{(\w+)\}")


class Layout(Record):
    """A tree of files: paths without suffix, relative to its root, in which keys stand for words.

    `{id}` is the id of the mixture and `{file}` the name of the file; `{name}`, `{folder}` and
    `{type}` are those of the record's `published`, which may call files otherwise.

    Attributes:
        name: by which users choose it.
        mixture: path of the mixture.
        source: path of the file of a source.
        needs_ratios: whether the energy of every source against the rest of its mixture is
            measured, because a table of the set has it.
    """

    name: str
    mixture: str
    source: str
    needs_ratios: bool = False

    @field_validator("mixture", "source")
    @classmethod
    def _has_known_keys(cls, path: str) -> str:
        unknown = sorted(set(_KEY.findall(path)) - set(_KEYS))
        if unknown or "{" in _KEY.sub("", path):
            raise ValueError(f"a path of a layout has the keys {', '.join(_KEYS)} alone")
        return as_value_error(check_relative, path)

    def path(self, mixture: Mixture, file: str) -> str:
        """Return the path of a file of a mixture, without suffix.

        Raises:
            InputError: the layout is that of a published set, and the mixture of none.
        """
        words = {"id": mixture.id, "file": file}
        if self is not NATIVE:
            published = published_of(mixture)
            words |= {"name": published.name, "folder": published.folder, "type": published.type}
            words["file"] = published.files.get(file, file)
        return _KEY.sub(lambda key: words[key[1]], self.mixture if file == MIXTURE else self.source)


NATIVE = Layout(name="native", mixture="{id}/{file}", source="{id}/{file}")
FINISHED = Layout(name="finished", mixture="{id}/{file}", source="{id}/{file}")
"""The files are those that the records name."""
