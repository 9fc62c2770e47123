"""WSJ0 as the sets of two and more of its talkers take it: its folder, paths and lists."""

import re
from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
from mixgen.published.importing import Corpus, FileKey

WSJ0_RATE = 16000

Wsj0 = Annotated[
    Path, typer.Option("--wsj0", help="Folder of WSJ0 as WAV, or the one that holds wsj0/.")
]

_SUBSET = re.compile(r"_([A-Za-z0-9-]+)$")


def wsj0_corpus(folder: Path) -> Corpus:
    """Return the corpus in the folder of WSJ0, or in the one that holds `wsj0`."""
    root = folder / "wsj0" if (folder / "wsj0").is_dir() else folder
    return Corpus("wsj0", root, "--wsj0", "wsj0", WSJ0_RATE)


def wsj0_file(path: str) -> FileKey:
    """Return the file of a path in a list, which may begin with `wsj0/`."""
    return "wsj0", path.removeprefix("wsj0/")


def subset_of(path: Path) -> str:
    """Return the subset that the name of a list ends with: tt for mix_2_spk_tt.txt.

    Raises:
        InputError: it ends with none.
    """
    subset = _SUBSET.search(path.stem)
    if subset is None:
        raise InputError(
            f"The name of {path} does not end with a subset, as mix_2_spk_tt.txt does with tt: "
            "rename the list."
        )
    return subset[1]
