"""VCTK-2mix: every file and table against the slow reference."""

from pathlib import Path

import pytest

from mixgen.core.errors import InputError
from mixgen.manifest.file import read_manifest
from mixgen.published.render import render_in_layout
from mixgen.published.vctk_2mix import import_vctk2mix
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import StandIn
from tests.oracles.compare import differing_samples
from tests.oracles.further_corpora import Vctk2MixSources, vctk2mix_sources
from tests.oracles.vctk2mix import vctk2mix as vctk2mix_oracle


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Vctk2MixSources:
    return vctk2mix_sources(tmp_path_factory.mktemp("vctk2mix"), real_data)


def _import(given: Vctk2MixSources, out: Path, **options: object) -> None:
    import_vctk2mix([given.metadata], given.vctk, given.wham_noise, out, **options)


def test_every_sample_and_table_is_that_of_the_reference(
    given: Vctk2MixSources, tmp_path: Path
) -> None:
    """The noises end after both talkers, between them, and before both."""
    vctk2mix_oracle(given.metadata, given.vctk, given.wham_noise, tmp_path / "expected")
    _import(given, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "vctk2mix")
    differing = differing_samples(tmp_path / "expected", tmp_path / "out")
    assert len(differing) == 3 * 2 * 2 * 6
    assert not any(differing.values())
    tables = sorted((tmp_path / "expected").rglob("*.csv"))
    assert len(tables) == 2 * 2 * 3 * 2
    for table in tables:
        found = tmp_path / "out" / table.relative_to(tmp_path / "expected")
        text = table.read_text().replace(f"{tmp_path}/expected", f"{tmp_path}/out")
        assert found.read_text() == text
    assert verify_set(tmp_path / "out", deep=True) == []


def test_records_name_the_talkers_and_the_split(given: Vctk2MixSources, tmp_path: Path) -> None:
    _import(given, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"], types=["mix_clean"])
    manifest = read_manifest(tmp_path / "M.jsonl")
    mixture = manifest.mixtures[0]
    assert manifest.header.name == "vctk_2mix_8k_min_clean"
    assert (mixture.id, mixture.split) == ("p249_230_p335_002__8k_min_clean", "test")
    assert [source.label for source in mixture.sources] == ["p249", "p335"]
    # The third noise has 19999 samples at 16 kHz and ends the mixture that is without it.
    assert manifest.mixtures[2].frames == 10000


def test_fixed_stems_sum_to_the_mixture(given: Vctk2MixSources, tmp_path: Path) -> None:
    _import(given, tmp_path / "M.jsonl", sample_rate=[8000], types=["mix_both"], fixed=True)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "vctk2mix")
    assert len(list((tmp_path / "out/VCTK2Mix_fixed").rglob("mix_both/*.wav"))) == 2 * 3
    assert verify_set(tmp_path / "out", deep=True) == []


def test_the_name_of_the_list_is_the_official_one(given: Vctk2MixSources, tmp_path: Path) -> None:
    for name in ("other.csv", "VCTK2mix_VCTK_md_info.csv"):
        (tmp_path / name).write_bytes(given.metadata.read_bytes())
        with pytest.raises(InputError, match=r"is not that of the official list"):
            import_vctk2mix([tmp_path / name], given.vctk, given.wham_noise, tmp_path / "M.jsonl")


def test_the_list_that_ships(vctk2mix: StandIn, tmp_path: Path, mixgen: RunMixgen) -> None:
    (shipped,), roots = vctk2mix.lists, vctk2mix.roots
    words = ["import", "vctk2mix", "--metadata", shipped, "--vctk", roots["vctk"]]
    words += ["--wham-noise", roots["noise"], "--out", tmp_path / "M.jsonl"]
    assert "24 mixtures in" in mixgen(*words).out
    vctk2mix_oracle(shipped, roots["vctk"], roots["noise"], tmp_path / "expected")
    answer = mixgen(
        "render", tmp_path / "M.jsonl", "--out", tmp_path / "out", "--layout", "vctk2mix"
    )
    assert answer.exit_code == 0
    differing = differing_samples(tmp_path / "expected", tmp_path / "out")
    assert len(differing) == 2 * 2 * 2 * 6
    assert not any(differing.values())
    assert mixgen("verify", tmp_path / "out", "--deep").exit_code == 0
