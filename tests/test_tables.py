"""What is generated from the registries is up to date."""

import subprocess
import sys
from pathlib import Path


def test_generated_tables_are_up_to_date() -> None:
    script = Path(__file__).parents[1] / "docs" / "tables.py"
    check = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert check.stdout.strip() == check.stderr == ""
    assert check.returncode == 0
