"""The command line: results on standard output, one-sentence errors, exit codes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from evalsuite import cli
from evalsuite.metrics.table import judges, table
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


class RunCommand(Protocol):
    """Runs the program; returns its exit code, standard output and standard error."""

    def __call__(self, *arguments: object) -> tuple[int, str, str]: ...


@pytest.fixture
def evalsuite(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """The program, in this process."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evalsuite", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_help_needs_no_torch() -> None:
    script = (
        "import sys; sys.argv = ['evalsuite', 'score', '--help']\n"
        "from evalsuite import cli\n"
        "try: cli.main()\n"
        "finally: print('loaded:', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Example: evalsuite score" in done.stdout
    assert "loaded: False" in done.stdout


@pytest.mark.parametrize(
    "command", ["score", "rank", "check", "report", "metrics", "train-emotion", "run"]
)
def test_help_has_an_example(evalsuite: RunCommand, command: str) -> None:
    code, out, _ = evalsuite(command, "--help")
    assert code == 0
    assert f"Example: evalsuite {command}" in out


def test_metrics_lists_every_column_installed_or_not(
    evalsuite: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = evalsuite("metrics", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, list(rows)) == (0, list(table()))
    assert {name for name, row in rows.items() if row["judge"]} == set(judges())
    assert {"pesq_wb16k", "dwer", "wer", "talker_sim", "dnsmos", "emotion"} <= set(rows)
    assert rows["dwer"]["diagnostics"] == ["dwer_errors", "dwer_words"]
    assert rows["si_sdr"]["installed"]
    assert "weights_sha256" in rows["dnsmos"]["parameters"]

    monkeypatch.setattr("evalsuite.metrics.metric.installed_version", lambda _: "not installed")
    code, out, _ = evalsuite("metrics", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["pesq_wb16k"]["install"] == "pip install pesq"
    assert not rows["visqol"]["installed"]
    code, out, _ = evalsuite("metrics")
    assert "talker_sim is not installed: pip install separation-suite[judges-talker] &&" in out
    assert "aecmos_echo, aecmos_degradation" in out


def test_scores_are_ranked_and_checked(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=7)
    for name, noise_db in (("base", -10.0), ("worse", -5.0)):
        estimates = make_estimates(folder, name, noise_db=noise_db)
        code, out, _ = evalsuite(
            *("score", "--set", folder, "--estimates", estimates, "--out", tmp_path / name),
            *("--metrics", "si_sdr,snr", "--workers", 1),
        )
        assert (code, out) == (0, f"{name} on tiny: 7 mixtures scored into {tmp_path / name}\n")
    base, worse = tmp_path / "base", tmp_path / "worse"

    code, out, _ = evalsuite("rank", base, worse, "--out", tmp_path / "l.csv", "--json")
    assert code == 0
    assert [row["model"] for row in json.loads(out)] == ["base", "worse"]
    assert (tmp_path / "l.csv").read_text().startswith("group,set,split,rank,")

    assert evalsuite("check", base, base)[0] == 0
    code, out, err = evalsuite("check", base, worse, "--json", "--out", tmp_path / "check.json")
    assert code == 5
    assert json.loads(out) == json.loads((tmp_path / "check.json").read_text())
    assert err == f"error: {worse} is worse than {base} in si_sdr, snr.\n"
    code, out, err = evalsuite("check", base, worse, "--better")
    assert (code, out.splitlines()[-1]) == (5, "verdict: fail")
    assert err == f"error: {worse} is no better than {base} in si_sdr.\n"
    assert evalsuite("check", worse, base, "--better")[0] == 0
    assert evalsuite("check", worse, base, "--better", "--tolerance", "1")[0] == 2
    code, out, _ = evalsuite("check", base, worse, "--tolerance", "9")
    assert (code, out.splitlines()[-1]) == (0, "verdict: pass")


def test_estimates_of_a_set_get_a_name(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder, out = make_set(n=1), tmp_path / "scores"
    code, printed, _ = evalsuite(
        *("score", "--set", folder, "--estimates", make_estimates(folder), "--out", out),
        *("--name", "mine", "--split", "test", "--metrics", "si_sdr", "--workers", 1),
    )
    assert (code, printed) == (0, f"mine on tiny: 1 mixtures scored into {out}\n")


def test_inconclusive_prints_a_warning_and_strict_makes_it_fail(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=5)
    base = make_scores(folder, make_estimates(folder, "base", noise_db=-10.0))
    noisy = make_scores(folder, make_estimates(folder, "noisy", noise_db=-10.0, spread_db=1.0))
    code, out, err = evalsuite("check", base, noisy)
    assert (code, out.splitlines()[-1]) == (0, "verdict: inconclusive")
    assert err.startswith("warning: ")
    assert evalsuite("check", base, noisy, "--strict")[0] == 5


def test_another_manifest_ends_with_3(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    one, two = make_set("one", n=1), make_set("two", n=1, seed=3)
    scores = make_scores(one, make_estimates(one, "a"))
    others = make_scores(two, make_estimates(two, "b"))
    code, _, err = evalsuite("check", scores, others)
    assert code == 3
    assert err.startswith("error: The two score folders have different manifests")
    assert err.count("\n") == 1


def test_failed_mixtures_are_listed_and_end_with_4(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=2)
    estimates = make_estimates(folder)
    (estimates / "test_001" / "est1.wav").write_bytes(b"")
    out = tmp_path / "scores"
    arguments = ("--set", folder, "--estimates", estimates, "--out", out, "--workers", 1)
    code, _, err = evalsuite("score", *arguments, "--metrics", "si_sdr")
    assert code == 4
    assert "failed: test_001 s1: missing_estimate: est1.wav cannot be read" in err
    assert (out / "run.json").is_file()


def test_wrong_usage_ends_with_2(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    folder = make_set(n=1)
    estimates = make_estimates(folder)
    arguments = ("--set", folder, "--estimates", estimates, "--out", folder / "s")
    code, _, err = evalsuite("score", *arguments, "--metrics", "sdr")
    assert code == 2
    assert "There is no metric 'sdr'" in err
    assert evalsuite("score")[0] == 2
    code, _, err = evalsuite(
        *("score", "--references", folder, "--estimates", estimates, "--out", folder / "s"),
        *("--split", "test"),
    )
    assert (code, "--split goes with --set" in err) == (2, True)
    assert evalsuite("check", folder)[0] == 2


def test_run_prints_the_table(evalsuite: RunCommand, make_set: MakeSet, tmp_path: Path) -> None:
    folder = make_set(n=1)
    arguments = ("--system", "mixture", "--metrics", "si_sdr", "--workers", 1)
    code, out, _ = evalsuite("run", "--set", folder, "--out", tmp_path / "out", *arguments)
    assert code == 0
    assert out.splitlines()[1].startswith("model")
    assert out.splitlines()[2].startswith("mixture")
    assert (tmp_path / "out" / "leaderboard.csv").is_file()


def test_talkers_divide_a_leaderboard(
    evalsuite: RunCommand,
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    tmp_path: Path,
) -> None:
    folder, talkers, board = make_set(n=1), tmp_path / "talkers.csv", tmp_path / "board.csv"
    scores = make_scores(folder, make_estimates(folder))
    talkers.write_text("label,gender\nspeaker_s1,F\nspeaker_s2,M\n")
    assert evalsuite("rank", scores, "--talkers", talkers, "--out", board)[0] == 0
    assert ",F,1,si_sdri_mean," in (tmp_path / "board_by_gender.csv").read_text()
    assert evalsuite("rank", scores, "--talkers", talkers)[0] == 2


LATE = """
import numpy as np

def late(mixture, rate):
    return [np.pad(mixture, ((0, 0), (40, 0)))[:, :mixture.shape[1]]] * 2
"""


def test_what_is_not_installed_is_a_warning(
    evalsuite: RunCommand,
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once for all systems of a set, with the command that installs it."""
    monkeypatch.setattr("evalsuite.metrics.metric.installed_version", lambda _: "not installed")
    folder = make_set(n=1)
    metrics = ("--metrics", "si_sdr,stoi,pesq_nb8k,emotion", "--workers", 1)
    for name in ("one", "two"):
        estimates, out = make_estimates(folder, name), tmp_path / name
        score = ("score", "--set", folder, "--estimates", estimates, "--out", out)
        assert evalsuite(*score, *metrics)[0] == 0
    _, _, err = evalsuite("rank", tmp_path / "one", tmp_path / "two")
    assert err.splitlines() == [
        "warning: emotion_uar on tiny: not installed (train one with `evalsuite train-emotion "
        "--out FOLDER` and name it: emotion@FOLDER).",
        "warning: pesq_nb8k on tiny: not installed (pip install pesq).",
    ]


def test_metrics_that_name_none_are_refused(
    evalsuite: RunCommand, make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    """As a variable of the shell that is empty does."""
    folder = make_set(n=1)
    options = ("--metrics", "", "--out", tmp_path / "out")
    score = evalsuite("score", "--set", folder, "--estimates", make_estimates(folder), *options)
    run = evalsuite("run", "--set", folder, "--system", "mixture", *options)
    for code, _, err in (score, run):
        assert (code, "No metric is named" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_latency_that_is_not_declared_is_a_warning(
    evalsuite: RunCommand, make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_system.py").write_text(LATE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = make_set(n=2)
    fast = ("--metrics", "si_sdr,lag", "--workers", 1)

    def warnings(*arguments: object) -> list[str]:
        code, _, err = evalsuite(*arguments)
        assert code == 0
        return [line for line in err.splitlines() if line.startswith("warning: ")]

    run = ("run", "--set", folder, "--out", "out", *fast)
    expected = [
        "warning: The estimates of mine on tiny are 40 samples late (median), and one sample can "
        "cost 10 dB of SI-SDR: declare the latency of the program, NAME@0.005s=..., or shift its "
        "files."
    ]
    assert warnings(*run, "--system", "mine=late_system:late") == expected
    mine = "out/tiny/mine"
    score = ("score", "--set", folder, "--estimates", f"{mine}/estimates", "--out", "scores")
    assert warnings(*score, *fast) == expected
    assert warnings("rank", "scores") == expected
    assert warnings(*run, "--system", "mine@0.005s=late_system:late") == []
    assert json.loads(Path(mine, "scores", "run.json").read_text())["latency_s"] == 0.005
    assert evalsuite(*run, "--system", f"x@1s={mine}/estimates")[0] == 2
