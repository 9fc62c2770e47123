"""A browser cuts nothing off a page, at the width of a desktop and of a tablet."""

import shutil
from pathlib import Path

import pytest

from mixgen.report import make_report
from mixgen.sets.rendered import open_rendered, write_rendered
from tests.browser import Browser

TABLES_BEYOND = """[...document.querySelectorAll(".files table")].map((table) =>
  Math.max(...[...table.querySelectorAll("th, td")].map((c) => c.getBoundingClientRect().right))
  - table.closest("figure").getBoundingClientRect().right)"""


@pytest.fixture(scope="module")
def page(kept_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose examples have all values of sources in rooms."""
    folder = tmp_path_factory.mktemp("rooms") / "set"
    shutil.copytree(kept_set, folder)
    rendered = open_rendered(folder)
    header, rows = rendered.header, list(rendered)
    values = {"level_db": -28.0, "energy_ratio_db": -24.38, "t60_s": 0.32, "drr_db": -12.88}
    in_rooms = [row.model_copy(update={"requested": values, "measured": values}) for row in rows]
    write_rendered(folder, header, in_rooms)
    return make_report(folder, folder.parent, examples=1)


@pytest.mark.parametrize("width", [1100, 700])
def test_nothing_is_cut_off(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.pixels_beyond() <= 0
    beyond = browser.evaluate(TABLES_BEYOND)
    assert len(beyond) == 2 * 4
    assert max(beyond) <= 0.5
    assert browser.problems == []
