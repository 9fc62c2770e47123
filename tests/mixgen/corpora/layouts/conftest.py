"""Write a miniature of a corpus, and list the files that a layout finds in it."""

from pathlib import Path
from typing import Protocol

import pytest

from mixgen.corpora.layout import Found, get_layout


class LayOut(Protocol):
    """Write audio files and texts below a root, and return the root."""

    def __call__(self, *audio: str, texts: dict[str, str] | None = None) -> Path: ...


class Find(Protocol):
    """Return the files that a layout finds below a root, sorted, by their path."""

    def __call__(self, layout: str, root: Path) -> dict[str, Found]: ...


@pytest.fixture
def lay_out(tmp_path: Path) -> LayOut:
    """A miniature below `tmp_path`; its audio files are empty, because layouts do not open them."""

    def write(*audio: str, texts: dict[str, str] | None = None) -> Path:
        for name, text in {**dict.fromkeys(audio, ""), **(texts or {})}.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())  # keeps the line ends
        return tmp_path / "root"

    return write


@pytest.fixture
def find() -> Find:
    """The files of a layout, as an index of speech would find them."""

    def listed(layout: str, root: Path) -> dict[str, Found]:
        found = sorted(get_layout(layout).find(root, "speech"), key=lambda item: item.path)
        return {item.path: item for item in found}

    return listed
