"""The declared costs of a system: measured, written, and without torch until they are."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from baselines.inference.costs import COSTS, Cost, RunStatistics
from baselines.registry import build

PAGE = Path(__file__).parents[3] / "docs" / "scores.md"


def test_names_and_titles_are_given_once() -> None:
    names = [cost.name for cost in COSTS]
    titles = [cost.title for cost in COSTS if cost.title]
    assert (len(set(names)), len(set(titles))) == (len(names), len(titles))


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.name)
def test_every_cost_is_documented(cost: Cost) -> None:
    assert f"| `{cost.name}` |" in PAGE.read_text(encoding="utf-8")


def test_known_values() -> None:
    statistics = RunStatistics(busy_s=1.0, audio_s=4.0, largest_peak=0.5)
    device = torch.device("cpu")
    causal = build("conv_tasnet:causal")
    found = {cost.name: cost.measure(causal, statistics, device) for cost in COSTS}
    assert found["parameters"] == 5_050_545
    assert found["real_time_factor"] == 0.25
    assert found["latency_s"] == 15 / 8000
    assert found["macs_per_second"] == pytest.approx(4.97e9, rel=0.01)
    assert found["peak_memory_mb"] > 10
    assert found["largest_peak"] == 0.5
    texts = {cost.title: cost.text(found[cost.name]) for cost in COSTS if cost.title}
    assert texts["parameters"] == "5,050,545"
    assert texts["MACs/s"].endswith(" G")
    assert texts["RTF"] == "0.250"


def test_the_table_needs_no_torch() -> None:
    code = "import sys, baselines.inference.costs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
