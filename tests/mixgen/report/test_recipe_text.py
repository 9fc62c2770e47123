"""The page shows the recipe that the set was drawn from, and no other."""

import shutil
from pathlib import Path

import pytest
import yaml

from mixgen.core.errors import InputError
from mixgen.manifest.file import open_manifest, write_manifest
from mixgen.recipe.read import read_recipe, shipped_folder
from mixgen.report import make_report
from tests.mixgen.conftest import SPEECH_RECIPE
from tests.mixgen.report.conftest import FactsIn
from tests.pages import Page

_TEXT = "# made for <b>tests</b>\n" + yaml.safe_dump(SPEECH_RECIPE)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The recipe of the tiny speech set, as a file."""
    path = tmp_path / "mine.yaml"
    path.write_text(_TEXT)
    return path


def test_a_given_recipe_is_shown(
    kept_set: Path, recipe: Path, tmp_path: Path, facts_in: FactsIn
) -> None:
    page = Page(make_report(kept_set, tmp_path / "r", examples=0, recipe=recipe))
    assert facts_in(tmp_path / "r")["recipe"] == _TEXT
    assert _TEXT in page.text


def test_a_recipe_beside_the_manifest_is_found(
    kept_set: Path, recipe: Path, tmp_path: Path, facts_in: FactsIn
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    recipe.rename(folder / "recipe.yaml")
    make_report(folder, tmp_path / "r", examples=0)
    assert facts_in(tmp_path / "r")["recipe"] == _TEXT


def test_another_recipe_is_refused_or_left_out(
    kept_set: Path, recipe: Path, tmp_path: Path, facts_in: FactsIn
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    recipe.write_text(_TEXT.replace("seconds: 0.8", "seconds: 0.9"))
    with pytest.raises(InputError, match=r"mine\.yaml is not the recipe that the set was drawn"):
        make_report(folder, tmp_path / "r", recipe=recipe)
    recipe.rename(folder / "recipe.yaml")
    page = Page(make_report(folder, tmp_path / "r", examples=0))
    assert facts_in(tmp_path / "r")["recipe"] is None
    assert "mixgen report --recipe FILE" in page.text
    (folder / "recipe.yaml").write_text("not: [a recipe")
    make_report(folder, tmp_path / "r", examples=0)


def test_a_shipped_recipe_is_found_by_name_and_hash(
    kept_set: Path, tmp_path: Path, facts_in: FactsIn
) -> None:
    shipped = shipped_folder() / "starter_2mix" / "recipe.yaml"
    kept = open_manifest(kept_set / "manifest.jsonl")
    path = tmp_path / "manifest.jsonl"
    for name, found in (("starter_2mix", True), ("../starter_2mix", False), ("nothing", False)):
        changes = {"name": name, "recipe_sha256": read_recipe(shipped).sha256}
        write_manifest(path, kept.header.model_copy(update=changes), kept)
        make_report(path, tmp_path / "r")
        text = shipped.read_text() if found else None
        assert facts_in(tmp_path / "r")["recipe"] == text
