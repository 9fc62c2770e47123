"""The environment of the systems of others: `make rows` makes it."""

from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
ROWS = yaml.safe_load((REPOSITORY / "benchmarks/rows/rows.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def rows_environment() -> Path:
    """The folder of the environment; skips the test where there is none."""
    environment = REPOSITORY / ".venv-rows"
    if not environment.is_dir():
        pytest.skip("the systems of others live in an environment of their own: `make rows`")
    return environment


def package_file(environment: Path, path: str) -> Path:
    """Return a file of an installed package; skips the test where it is not installed."""
    found = sorted(environment.glob(f"lib/python3*/site-packages/{path}"))
    if not found:
        pytest.skip(f"{path} has no package for this Python")
    return found[0]
