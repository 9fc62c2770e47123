"""Estimates without a source are silent files, by the level in the checkpoint or by a count."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from baselines.inference.counted import split_count
from baselines.inference.recording import separate, separate_file
from baselines.inference.separate import separate_set
from baselines.registry import build
from baselines.separator import Separator
from evalsuite.run import run
from mixgen.core.errors import UsageError
from mixgen.core.files import read_json
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet
from tests.checkpoints import save

TINY = "conv_tasnet:tiny"


def active(folder: Path, tiny: TinySet) -> list[int]:
    """Return the number of estimates of each mixture that are not silent."""
    return [
        sum(bool(np.any(soundfile.read(path)[0])) for path in (folder / m.id).glob("*.wav"))
        for m in RenderedSet(tiny.rendered).mixtures("test")
    ]


def counting(level_db: float) -> Separator:
    separator = build(TINY, fewest=0).eval()
    separator.get_buffer("active_above_db").fill_(level_db)
    return separator


@pytest.mark.parametrize(("level_db", "found"), [(-300.0, 2), (300.0, 0)])
def test_the_level_of_the_checkpoint_decides(
    counts: TinySet, tmp_path: Path, level_db: float, found: int
) -> None:
    checkpoint = save(tmp_path / "checkpoint", counting(level_db), TINY)
    record = separate_set(checkpoint, counts.rendered, tmp_path / "est", device="cpu", threads=1)
    assert record["counted"] is True
    assert active(tmp_path / "est", counts) == [found] * 3
    paths = separate_file(
        checkpoint, counts.rendered / "test-1/mixture.wav", tmp_path / "one", device="cpu"
    )
    assert len(paths) == 2
    assert sum(bool(np.any(soundfile.read(path)[0])) for path in paths) == found


def test_an_estimate_at_the_level_or_below_is_silent() -> None:
    """The rule compares with the mixture alone."""
    separator = counting(0.0)
    mixture = 0.1 * torch.randn(1, 1, 4000)
    with torch.no_grad():
        levels_db = separator.levels_db(mixture, separator(mixture))[0]
    assert levels_db[0] != levels_db[1]
    separator.get_buffer("active_above_db").fill_(levels_db.min())
    estimates = separate(separator, mixture[0].numpy(), sample_rate=8000)
    assert [bool(e.any()) for e in estimates] == (levels_db > levels_db.min()).tolist()


@pytest.mark.parametrize(
    ("count", "found"), [("0", [0, 0, 0]), ("1", [1, 1, 1]), ("2", [2, 2, 2]), ("true", [0, 1, 2])]
)
def test_a_count_in_front_replaces_the_decision(
    counts: TinySet, tmp_path: Path, count: str, found: list[int]
) -> None:
    checkpoint = save(tmp_path / "checkpoint", counting(300.0), TINY)
    system = f"count:{count}:{checkpoint}"
    record = separate_set(system, counts.rendered, tmp_path / "est", device="cpu", threads=1)
    assert active(tmp_path / "est", counts) == found
    assert record["model"] == f"count:{count}:conv_tasnet:tiny"
    assert (record["count"], record["counted"]) == (count, True)


def test_the_loudest_estimates_are_kept(counts: TinySet, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "checkpoint", counting(-300.0), TINY)

    def levels(system: str | Path) -> list[NDArray[np.float64]]:
        separate_set(system, counts.rendered, tmp_path / "e", device="cpu", overwrite=True)
        files = sorted((tmp_path / "e/test-2").glob("*.wav"))
        return [np.square(soundfile.read(path)[0]).sum() for path in files]

    both, one = levels(checkpoint), levels(f"count:1:{checkpoint}")
    assert one[int(np.argmax(both))] == max(both)
    assert min(one) == 0


def test_a_count_is_split_from_the_system() -> None:
    assert split_count("count:2:a/b") == ("2", "a/b")
    assert split_count("count:true:module:function") == ("true", "module:function")
    for system in ("count:2", "name=count:2", "module:function"):
        assert split_count(system) == (None, system)
    for system in ("count:two:x", "count:-1:x", "count:1.5:x", "count::x", "count:2:"):
        with pytest.raises(UsageError, match=f"{system} is no count .* write count:NUMBER:SYSTEM"):
            split_count(system)


def test_a_count_of_one_recording(counts: TinySet, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "checkpoint", counting(300.0), TINY)
    recording = counts.rendered / "test-1/mixture.wav"
    for count in (0, 1, 2):
        system = Path(f"count:{count}:{checkpoint}")
        paths = separate_file(system, recording, tmp_path / "est", device="cpu")
        assert sum(bool(np.any(soundfile.read(path)[0])) for path in paths) == count
    with pytest.raises(UsageError, match=r"a recording does not tell: write count:NUMBER:/.*"):
        separate_file(Path(f"count:true:{checkpoint}"), recording, tmp_path / "est")


def test_estimates_with_names_have_no_count(stems: TinySet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave out count:2:"):
        separate_set("count:2:oracle:irm", stems.rendered, tmp_path / "est")


def columns_of(out: Path, systems: list[str], tiny: TinySet) -> dict[str, dict[str, Any]]:
    result = run(sets=[tiny.rendered], systems=systems, out=out, metrics=["p_si_snr", "counting"])
    return {row["model"]: row for row in result.rows}


def test_a_leaderboard_counts_what_the_system_found(counts: TinySet, tmp_path: Path) -> None:
    """The test split has scenes of no, one and two talkers; each count is a system of its own."""
    checkpoint = str(save(tmp_path / "checkpoint", counting(-300.0), TINY))
    systems = [checkpoint, f"count:2:{checkpoint}", f"count:true:{checkpoint}", "mixture"]
    for system in systems:
        rows = columns_of(tmp_path / "out", [system], counts)
    assert columns_of(tmp_path / "out", systems, counts) == rows
    right = {model: row["count_right_mean"] for model, row in rows.items()}
    assert right == {
        "conv_tasnet:tiny": pytest.approx(1 / 3),
        "count:2:conv_tasnet:tiny": pytest.approx(1 / 3),
        "count:true:conv_tasnet:tiny": 1.0,
        "mixture": pytest.approx(1 / 3),
    }
    assert all(row["n_fail"] == 0 for row in rows.values())
    plans = sorted((tmp_path / "out").glob("*/*/estimates/plan.json"))
    assert {read_json(plan)["model"] for plan in plans} == set(rows)


def test_missed_talkers_are_no_failures_of_a_system_that_counts(
    counts: TinySet, tmp_path: Path
) -> None:
    checkpoint = str(save(tmp_path / "checkpoint", counting(300.0), TINY))
    result = run(sets=[counts.rendered], systems=[checkpoint], out=tmp_path / "out")
    assert result.n_failed == 0
    (row,) = result.rows
    assert (row["p_si_snr_mean"], row["si_sdr_mean"]) == (-30.0, -30.0)
