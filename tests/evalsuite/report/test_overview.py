"""The picture of a set and a leaderboard that `make demo` draws."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.evalsuite.conftest import MakeSet
from tests.evalsuite.report.conftest import Results

SCRIPT = Path(__file__).parents[3] / "docs" / "overview.py"


def test_the_picture_is_drawn(make_set: MakeSet, results: Results, tmp_path: Path) -> None:
    folder = make_set(n=3)
    made = results(folder, model={"metrics": None})
    command = [sys.executable, SCRIPT, "--set", folder, "--results", made / folder.name]
    options = ["--system", "model", "--out", tmp_path / "overview.png"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "overview.png") as image:
        assert image.width > 1000
