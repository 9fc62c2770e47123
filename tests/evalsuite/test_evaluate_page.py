"""Every block of docs/evaluate.md runs, in its order, on a small set."""

import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.evalsuite.conftest import MakeSet, save_untrained
from tests.test_readme import run_command

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "evaluate.md").read_text(encoding="utf-8")
HAS_ONNX = importlib.util.find_spec("onnxruntime") is not None


def commands() -> list[str]:
    """Return the commands of the page; without onnxruntime, those that need none."""
    lines = re.findall(r"^evalsuite .*$", PAGE, re.MULTILINE)
    return [line for line in lines if HAS_ONNX or ".onnx" not in line]


@pytest.fixture
def home(make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user: a set, and what the page takes for granted."""
    rendered = make_set("sets/talkers", n=6)
    for name, content in re.findall(
        r"^```python\n# ([\w.]+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    ):
        (tmp_path / name).write_text(content)
    shutil.copy(REPOSITORY / "tests" / "golden" / "halves.onnx", tmp_path / "model.onnx")
    save_untrained(tmp_path / "checkpoints" / "conv_tasnet", seed=0)
    for mixture in rendered.glob("test_*"):
        for name, own in (("s1", "s1"), ("s2", "mixture")):
            for folder in ("estimates/mine", "data/estimates"):
                path = tmp_path / folder / mixture.name / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(mixture / f"{own}.wav", path)
            path = tmp_path / "data" / "references" / name / f"{mixture.name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(mixture / f"{name}.wav", path)
        path = tmp_path / "data" / "mixtures" / f"{mixture.name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(mixture / "mixture.wav", path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in tmp_path.glob("*.py"):  # other tests have modules of these names, too
        monkeypatch.delitem(sys.modules, name.stem, raising=False)
    return tmp_path


@pytest.mark.usefixtures("home")
def test_every_block_of_the_page_runs() -> None:
    expected = {"mixture", "mine", "module", "program", "conv_tasnet", "files", "streaming"}
    for line in commands():
        words = shlex.split(line.replace("python separate.py", f"{sys.executable} separate.py"))
        fast = (
            []
            if words[1] in ("rank", "check", "report")
            else ["--workers", "1", "--metrics", "si_sdr"]
        )
        assert run_command([*words, *fast]) == 0, line
    found = {path.parent.name for path in Path("results").glob("*/*/scores")}
    assert found == expected | ({"onnx"} if HAS_ONNX else set())


def test_links_of_the_page_exist() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert linked
    for link in linked:
        name, _, anchor = link.partition("#")
        text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert not anchor or anchor in {title.lower().replace(" ", "-") for title in titles}
