"""Text in templates: escaped, visible, and fit for UTF-8."""

from pathlib import Path

import pytest

from mixgen.report.template import environment, number


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
