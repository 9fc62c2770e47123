"""SuDoRM-RF++ on weights copied from asteroid 0.7, which has one decoder for all sources."""

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize(("depth", "n_src", "blocks"), [(5, 2, 8), (4, 3, 4)])
def test_estimates_equal_those_of_asteroid(
    depth: int, n_src: int, blocks: int, record_property: RecordProperty
) -> None:
    """With the widths of the paper, at a length that needs no padding and at another."""
    models = pytest.importorskip("asteroid.models", reason=WHY)
    sizes = {"bn_chan": 256, "num_blocks": blocks, "upsampling_depth": depth}
    arguments = {"n_src": n_src, **sizes}
    theirs = randomise(models.SuDORMRFImprovedNet(**arguments))
    ours = converted("sudormrf_improved", "asteroid", theirs, **arguments)
    for time in (1600, 1003):
        mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
        difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < TOLERANCE
