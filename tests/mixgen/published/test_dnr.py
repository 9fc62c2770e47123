"""Divide and Remaster: every sample against the slow reference."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.audio.formats import FORMATS
from mixgen.core.errors import InputError
from mixgen.corpora.roots import find_roots
from mixgen.manifest.file import read_manifest
from mixgen.published.dnr import import_dnr
from mixgen.published.importing import Imported
from mixgen.published.render import render_in_layout
from mixgen.render.exact import ExactRenderer
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import StandIn
from tests.oracles.compare import differing_samples
from tests.oracles.dnr import dnr as dnr_oracle
from tests.oracles.further_corpora import dnr_sources

CLASSES = ("music", "speech", "sfx", "background")
HEADER = (
    ",file,class,mix start time,mix end time,clip start sample,clip end sample,clip gain,annotation"
)


def _import(tables: Path, roots: dict[str, Path], out: Path, **options: object) -> Imported:
    return import_dnr([tables], *(roots[name] for name in CLASSES), out, **options)


def _table(folder: Path, rows: Sequence[str]) -> Path:
    """Write `ID/annots.csv` below a subset, and return the subset."""
    path = folder / "tr/77/annots.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [HEADER, *(f"{index},{row}" for index, row in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n")
    return folder / "tr"


def _roots(folder: Path, name: str = "a.wav", frames: int = 88200) -> dict[str, Path]:
    roots = {kind: folder / kind for kind in CLASSES}
    for kind, root in roots.items():
        samples = np.random.default_rng(len(kind)).uniform(-0.9, 0.9, frames)
        root.mkdir(exist_ok=True)
        soundfile.write(root / name, samples, 44100, subtype="PCM_16")
    return roots


def _differing(tables: Path, roots: dict[str, Path], folder: Path) -> dict[str, int]:
    for path in sorted(tables.rglob("annots.csv")):
        dnr_oracle(path, roots, folder / "expected" / tables.name)
    _import(tables, roots, folder / "M.jsonl")
    render_in_layout(folder / "M.jsonl", folder / "out", "dnr")
    assert verify_set(folder / "out", deep=True) == []
    return differing_samples(folder / "expected", folder / "out")


def test_every_sample_is_that_of_the_reference(tmp_path: Path, real_data: Path) -> None:
    given = dnr_sources(tmp_path / "in", real_data)
    tables = tmp_path / "tr"
    shutil.copytree(given.annotations.parents[1], tables)
    differing = _differing(tables, given.class_roots, tmp_path)
    assert sorted(differing) == [
        f"tr/1002/{name}.wav" for name in ("mix", "music", "sfx", "speech")
    ]
    assert not any(differing.values())


def test_clips_of_one_class_overlap(tmp_path: Path) -> None:
    """Classes are added up before they become a stem, which decides on the last of 64 bits."""
    roots = _roots(tmp_path)
    clips = list(itertools.product(("sfx", "background"), (0.1, 0.7)))
    rows = [f"x/a.wav,{name},1.0,2.0,0,1,{gain},label" for name, gain in clips]
    rows += ["x/a.wav,music,1.05,2.0,0,1,0.3,l", "x/a.wav,speech,1.0,1.9,0,1,0.33,l"]
    differing = _differing(_table(tmp_path, rows), roots, tmp_path)
    assert len(differing) == 4
    assert not any(differing.values())
    effect, second, background, fourth = (
        gain * soundfile.read(roots[name] / "a.wav", frames=44100)[0] for name, gain in clips
    )
    expected = np.zeros(60 * 44100)
    expected[44100:88200] = (effect + second) + (background + fourth)
    (mixture,) = read_manifest(tmp_path / "M.jsonl").mixtures
    renderer = ExactRenderer(find_roots([tmp_path / "M.jsonl"]), FORMATS["wav_float"])
    found = renderer.render(mixture).signals["sfx"]
    np.testing.assert_array_equal(found[0], expected)


def test_seconds_lose_their_fraction_and_the_shortest_length_counts(tmp_path: Path) -> None:
    """Times of whole samples may become those before: int(0.29 * 100) is 28."""
    roots = _roots(tmp_path, frames=50000)
    random = np.random.default_rng(8)
    rows = []
    for index in range(40):
        start, first = random.integers(0, 40 * 44100), random.integers(0, 30000)
        length = int(random.integers(1, 20000))
        times = start / 44100, (start + length) / 44100, first / 44100, (first + length + 5) / 44100
        rows.append(f"x/a.wav,{CLASSES[index % 4]},{','.join(map(repr, map(float, times)))},0.5,l")
    rows.append("x/a.wav,speech,59.0,59.0,0,1,0.5,no samples")
    differing = _differing(_table(tmp_path, rows), roots, tmp_path)
    assert not any(differing.values())


def test_a_mixture_may_lack_a_class(tmp_path: Path) -> None:
    rows = ["x/a.wav,background,1.0,2.0,0,1,0.5,l"]
    differing = _differing(_table(tmp_path, rows), _roots(tmp_path), tmp_path)
    assert len(differing) == 4
    assert not any(differing.values())


def test_records_name_stems_and_texts(tmp_path: Path) -> None:
    rows = ["x/a.wav,speech,1.0,2.0,0.5,1.5,0.25,HELLO", "x/a.wav,sfx,1.0,2.0,0,1,0.5,bark"]
    _import(_table(tmp_path, rows), _roots(tmp_path), tmp_path / "M.jsonl")
    manifest = read_manifest(tmp_path / "M.jsonl")
    (mixture,) = manifest.mixtures
    assert (manifest.header.task, manifest.header.format) == ("cinematic_separation", "wav_float")
    assert (mixture.id, mixture.split) == ("tr_77", "train")
    assert mixture.targets == ["music", "sfx", "speech"]
    (event,) = mixture.sources[2].events
    assert (event.text, event.source_time, event.event_time) == ("HELLO", 0.5, 1.0)
    assert event.corpus == "dnr_speech"
    assert event.licence == "CC BY 4.0"
    assert manifest.header.imported is not None
    assert list(manifest.header.imported.lists) == ["tr"]


def test_the_table_that_ships(dnr: StandIn, tmp_path: Path, mixgen: RunMixgen) -> None:
    (tables,), roots = dnr.lists, dnr.roots
    words: list[object] = ["import", "dnr", "--metadata", tables, "--out", tmp_path / "M.jsonl"]
    for name, root in roots.items():
        words += [f"--{name}", root]
    assert "1 mixtures in" in mixgen(*words).out
    rendered = ["render", tmp_path / "M.jsonl", "--out", tmp_path / "out", "--layout", "dnr"]
    assert mixgen(*rendered).exit_code == 0
    dnr_oracle(tables / "1002/annots.csv", roots, tmp_path / "expected/tt")
    differing = differing_samples(tmp_path / "expected", tmp_path / "out")
    assert len(differing) == 4
    assert not any(differing.values())
    assert mixgen("verify", tmp_path / "out", "--deep").exit_code == 0


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("x/a.wav,noise,1,2,0,1,1,l", "line 2: there is no class 'noise'"),
        ("x/a.wav,music,2,1,0,1,1,l", "line 2: a clip ends before it begins"),
        ("x/a.wav,music,1,2,0,one,1,l", "line 2: 'one' is not a number"),
        ("x/a.wav,music,1,2,0", "line 2 ends early"),
        ("x/b.wav,music,1,2,0,1,1,l", "b.wav is not in .*: check --music"),
        ("x/a.wav,music,1,3,1.5,3,1,l", "a.wav has 88200 samples, and a clip of it ends at 132300"),
        ("x/a.wav,music,59.5,61,0,1,1,l", "a clip of a.wav ends after 60 s"),
    ],
)
def test_bad_input_gives_one_sentence(tmp_path: Path, row: str, sentence: str) -> None:
    tables, roots = _table(tmp_path, [row]), _roots(tmp_path)
    with pytest.raises(InputError, match=rf"annots\.csv.*{sentence}"):
        _import(tables, roots, tmp_path / "M.jsonl")
    with pytest.raises(InputError, match=r"has no ID/annots\.csv"):
        _import(tmp_path / "music", roots, tmp_path / "M.jsonl")
