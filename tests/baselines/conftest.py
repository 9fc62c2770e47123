"""What the tests of separators share: one thread, one seed, built models, how to call them."""

from functools import cache

import pytest
import torch

from baselines.registry import build


@pytest.fixture(autouse=True)
def reproducible():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@cache
def _built(name):
    torch.manual_seed(1)
    return build(name).eval()


@pytest.fixture
def built():
    """The registered separator in evaluation mode, built once for all tests; do not alter it."""
    return _built


@pytest.fixture
def separator(name):
    """The separator whose name the test is parametrised with; do not alter it."""
    return _built(name)


@pytest.fixture
def references_for():
    """Noise of moderate level that fits a separator, (batch, n_src, channels, time)."""

    def make(separator, time, batch=2):
        return 0.1 * torch.randn(batch, separator.n_src, separator.channels, time)

    return make


@pytest.fixture
def separate():
    """Call a separator as its kind wants to be called, without gradients."""

    def call(separator, mixture, references):
        with torch.no_grad():
            if separator.uses_references:
                return separator(mixture, references)
            return separator(mixture)

    return call
