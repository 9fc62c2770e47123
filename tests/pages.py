"""What tests ask of a page: its elements, its text, and that a hostile name stays text."""

from html.parser import HTMLParser
from pathlib import Path

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self, tag: str) -> list[str]:
        """Return the `src` of every element of a kind."""
        return [attrs["src"] or "" for name, attrs in self.elements if name == tag]

    def having(self, *names: str) -> list[dict[str, str]]:
        """Return the attributes of every element that has all of these."""
        return [
            {name: value or "" for name, value in attrs.items()}
            for _, attrs in self.elements
            if all(name in attrs for name in names)
        ]
