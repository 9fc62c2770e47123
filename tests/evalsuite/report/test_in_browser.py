"""The page in a browser: it sorts, plays, fits a phone, and asks for nothing but its own files."""

import math
from pathlib import Path

import pytest

from evalsuite.report import make_report
from tests.browser import Browser
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet
from tests.evalsuite.report.conftest import read_csv
from tests.pages import HOSTILE

COLUMN = """[...document.querySelectorAll('.board [data-column="{0}"]')]
  .map((cell) => cell.dataset.value)"""
CLICK = """[...document.querySelectorAll(".board thead button")]
  .find((button) => button.textContent === "{0}").click()"""


@pytest.fixture
def page(three_systems: tuple[Path, Path], tmp_path: Path) -> Path:
    """The page of three systems on one set."""
    folder, results = three_systems
    return make_report([results], tmp_path / "page", sets=[folder])


def column(browser: Browser, name: str) -> list[str]:
    values: list[str] = browser.evaluate(COLUMN.format(name))
    return values


def test_rows_are_those_of_the_csv_and_a_click_sorts_them(browser: Browser, page: Path) -> None:
    browser.open(page)
    rows = read_csv(page.with_name("leaderboard.csv"))
    for name in ("rank", "model", "si_sdri_mean", "snr_mean", "n_fail"):
        assert column(browser, name) == [row[name] for row in rows]
    browser.evaluate(CLICK.format("system"))
    assert column(browser, "model") == sorted(row["model"] for row in rows)
    browser.evaluate(CLICK.format("system"))
    assert column(browser, "model") == sorted((row["model"] for row in rows), reverse=True)
    browser.evaluate(CLICK.format("snr"))
    best_first = sorted(rows, key=lambda row: -float(row["snr_mean"]))
    assert column(browser, "snr_mean") == [row["snr_mean"] for row in best_first]
    assert column(browser, "rank") == [row["rank"] for row in best_first]
    assert browser.problems == []


def test_every_player_plays_and_nothing_comes_from_elsewhere(browser: Browser, page: Path) -> None:
    browser.open(page)
    durations = browser.durations()
    assert len(durations) == 3 * 3 * 5
    assert all(math.isclose(seconds, 0.5, abs_tol=1e-3) for seconds in durations)
    for number in range(3):
        browser.evaluate(f"document.querySelectorAll('details.examples')[{number}].open = true")
    browser.evaluate("document.querySelectorAll('img').forEach((image) => image.loading = 'eager')")
    browser.wait_for("[...document.images].every((image) => image.naturalWidth > 0)")
    assert browser.problems == []
    addresses = [url for url in browser.requests if not url.startswith("data:")]
    folder = page.parent.as_uri()
    assert len(addresses) > 20
    assert [url for url in addresses if not url.startswith(f"{folder}/")] == []


def test_players_of_a_mixture_share_their_position(browser: Browser, page: Path) -> None:
    """What stopped at 0.3 s goes on there in another player; only one player plays."""
    browser.open(page)
    browser.evaluate("window.sounds = document.querySelectorAll('.example audio'), 0")
    browser.evaluate("sounds[0].load()")
    browser.wait_for("sounds[0].readyState > 0")
    browser.evaluate("sounds[0].currentTime = 0.3")
    browser.wait_for("sounds[0].closest('.example').style.getPropertyValue('--at') === '60%'")
    begins_at = browser.evaluate("""new Promise((done) => {
      sounds[3].addEventListener("playing", () => done(sounds[3].currentTime));
      sounds[3].play();
    })""")
    assert 0.29 <= begins_at <= 0.5
    browser.evaluate("sounds[5].play()")
    assert browser.evaluate("sounds[3].paused")
    assert browser.problems == []


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.pixels_beyond() <= 0
    shown = browser.evaluate(
        "[...document.querySelectorAll('.strips')].filter((f) => f.offsetHeight).length"
    )
    assert shown == 1  # the other metrics are behind their tabs
    assert browser.problems == []


def test_hostile_names_stay_text_and_fit(
    browser: Browser,
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    tmp_path: Path,
) -> None:
    folder = make_set(n=2)
    names = {"hostile": HOSTILE, "long": "x" * 3000, "dots": "../" * 30}
    scores = [
        make_scores(folder, make_estimates(folder, name, model=model, seed=seed))
        for seed, (name, model) in enumerate(names.items())
    ]
    browser.open(make_report(scores, tmp_path / "page", sets=[folder]), width=400)
    assert set(column(browser, "model")) == set(names.values())
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.pixels_beyond() <= 0
    assert browser.problems == []
