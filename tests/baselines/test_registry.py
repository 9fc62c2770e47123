"""Names, duplicates, and how an unknown name is answered."""

import subprocess
import sys
from pathlib import Path

import pytest

from baselines import models
from baselines.registry import System, build, names, system
from baselines.separator import Hyperparameters, Separator
from mixgen.core.errors import UsageError


def test_every_model_file_registers_a_system():
    files = {path.stem for path in Path(models.__path__[0]).glob("[a-z]*.py")}
    assert {name.partition(":")[0] for name in names()} == files


def test_variants_have_the_names_they_are_known_by():
    expected = {"conv_tasnet", "conv_tasnet:small", "mask_inference:small", "open_unmix:small"}
    expected |= {"oracle:ibm", "oracle:irm", "oracle:psm", "oracle:mwf", "mixture"}
    assert expected <= set(names())


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'conv_tasnet:small'"):
        build("convtasnet:small")


def test_a_second_system_of_one_name_is_refused():
    with pytest.raises(ValueError, match="Two systems"):
        System(name="mixture", title="", paper="", reference_licence="", separator=Separator)


def test_a_second_variant_of_one_name_is_refused():
    with pytest.raises(ValueError, match="Two variants"):
        system("mixture").variant()(Hyperparameters)


def test_source_names_set_the_number_of_sources():
    separator = build("conv_tasnet:small", source_names=("speech", "music", "noise"))
    assert separator.n_src == 3
    assert separator.source_names == ("speech", "music", "noise")


def test_contradicting_fit_is_refused():
    with pytest.raises(UsageError, match="4 source names for n_src=2"):
        build("open_unmix:small", n_src=2)


def test_importing_the_package_loads_no_torch():
    code = "import sys, baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
