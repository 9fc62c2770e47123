"""The page in a browser: it sorts, plays in step, enlarges, fits, and asks for nothing."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from mixgen.report import make_report
from mixgen.sets.rendered import open_rendered, write_rendered
from tests.browser import Browser
from tests.mixgen.report.conftest import Build, FactsIn, ManifestOf
from tests.pages import HOSTILE

SECONDS = 0.8
BESIDE = """[...document.querySelectorAll(".track table")].map((table) =>
  Math.max(...[...table.querySelectorAll("th, td")].map((c) => c.getBoundingClientRect().right))
  - table.closest(".about").getBoundingClientRect().right)"""
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => (one.open = true))"
COLUMN = """[...document.querySelectorAll(".quantities tbody tr")]
  .map((row) => row.cells[{0}].dataset.value)"""
CLICK_HEADER = "document.querySelectorAll('.quantities thead button')[{0}].click()"
# Notes what each track of the first example starts with, and how loud it is when it does.
SPY = """window.starts = [];
const begin = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  starts.push([when, offset, this.buffer.duration]);
  begin.call(this, when, offset);
};"""
GAINS = "transports[0].tracks.map((track) => Math.round(track.gain.gain.value))"


@pytest.fixture(scope="module")
def page(kept_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose examples have all values of sources in rooms, and some that are missed."""
    folder = tmp_path_factory.mktemp("rooms") / "set"
    shutil.copytree(kept_set, folder)
    rendered = open_rendered(folder)
    header, rows = rendered.header, list(rendered)
    requested = {"level_db": -28.0, "energy_ratio_db": -24.38, "t60_s": 0.32, "drr_db": -12.88}
    in_rooms = [
        row.model_copy(
            update={
                "requested": requested,
                "measured": {name: value - 0.1 * number % 0.7 for name, value in requested.items()},
            }
        )
        for number, row in enumerate(rows)
    ]
    write_rendered(folder, header, in_rooms)
    return make_report(folder, folder.parent, examples=1)


