"""docs/export.md has every format, and every block of it runs and reads what was rendered."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixgen.core.registry import names_in
from mixgen.sets.rendered import load_set
from tests.mixgen.conftest import RunMixgen

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "export.md").read_text(encoding="utf-8")
PACKAGES = {"huggingface": "datasets.features"}  # others have folders called datasets
BLOCKS = {
    name: (command, code)
    for name, command, code in re.findall(
        r"^## (\w+)\n\n```\n(mixgen export .*?)\n```\n\n```python\n(.*?)```$",
        PAGE,
        re.DOTALL | re.MULTILINE,
    )
}


def test_the_table_has_every_format() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [name for name in names_in("mixgen.export") if name != "exporter"]
    assert sorted(BLOCKS) == ["asteroid", "huggingface", "lhotse", "speechbrain"]


def _as_array(signal: Any) -> np.ndarray:
    return np.asarray(signal, dtype=float)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_the_blocks_run(
    mixgen: RunMixgen,
    sets: dict[str, Path],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    Path("sets").mkdir()
    Path("sets/speech").symlink_to(sets["noisy"])
    command, code = BLOCKS[name]
    assert mixgen(*shlex.split(command)[1:]).exit_code == 0
    package = PACKAGES.get(name, name)
    pytest.importorskip(package, reason=f"needs the package {package}: see `make parity`")
    made: dict[str, Any] = {}
    exec(code, made)
    rendered = load_set(sets["noisy"])
    # Lhotse's block reads all mixtures and keeps the last one, the others read the first.
    ids = [mixture.id for mixture in rendered.mixtures("train")]
    mixture_id = ids[-1 if name == "lhotse" else 0]
    mixture, references = _as_array(made["mixture"]), made["references"]
    np.testing.assert_array_equal(mixture.ravel(), rendered.load_mixture(mixture_id)[0])
    expected = rendered.load_references(mixture_id)[:, 0]
    np.testing.assert_array_equal([_as_array(signal) for signal in references], expected)


def test_links_of_the_page_exist() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert linked
    for link in linked:
        name, _, anchor = link.partition("#")
        path = REPOSITORY / "docs" / name if name else REPOSITORY / "docs" / "export.md"
        headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
        assert not anchor or anchor in anchors, link
