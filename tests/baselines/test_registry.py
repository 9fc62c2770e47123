"""Names of separators, duplicates, unknown names, and adaptation to a set."""

import subprocess
import sys
from pathlib import Path

import pytest

from baselines import models as folder
from baselines.registry import build, model_spec, models, names
from baselines.separator import Hyperparameters
from mixgen.core.errors import SuiteError, UsageError


def test_every_model_file_registers_a_system() -> None:
    """Under the name of the file, but for what a file name cannot hold, as in TDCN++."""
    files = {path.stem for path in Path(folder.__path__[0]).glob("[a-z]*.py")}
    assert {name.partition(":")[0].rstrip("+") for name in names()} == files


def test_variants_have_their_published_names() -> None:
    expected = {"conv_tasnet", "conv_tasnet:small", "mask_inference:small", "open_unmix:small"}
    expected |= {"oracle:ibm", "oracle:irm", "oracle:psm", "oracle:mwf", "mixture"}
    assert expected <= set(names())


def test_the_error_of_an_unknown_name_has_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'conv_tasnet:small'"):
        build("convtasnet:small")


def test_a_second_variant_of_one_name_is_refused() -> None:
    with pytest.raises(SuiteError, match="entries of mixture are called 'mixture'"):
        model_spec("mixture").variant()(Hyperparameters)


@pytest.mark.parametrize("name", [name for name, model in models().items() if model.tiny])
def test_a_tiny_variant_is_built_by_name_and_not_listed(name: str) -> None:
    assert f"{name}:tiny" not in names()
    assert sum(p.numel() for p in build(f"{name}:tiny").parameters()) < 50_000


def test_source_names_set_the_number_of_sources() -> None:
    separator = build("conv_tasnet:small", source_names=("speech", "music", "noise"))
    assert separator.n_src == 3
    assert separator.source_names == ("speech", "music", "noise")


def test_source_names_that_contradict_their_number_are_refused() -> None:
    with pytest.raises(UsageError, match="4 source names for n_src=2"):
        build("open_unmix:small", n_src=2)


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
