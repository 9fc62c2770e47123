"""wsj0-mix and LibriMix beside slow references that share no code with them, on real recordings."""

from pathlib import Path

import pandas as pd
import pytest

from mixgen.published.librimix import import_librimix
from mixgen.published.render import render_in_layout
from mixgen.published.wsj0_mix import import_wsj0mix
from tests.oracles.compare import differing_samples
from tests.oracles.corpora import librimix_sources, wsj0_sources
from tests.oracles.librimix import librimix
from tests.oracles.wsj0mix import wsj0mix


@pytest.mark.parametrize("talkers", [2, 3, 4, 5])
def test_every_sample_of_wsj0mix(tmp_path: Path, real_data: Path, talkers: int) -> None:
    given = wsj0_sources(tmp_path / "in", real_data, talkers=talkers)
    manifest, expected, found = (tmp_path / name for name in ("M.jsonl", "expected", "found"))
    wsj0mix(given.list_file, given.activlev, given.wsj0_root, expected, rates=(8000, 16000))
    import_wsj0mix([given.list_file], given.activlev, given.wsj0_root, manifest)
    render_in_layout(manifest, found, "wsj0mix")
    differing = differing_samples(expected, found)
    assert len(differing) >= 2 * 2 * (talkers + 1)
    assert set(differing.values()) == {0}


@pytest.mark.parametrize("talkers", [2, 3])
def test_every_sample_and_table_of_librimix(tmp_path: Path, real_data: Path, talkers: int) -> None:
    given = librimix_sources(tmp_path / "in", real_data, talkers=talkers)
    manifest, expected, found = (tmp_path / name for name in ("M.jsonl", "expected", "found"))
    librimix(given.metadata, given.librispeech, given.wham_noise, expected)
    import_librimix([given.metadata], given.librispeech, manifest, given.wham_noise)
    render_in_layout(manifest, found, "librimix")
    differing = differing_samples(expected, found)
    assert len(differing) >= 2 * 2 * (talkers + 4)
    assert set(differing.values()) == {0}
    tables = sorted(path.relative_to(expected) for path in expected.rglob("*.csv"))
    assert len(tables) == 2 * 2 * 3 * 2
    for table in tables:
        ours, theirs = (pd.read_csv(root / table) for root in (found, expected))
        # Paths are absolute; the official digits of ratios depend on versions of numpy and pandas.
        theirs = theirs.replace(str(expected), str(found), regex=True)
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-5)
