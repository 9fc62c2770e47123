"""The page: it escapes names, needs no other file, is reproducible and reports problems."""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Mixture
from mixgen.report import make_report
from mixgen.report.examples import EvenlySpaced, excerpt_seconds
from mixgen.sets.rendered import RENDERED_FILE, RenderedSet, open_rendered
from tests.mixgen.report.conftest import Build, FactsIn, ManifestOf
from tests.pages import HOSTILE, Page


def test_hostile_names_are_escaped(build: Build, manifest_of: ManifestOf, tmp_path: Path) -> None:
    def spoken_mixture(split: str) -> Mixture:
        event = build.event(f"{HOSTILE.replace('/', '')}.wav", licence=HOSTILE, corpus=HOSTILE)
        return build.mixture(
            f"{split}-0", build.source("s1", HOSTILE, event), split=HOSTILE + split
        )

    page = Page(
        make_report(manifest_of(spoken_mixture("a"), spoken_mixture("b"), name=HOSTILE), tmp_path)
    )
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"iframe", "object", "embed", "form", "link"}
    assert [tag for tag, _ in page.elements].count("script") == 1  # that of the page
    assert all(source.startswith("data:") for source in page.sources("img"))
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert HOSTILE in page.text
    assert f"Leakage: 1 talker is in both {HOSTILE}a and {HOSTILE}b" in page.text


def test_the_page_needs_no_other_file(kept_set: Path, tmp_path: Path) -> None:
    page = Page(make_report(kept_set, tmp_path, examples=1))
    sources = [attrs["src"] or "" for attrs in page.having("src")]
    assert len(sources) > 10
    assert all(source.startswith("data:") for source in sources)
    # Links lead to something on the page.
    names = {attrs["id"] for attrs in page.having("id")}
    links = [attrs["href"] for attrs in page.having("href")]
    assert len(links) > 8
    assert {link.removeprefix("#") for link in links} <= names
    policy = next(a for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in (policy["content"] or "")
    assert "script-src 'sha256-" in (policy["content"] or "")
    assert all("alt" in attrs for tag, attrs in page.elements if tag == "img")


def test_the_same_set_gives_the_same_bytes(kept_set: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "copy"
    shutil.copytree(kept_set, elsewhere)
    first, second = (
        make_report(folder, tmp_path / name, examples=1)
        for folder, name in ((kept_set, "1"), (elsewhere, "2"))
    )
    for name in ("report.html", "report.json"):
        assert first.with_name(name).read_bytes() == second.with_name(name).read_bytes()


def test_players_play_the_files(kept_set: Path, tmp_path: Path, facts_in: FactsIn) -> None:
    sounds = Page(make_report(kept_set, tmp_path, examples=1)).sources("audio")
    shown = [(e["id"], f["name"]) for e in facts_in(tmp_path)["examples"] for f in e["files"]]
    assert len(sounds) == len(shown) == 2 * 4
    for sound, (mixture, name) in zip(sounds, shown, strict=True):
        kind, _, content = sound.partition(";base64,")
        assert kind == "data:audio/wav"
        played, rate = soundfile.read(io.BytesIO(base64.b64decode(content)), dtype="int16")
        kept, kept_rate = soundfile.read(
            RenderedSet(kept_set).reference_path(mixture, name), dtype="int16"
        )
        assert rate == kept_rate
        np.testing.assert_array_equal(played, kept)


def test_unreadable_and_missing_files_are_problems_on_the_page(
    kept_set: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    rows = {row.name: folder / row.path for row in list(open_rendered(folder))[:4]}
    rows["mixture"].write_bytes(b"no audio at all")
    rows["s1"].unlink()
    page = Page(make_report(folder, tmp_path / "report", examples=1))
    assert re.search(r"train-0+/mixture\.\w+ is not audio that can be read", page.text)
    assert "This file does not exist." in page.text
    assert str(tmp_path) not in page.text
    assert len(page.sources("audio")) == 2 * 4 - 2


def test_examples_are_evenly_spaced(build: Build) -> None:
    selection = EvenlySpaced(3)
    for number in range(1000):
        selection.add(build.mixture(f"train-{number}"), {})
        if number < 2:
            selection.add(build.mixture(f"test-{number}"), {})
    chosen = [mixture.id for mixture, _ in selection.chosen()]
    assert chosen[-2:] == ["test-0", "test-1"]
    numbers = [int(name.partition("-")[2]) for name in chosen[:-2]]
    assert numbers[0] == 0
    assert np.diff(numbers) == pytest.approx([480, 480], abs=40)


def test_long_examples_with_many_channels_are_cut(build: Build) -> None:
    assert excerpt_seconds([build.mixture("train-0")]) == 10.0
    songs = [build.mixture(f"t-{n}", sample_rate=48000, channels=8, seconds=60) for n in range(40)]
    assert excerpt_seconds(songs) == 3.1  # 24 MB over 40 files of 2 channels and 2 bytes


def test_empty_manifest_has_a_page(manifest_of: ManifestOf, tmp_path: Path) -> None:
    page = Page(make_report(manifest_of(), tmp_path / "report"))
    assert "The manifest holds no mixtures." in page.text


def test_a_missing_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist: give a folder made by"):
        make_report(tmp_path / "nowhere", tmp_path / "report")
    with pytest.raises(InputError, match=r"manifest\.jsonl does not exist"):
        make_report(tmp_path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_partly_rendered_set_is_refused(kept_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    (folder / RENDERED_FILE).unlink()
    with pytest.raises(InputError, match=r"finish the set with `mixgen render`"):
        make_report(folder, tmp_path / "report")
    make_report(folder / "manifest.jsonl", tmp_path / "report")


def test_an_altered_manifest_is_refused(kept_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    lines = (folder / "manifest.jsonl").read_text().splitlines(keepends=True)
    (folder / "manifest.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match="was rendered from another manifest"):
        make_report(folder, tmp_path / "report")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"{}\n", "line 1 is not valid"),
        (b"\xff\n", "not UTF-8"),
        (b"nonsense\n", "line 1 is not valid JSON"),
    ],
)
def test_a_manifest_that_is_not_valid_is_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        make_report(path, tmp_path / "report")


def test_the_line_that_is_not_valid_is_named(
    build: Build, manifest_of: ManifestOf, tmp_path: Path
) -> None:
    path = manifest_of(build.mixture("train-0"))
    with path.open("a") as stream:
        stream.write('{"id": "train-1"}\n')
    with pytest.raises(InputError, match="line 3 is not valid"):
        make_report(path, tmp_path / "report")


def test_importing_the_report_loads_no_plotting_library() -> None:
    code = "import mixgen.report, sys; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "set()"
