"""Short ways to lay out a corpus in miniature and to list what its layout finds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mixgen.corpora.layout import Found, get_layout


@pytest.fixture
def lay_out(tmp_path: Path) -> Callable[..., Path]:
    """Write audio files without content, which no layout looks into, and texts; return the root."""

    def write(*audio: str, texts: dict[str, str] | None = None) -> Path:
        for name, text in {**dict.fromkeys(audio, ""), **(texts or {})}.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())  # line ends as given
        return tmp_path / "root"

    return write


@pytest.fixture
def find() -> Callable[[str, Path], dict[str, Found]]:
    """List what a layout finds, by path and sorted."""

    def listed(layout: str, root: Path) -> dict[str, Found]:
        found = sorted(get_layout(layout).find(root, "speech"), key=lambda item: item.path)
        return {item.path: item for item in found}

    return listed
