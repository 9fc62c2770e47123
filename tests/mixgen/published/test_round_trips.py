"""Every published set: imported, rendered in its tree, and imported again as a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import MIXTURE
from mixgen.published.dnr import import_dnr
from mixgen.published.fuss import import_fuss
from mixgen.published.importing import id_of
from mixgen.published.librimix import import_librimix
from mixgen.published.librispeechmix import import_librispeechmix
from mixgen.published.musdb18 import import_musdb
from mixgen.published.published_set import published_sets
from mixgen.published.render import render_in_layout
from mixgen.published.sms_wsj import import_smswsj
from mixgen.published.vctk_2mix import import_vctk2mix
from mixgen.published.wham import import_wham
from mixgen.published.whamr import import_whamr
from mixgen.published.wsj0_mix import import_wsj0mix
from mixgen.recipe.read import shipped_folder
from mixgen.sets.rendered import RenderedSet, sets_in
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen

Importer = Callable[[Any, Path], object]

REVERB_PARAMS = [shipped_folder() / "whamr/reverb_params_tt.csv"]
AT_8K = {"sample_rate": [8000], "mode": ["min"]}


@dataclass(frozen=True)
class Trip:
    """How a set is imported from what its fixture has, and where its tree has one variant.

    Attributes:
        importer: (what the fixture has, manifest to write).
        below: folder of the tree that is imported.
        layout: of its files.
        mixture: which source is the mixture, or where the mixtures are.
        targets: names that the tree has for them; by default all sources.
        others: names of other sources.
    """

    importer: Importer
    below: str
    layout: str
    mixture: str
    targets: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The options of `mixgen import folder`."""
        roles = [f"{name}=target" for name in self.targets]
        roles += [f"{name}=noise" for name in self.others]
        given = [word for role in roles for word in ("--source", role)]
        return ["--layout", self.layout, "--mixture", self.mixture, *given]


TALKERS = ("s1", "s2")
TRIPS = {
    "librimix": Trip(
        lambda g, out: import_librimix(
            g.lists[:1], g.roots["speech"], out, g.roots["noise"], **AT_8K
        ),
        "Libri2Mix/wav8k/min",
        "SPLIT/SOURCE/ID",
        "mix_both",
        TALKERS,
        ("noise",),
    ),
    "wsj0mix": Trip(
        lambda g, out: import_wsj0mix(
            g.lists[:1], g.roots["activlev"], g.roots["wsj0"], out, **AT_8K
        ),
        "2speakers/wav8k/min",
        "SPLIT/SOURCE/ID",
        "mix",
        TALKERS,
    ),
    "wham": Trip(
        lambda g, out: import_wham(g.lists, g.roots["noise"], g.roots["wsj0"], out, **AT_8K),
        "wav8k/min",
        "SPLIT/SOURCE/ID",
        "mix_both",
        TALKERS,
        ("noise",),
    ),
    "whamr": Trip(
        lambda g, out: import_whamr(
            g.lists, REVERB_PARAMS, g.roots["noise"], g.roots["wsj0"], out, **AT_8K
        ),
        "wav8k/min",
        "SPLIT/SOURCE/ID",
        "mix_both_reverb",
        ("s1_anechoic", "s2_anechoic"),
        ("noise",),
    ),
    "vctk2mix": Trip(
        lambda g, out: import_vctk2mix(g.lists, g.roots["vctk"], g.roots["noise"], out, **AT_8K),
        "VCTK2Mix/wav8k/min/VCTK_md",
        "SOURCE/ID",
        "mix_clean",
        TALKERS,
    ),
    "librispeechmix": Trip(
        lambda g, out: import_librispeechmix(g.lists, g.roots["librispeech"], out),
        "",
        "SPLIT/SOURCE/ID",
        "SPLIT/ID",
        (),
    ),
    "fuss": Trip(
        lambda g, out: import_fuss(
            g.lists,
            g.roots["ssdata"],
            out,
            rirs=shipped_folder() / "fuss/mix_info.txt",
            rir_data=g.roots["rir_data"],
        ),
        "ssdata_reverb",
        "SPLIT/ID_sources/SOURCE",
        "SPLIT/ID",
        (),
    ),
    "dnr": Trip(
        lambda g, out: import_dnr(g.lists, **g.roots, out=out),
        "",
        "SPLIT/ID/SOURCE",
        "mix",
        ("music", "sfx", "speech"),
    ),
    "musdb": Trip(
        lambda g, out: import_musdb(g.roots["musdb"], out, types=["mixture", "linear_mixture"]),
        "",
        "SPLIT/ID/SOURCE",
        "linear_mixture",
        ("bass", "drums", "other", "vocals"),
    ),
    "smswsj": Trip(
        lambda g, out: import_smswsj(g.database, g.wsj, out, rirs=g.rirs),
        "",
        "speech_image/SPLIT/ID_SOURCE",
        "observation/SPLIT/ID",
        ("0", "1"),
    ),
}


def test_every_set_that_has_a_tree_takes_the_trip() -> None:
    assert TRIPS.keys() == {name for name, entry in published_sets().items() if entry.layout}


@pytest.mark.parametrize("name", TRIPS)
def test_the_tree_of_a_set_is_the_set_again(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, mixgen: RunMixgen
) -> None:
    """Names, splits, lengths, targets and the hashes of all samples agree."""
    trip = TRIPS[name]
    given = request.getfixturevalue("wham" if name == "whamr" else name)
    trip.importer(given, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", name)
    folder, again = tmp_path / "out" / trip.below, tmp_path / "again.jsonl"
    answer = mixgen("import", "folder", folder, *trip.words, "--out", again)
    assert answer.exit_code == 0, answer.err
    assert verify_set(again, deep=True) == []

    (records,) = sets_in(tmp_path / "out")
    rendered = RenderedSet(records)
    rows = {row.path: row for row in rendered.record}
    found = {}
    for mixture in read_manifest(again).mixtures:
        assert mixture.finished is not None
        paths = {
            file: (PurePosixPath(trip.below) / own.path).as_posix()
            for file, own in mixture.finished.files.items()
        }
        targets = {paths[target] for target in mixture.targets}
        found[paths[MIXTURE]] = mixture.id, mixture.split, mixture.frames, targets
        for file, own in mixture.finished.files.items():
            row = rows[paths[file]]
            assert (own.samples_sha256, own.peak) == (row.sha256, row.peak)
            assert (mixture.sample_rate, mixture.frames) == (row.sample_rate, row.frames)
    expected = {}
    for mixture in rendered.mixtures():
        path = rendered.file_path(mixture, MIXTURE)
        if path in found:
            assert mixture.published is not None
            official = id_of(PurePosixPath(mixture.published.name).name)
            targets = {rendered.file_path(mixture, target) for target in mixture.targets}
            expected[path] = official, mixture.split, mixture.frames, targets
    assert found == expected
    names = {m.published.name for m in rendered.mixtures() if m.published}
    assert len(found) == len(names) > 0
