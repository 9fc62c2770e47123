"""The command `baselines`: its output, its errors and its exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from baselines.cli import app, main
from baselines.registry import model_spec, names
from tests.baselines.conftest import TinySet


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int | str | None, str, str]:
    """Run the command as the installed program; returns exit code, standard output and error."""
    monkeypatch.setattr("sys.argv", ["baselines", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


def test_list_names_every_variant_in_an_aligned_table() -> None:
    lines = invoke("list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *names()]
    tasks = [model_spec(name).task or "any" for name in names()]
    starts = {line.index(f" {task} ") for line, task in zip(lines, ["task", *tasks], strict=True)}
    assert len(starts) == 1
    assert any("5,050,545" in line for line in lines)


def test_list_of_one_task() -> None:
    rows = json.loads(invoke("list", "--task", "music_separation", "--json").output)
    listed = {row["name"] for row in rows}
    assert {"open_unmix", "mixture", "oracle:irm"} <= listed
    assert "conv_tasnet" not in listed


def test_the_error_of_an_unknown_task_has_the_nearest() -> None:
    result = invoke("list", "--task", "music")
    assert "Did you mean 'music_separation'" in str(result.exception)


def test_list_as_json() -> None:
    rows = json.loads(invoke("list", "--json").output)
    sizes = {row["name"]: row["parameters"] for row in rows}
    assert sizes["conv_tasnet"] == 5_050_545
    assert sizes["oracle:irm"] == 0


def test_info_of_a_name_and_of_a_checkpoint(trained: Path) -> None:
    assert "1809.07454" in invoke("info", "conv_tasnet").output
    facts = json.loads(invoke("info", trained, "--json").output)
    assert facts["name"] == "conv_tasnet:tiny"
    assert facts["macs_per_second"] > 0
    assert len(facts["checkpoint_sha256"]) == 64
    assert facts["training"]["steps"] == 2


def test_train_resume_and_separate(speech: TinySet, tiny_model: str, tmp_path: Path) -> None:
    out = tmp_path / "checkpoint"
    chosen = ["--batch", 2, "--segment-s", 0.25, "--validations", 1, "--threads", 1]
    trained = invoke(
        *("train", tiny_model, "--set", speech.rendered, "--out", out),
        *("--steps", 1, "--device", "cpu"),
        *chosen,
    )
    assert trained.exit_code == 0, trained.output
    assert invoke("train", "--resume", "--out", out, "--steps", 2).exit_code == 0
    assert json.loads((out / "meta.json").read_text())["progress"]["step"] == 2
    done = invoke("separate", out, speech.rendered, "--out", tmp_path / "est", "--json")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "est" / "test-2" / "est2.wav").is_file()


def test_separate_one_file(speech: TinySet, trained: Path, tmp_path: Path) -> None:
    mixture = next((speech.rendered / "test-0").glob("mixture.*"))
    done = invoke("separate", trained, mixture, "--out", tmp_path / "est")
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "est").iterdir()) == ["est1.wav", "est2.wav"]


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        (["info", "conv_tasnot"], 2, "Did you mean 'conv_tasnet'"),
        (["train", "--out", "{tmp}/x"], 2, "No separator is given"),
        (["train", "conv_tasnet", "--out", "{tmp}/x", "--steps", "1"], 3, "--set"),
        (
            ["train", "conv_tasnet", "--set", "{tmp}", "--steps", "1", "--out", "{tmp}/x"],
            3,
            "render",
        ),
        (["train", "--resume", "--out", "{tmp}/x"], 3, "not a checkpoint"),
        (["separate", "mixture", "{tmp}", "--out", "{tmp}/x"], 3, "not a rendered set"),
        (["separate", "conv_tasnet", "{set}", "--out", "{tmp}/x"], 2, "is not trained"),
        (["separate", "{tmp}/model.pt", "{set}", "--out", "{tmp}/x"], 3, "never read"),
        (["separate", "mixture", "{set}", "--out", "{tmp}/model.pt/x"], 6, "Cannot write"),
    ],
)
def test_errors_are_one_sentence_and_a_code(
    speech: TinySet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    exit_code: int,
    sentence: str,
) -> None:
    (tmp_path / "model.pt").write_bytes(b"\x80\x04.")
    filled = [word.format(tmp=tmp_path, set=speech.rendered) for word in words]
    code, output, error = command(monkeypatch, capsys, *filled)
    assert code == exit_code
    assert sentence in error
    assert error.count("\n") == 1
    assert "Traceback" not in error + output


@pytest.mark.parametrize("verb", ["list", "info", "train", "separate"])
def test_help_shows_an_example(verb: str) -> None:
    done = invoke(verb, "--help")
    assert done.exit_code == 0
    assert f"Example: baselines {verb}" in done.output
