"""Licences are judged by their names, and drawing and rendering say once what they forbid."""

from pathlib import Path

import pytest

from mixgen.draw.manifest import draw_manifest
from mixgen.manifest.uses import Terms, licence_warning, terms_of
from mixgen.render.set import render_set
from tests.mixgen.conftest import Corpus, MakeRecipe


@pytest.mark.parametrize(
    ("licence", "terms"),
    [
        ("", "not_stated"),
        ("  ", "not_stated"),
        ("CC0 1.0", "free"),
        ("CC0-1.0", "free"),
        ("CC BY 4.0", "free"),
        ("CC BY-SA 4.0", "free"),
        ("https://creativecommons.org/licenses/by/4.0/", "free"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "free"),
        ("Public domain (LibriVox recordings)", "free"),
        ("MIT", "free"),
        ("Apache-2.0", "free"),
        ("CC BY-NC 3.0", "not_commercial"),
        ("CC BY-NC-SA 4.0", "not_commercial"),
        ("cc_by_nc_4.0", "not_commercial"),
        ("http://creativecommons.org/licenses/by-nc/3.0/", "not_commercial"),
        ("Attribution-NonCommercial", "not_commercial"),
        ("for research purposes only", "not_commercial"),
        ("CC BY-ND 4.0", "not_known"),
        ("LDC User Agreement", "not_known"),
        ("Encyclopedia", "not_known"),
    ],
)
def test_the_name_of_a_licence_tells_its_terms(licence: str, terms: Terms) -> None:
    assert terms_of(licence) == terms


def test_free_licences_need_no_warning() -> None:
    assert licence_warning(["CC0", "CC BY 4.0", "CC0"]) is None
    assert licence_warning([]) is None


def test_a_warning_names_what_restricts_the_use() -> None:
    forbidding = [f"CC BY-NC {version}.0" for version in range(6)]
    assert licence_warning(["CC0", "LDC User Agreement", "", *forbidding]) == (
        "commercial use is forbidden by CC BY-NC 0.0, CC BY-NC 1.0, CC BY-NC 2.0, CC BY-NC 3.0 "
        "and 2 more; the terms of LDC User Agreement are not known here; some sources state "
        "no licence. `mixgen report` lists them."
    )


@pytest.mark.parametrize(
    ("licence", "words"),
    [("CC BY-NC 4.0", "commercial use is forbidden by CC BY-NC 4.0"), ("CC0", None)],
)
def test_drawing_and_rendering_say_it_in_one_line(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    licence: str,
    words: str | None,
) -> None:
    rows = [row.model_copy(update={"licence": licence}) for row in corpus.rows]
    draw_manifest(speech_recipe(), rows, tmp_path / "set.jsonl", roots=corpus.roots)
    drawn = capsys.readouterr().err
    render_set(tmp_path / "set.jsonl", tmp_path / "set", roots=corpus.roots)
    for text in (drawn, capsys.readouterr().err):
        lines = [line for line in text.splitlines() if line.startswith("licences: ")]
        assert len(lines) == (words is not None)
        assert words is None or words in lines[0]