@pytest.mark.parametrize("width", [1280, 800, 500])
def test_nothing_is_cut_off(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    browser.evaluate(OPEN_ALL)
    assert browser.pixels_beyond() <= 0
    beyond = browser.evaluate(BESIDE)
    assert len(beyond) == 4 * browser.evaluate("transports.length")
    assert max(beyond) <= 0.5
    browser.wait_for("[...document.images].filter((i) => i.src).every((i) => i.naturalWidth > 0)")
    assert browser.problems == []


def test_every_player_has_a_duration_and_nothing_is_asked_for(browser: Browser, page: Path) -> None:
    browser.open(page)
    durations = browser.durations()
    assert len(durations) == 4 * browser.evaluate("transports.length")
    assert all(math.isclose(seconds, SECONDS, abs_tol=1e-3) for seconds in durations)
    assert browser.problems == []
    assert {url for url in browser.requests if not url.startswith("data:")} == {page.as_uri()}


def test_a_click_on_a_header_sorts(browser: Browser, page: Path) -> None:
    browser.open(page)

    def column(index: int) -> list[str]:
        values: list[str] = browser.evaluate(COLUMN.format(index))
        return values

    before = column(7)
    known = sorted(float(value) for value in before if value)
    assert len(set(known)) > 3
    missing = before.count("")
    browser.evaluate(CLICK_HEADER.format(7))
    assert [float(value) for value in column(7)[: len(known)]] == known[::-1]
    assert column(7)[len(known) :] == [""] * missing
    browser.evaluate(CLICK_HEADER.format(7))
    assert [float(value) for value in column(7)[: len(known)]] == known
    browser.evaluate(CLICK_HEADER.format(1))
    assert column(1) == sorted(column(1), key=str.lower)
    assert browser.problems == []


def _start(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate(SPY)
    browser.evaluate("transports[0].button.click()")
    browser.wait_for("transports[0].position > 0")


def test_the_files_of_a_mixture_play_in_step(browser: Browser, page: Path) -> None:
    _start(browser, page)
    starts = browser.evaluate("starts")
    assert len(starts) == 4  # mixture, two talkers and noise
    assert len({when for when, _, _ in starts}) == 1
    assert {offset for _, offset, _ in starts} == {0}
    assert [seconds for *_, seconds in starts] == pytest.approx([SECONDS] * 4, abs=1e-3)

    starts, place, stopped = browser.evaluate("""(() => {
      starts.length = 0;
      transports[0].seek(0.5);
      const place = transports[0].card.style.getPropertyValue("--at");
      transports[0].button.click();
      return [starts, place, transports[0].position];
    })()""")
    assert len(starts) == 4
    assert len({when for when, _, _ in starts}) == 1
    assert {offset for _, offset, _ in starts} == {0.5}
    assert (place, stopped) == ("62.5%", 0.5)

    browser.evaluate("starts.length = 0, transports[0].play()")
    browser.wait_for("starts.length === 4")
    assert browser.evaluate("String(starts.map((start) => start[1]))") == "0.5,0.5,0.5,0.5"
    browser.wait_for("!transports[0].playing")  # the end
    assert browser.evaluate("transports[0].position") == 0
    assert browser.problems == []


def test_one_mixture_plays_at_a_time(browser: Browser, page: Path) -> None:
    _start(browser, page)
    browser.evaluate("transports[1].play()")
    assert browser.evaluate("transports.slice(0, 2).map((one) => one.playing)") == [False, True]


def test_files_are_muted_and_played_alone(browser: Browser, page: Path) -> None:
    """At first the sources play, which add up to the mixture."""
    _start(browser, page)

    def heard(*gains: int) -> None:
        browser.wait_for(f"String({GAINS}) === '{','.join(map(str, gains))}'")

    def click(track: int, button: str) -> None:
        browser.evaluate(f"transports[0].tracks[{track}].{button}.click()")

    heard(0, 1, 1, 1)
    click(3, "mute")
    heard(0, 1, 1, 0)
    click(1, "solo")
    heard(0, 1, 0, 0)
    click(0, "solo")
    heard(1, 1, 0, 0)
    click(0, "solo")
    click(1, "solo")
    heard(0, 1, 1, 0)
    assert browser.problems == []


def test_a_click_on_a_spectrogram_plays_from_there(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate(SPY)
    browser.evaluate("""(() => {
      const picture = document.querySelector(".lane .spectrogram");
      const box = picture.getBoundingClientRect();
      const x = box.left + box.width / 4;
      picture.dispatchEvent(new MouseEvent("click", { clientX: x, bubbles: true }));
    })()""")
    browser.wait_for("starts.length === 4")
    assert browser.evaluate("starts[0][1]") == pytest.approx(SECONDS / 4, abs=0.01)


def test_spectrograms_enlarge_with_their_axes(browser: Browser, page: Path) -> None:
    browser.open(page)
    shown: dict[str, Any] = browser.evaluate("""(() => {
      const track = document.querySelectorAll(".example")[0].querySelectorAll(".track")[1];
      track.querySelector(".enlarge").click();
      const dialog = track.closest(".example").querySelector("dialog");
      const image = dialog.querySelector("img");
      return {
        open: dialog.open,
        same: image.src === track.querySelector("img").src,
        larger: image.clientHeight / track.querySelector("img").clientHeight,
        title: dialog.querySelector("b").textContent,
        axes: [".upwards", ".axis"].map((axis) => dialog.querySelector(axis).children.length),
      };
    })()""")
    assert shown["open"]
    assert shown["same"]
    assert shown["larger"] > 4
    assert shown["title"] == "s1"
    assert min(shown["axes"]) > 3
    assert browser.pixels_beyond() <= 0
    browser.evaluate("document.querySelector('dialog[open] .close').click()")
    assert not browser.evaluate("document.querySelector('dialog[open]')")
    assert browser.problems == []


def test_a_link_in_a_finding_opens_its_player(
    browser: Browser, kept_set: Path, tmp_path: Path, facts_in: FactsIn
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    (folder / "test-000001" / "s1.flac").unlink()
    browser.open(make_report(folder, tmp_path, examples=1))
    browser.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = false))")
    browser.evaluate("document.querySelector('.finding.error .see').click()")
    browser.wait_for("document.querySelector(location.hash).closest('details').open")
    assert "test-000001" in browser.evaluate("document.querySelector(location.hash).innerText")
    # The mixture plays where a source is missing.
    muted = "transports[0].tracks.map((track) => pressed(track.mute))"
    assert browser.evaluate(muted) == [False, True, True]
    assert facts_in(tmp_path)["examples"][0]["worst"] == ["files"]


def test_hostile_names_stay_text_and_fit(
    browser: Browser, build: Build, manifest_of: ManifestOf, tmp_path: Path
) -> None:
    long = "x" * 3000
    sources = [
        build.source(
            f"s{number}",
            name,
            build.event(f"{number}.wav", corpus=name, licence=name),
            kind="noise",
        )
        for number, name in enumerate([HOSTILE, long, "a/" * 400, "{{ 7 * 7 }}", "`</script>`"])
    ]
    mixtures = [build.mixture(f"{split}-0", *sources) for split in ("train", "test")]
    browser.open(make_report(manifest_of(*mixtures, name=HOSTILE), tmp_path / "r"), width=500)
    browser.evaluate(OPEN_ALL)
    text = browser.evaluate("document.body.textContent")
    assert HOSTILE in text
    assert "{{ 7 * 7 }}" in text
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.pixels_beyond() <= 0
    assert browser.problems == []
