"""Text in templates: escaped, visible, and fit for UTF-8."""

import base64
import hashlib
from pathlib import Path

import pytest

from mixgen.report.template import breakable, environment, number, read_script


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("a\u202eb\x1b[1m", "a\\u202eb\\x1b[1m"),
        ("half \ud800", "half \\ud800"),
        ("1\N{NO-BREAK SPACE}000 шум 🎵", "1\N{NO-BREAK SPACE}000 шум 🎵"),
    ],
)
def test_names_stay_text(tmp_path: Path, given: str, shown: str) -> None:
    (tmp_path / "t.html").write_text("{{ name }}")
    text = environment(tmp_path).get_template("t.html").render(name=given)
    assert text == shown
    text.encode()


def test_numbers_have_a_minus_sign_and_separators() -> None:
    assert [number(-1234.56, 1), number(-0.01, 1), number(None)] == ["−1,234.6", "0.0", "–"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("corpus/a_b/1-2.wav", "corpus/<wbr>a_<wbr>b/<wbr>1-2.wav"),
        ("a//b, c_", "a//<wbr>b, c_"),
        ("<b>/&amp;\u202e", "&lt;b&gt;/<wbr>&amp;amp;<wbr>\\u202e"),
        ("", ""),
    ],
)
def test_long_names_break_after_separators(name: str, shown: str) -> None:
    assert breakable(name) == shown


def test_a_script_is_allowed_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "own.js").write_text("own();")
    script = read_script(Path("tables.js"), tmp_path / "own.js")
    assert "function sortBy" in script.text
    assert script.text.endswith("\nown();")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert script.source == f"sha256-{digest}"
