"""What is registered is found, is called like its file, and never twice."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from baselines.model import ModelSpec
from mixgen.core.errors import SuiteError, UsageError
from mixgen.core.registry import add, choose, collect, names_in
from mixgen.corpora.layout import Layout
from mixgen.degradations.degradation import DegradationKind
from mixgen.export.exporter import Exporter

REGISTRIES = {
    "mixgen.corpora.layouts": (Layout, set()),
    "mixgen.degradations": (DegradationKind, {"degradation"}),
    "mixgen.export": (Exporter, {"exporter"}),
    "baselines.models": (ModelSpec, set()),
}


@dataclass(frozen=True)
class Colour:
    """Something to register."""

    name: str


@pytest.mark.parametrize("package", REGISTRIES)
def test_every_module_registers_one_thing_of_its_own_name(package: str) -> None:
    kind, machinery = REGISTRIES[package]
    # A module cannot have the signs of TDCN++ in its name.
    names = [re.sub(r"\W", "", name) for name in collect(package, kind)]
    assert names == sorted(set(names_in(package)) - machinery)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of colours; `shade` is no colour."""
    folder = tmp_path / "colours_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    head = f"import sys; Colour = sys.modules[{__name__!r}].Colour\n"
    (folder / "red.py").write_text(f"{head}RED = Colour('red')\n")
    (folder / "blues.py").write_text(f"{head}BLUES = (Colour('navy'), Colour('azure'))\n")
    (folder / "_hidden.py").write_text("raise AssertionError")
    (folder / "shade.py").write_text(f"{head}NAME = 'red'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_entries_are_found_alone_and_in_tuples(package: Path) -> None:
    found = collect(package.name, Colour)
    assert found == {name: Colour(name) for name in ("azure", "navy", "red")}
    assert names_in(package.name) == ["blues", "red", "shade"]


def test_two_of_one_name_are_refused() -> None:
    colours = {"red": Colour("red")}
    add(colours, "red", colours["red"], "the colours")
    with pytest.raises(SuiteError, match="Two entries of the colours are called 'red'"):
        add(colours, "red", Colour("red"), "the colours")


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    colours = {"red": 1, "navy": 2}
    assert choose(colours, "navy", "colour") == 2
    sentence = "There is no colour 'nawy': choose one of red, navy. Did you mean 'navy'?"
    with pytest.raises(UsageError) as refusal:
        choose(colours, "nawy", "colour")
    assert str(refusal.value) == sentence
