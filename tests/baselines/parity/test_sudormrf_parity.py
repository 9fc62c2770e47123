"""SuDoRM-RF on weights copied from asteroid 0.7, whose basis has one decoder and no biases."""

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize(("depth", "n_src"), [(5, 2), (4, 3)])
def test_estimates_equal_those_of_asteroid(
    depth: int, n_src: int, record_property: RecordProperty
) -> None:
    """Four blocks of the paper's widths, at a length that needs no padding and at another."""
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": n_src, "num_blocks": 4, "upsampling_depth": depth}
    theirs = randomise(models.SuDORMRFNet(**arguments))
    ours = converted("sudormrf", "asteroid", theirs, **arguments)
    for time in (1600, 1003):
        mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
        difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < TOLERANCE
