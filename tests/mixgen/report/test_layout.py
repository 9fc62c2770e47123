"""A browser cuts nothing off a page, at the width of a desktop and of a tablet."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mixgen.report import make_report
from mixgen.sets.rendered import open_rendered, write_rendered

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MEASURE = """<script>
const inner = (cell) => cell.getBoundingClientRect().right;
const right = (table) => Math.max(...[...table.querySelectorAll("th, td")].map(inner));
const over = (table) => right(table) - table.closest("figure").getBoundingClientRect().right;
document.title = JSON.stringify({
  page: document.documentElement.scrollWidth - window.innerWidth,
  tables: [...document.querySelectorAll(".files table")].map(over),
});
</script>"""


@pytest.fixture(scope="module")
def page(kept_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose examples have all values of sources in rooms, with a script that measures it."""
    folder = tmp_path_factory.mktemp("rooms") / "set"
    shutil.copytree(kept_set, folder)
    rendered = open_rendered(folder)
    header, rows = rendered.header, list(rendered)
    values = {"level_db": -28.0, "energy_ratio_db": -24.38, "t60_s": 0.32, "drr_db": -12.88}
    in_rooms = [row.model_copy(update={"requested": values, "measured": values}) for row in rows]
    write_rendered(folder, header, in_rooms)
    path = make_report(folder, folder.parent, examples=1)
    text = re.sub(r"<meta http-equiv[^>]*>", "", path.read_text(encoding="utf-8"))
    path.write_text(text.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    return path


def _measured(page: Path, width: int, profile: Path) -> Any:
    """Return by how many pixels the page and its tables exceed their containers."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser to lay the page out: install chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    answer = subprocess.run(
        [browser, *options, f"--window-size={width},900", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search("<title>(.*?)</title>", answer.stdout)
    assert title is not None
    return json.loads(html.unescape(title[1]))


@pytest.mark.parametrize("width", [1100, 700])
def test_nothing_is_cut_off(page: Path, tmp_path: Path, width: int) -> None:
    measured = _measured(page, width, tmp_path)
    assert measured["page"] <= 0
    assert len(measured["tables"]) == 2 * 4
    assert max(measured["tables"]) <= 0.5
