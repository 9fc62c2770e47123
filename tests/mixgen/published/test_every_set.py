"""Properties of every published set: each new set is tested here as soon as it is registered."""

import string

import pytest

from mixgen.core.registry import names_in
from mixgen.published.published_set import published_sets
from mixgen.recipe.read import shipped_folder
from tests.mixgen.conftest import RunMixgen

SETS = sorted(published_sets())
TREES = sorted(name for name, entry in published_sets().items() if entry.layout)


def test_folders_of_finished_files_alone_have_no_tree() -> None:
    assert set(SETS) - set(TREES) == {"folder", "aecchallenge"}


@pytest.mark.parametrize("name", sorted({*SETS} - {"folder"}))
def test_every_set_has_a_card_and_a_layout_of_its_name(name: str) -> None:
    entry = published_sets()[name]
    assert entry.layout is None or entry.layout.name == entry.name == name
    card = (shipped_folder() / name / "card.md").read_text(encoding="utf-8")
    for word in ("**Paper**", "**Licence**", "**Samples**", "**Pitfalls**", "commit"):
        assert word in card
    modules = [module.replace("_", "") for module in names_in("mixgen.published")]
    assert any(module.startswith(name) for module in modules)


@pytest.mark.parametrize("name", SETS)
def test_the_command_of_every_set_has_help_with_an_example(name: str, mixgen: RunMixgen) -> None:
    answer = mixgen("import", name, "--help")
    assert answer.exit_code == 0
    words = answer.out.translate(str.maketrans(string.whitespace, " " * len(string.whitespace)))
    assert f"Example: mixgen import {name} " in words
    assert "--allow-missing" in words


def test_the_group_lists_every_set(mixgen: RunMixgen) -> None:
    answer = mixgen("import", "--help")
    assert all(name in answer.out for name in SETS)
    assert mixgen("import", "librimx").exit_code == 2
