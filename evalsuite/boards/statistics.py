"""Intervals and tests on one value per mixture: mixtures are independent, their sources not."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Interval = tuple[float, float]

DRAWS = 4000
SEED = 20190513
LEVEL = 0.95
POWER = 0.8
FEW = 6
"""With fewer values, not even equal signs are significant at 5 % (2 / 2**5 > 0.05)."""
_DRAWS_AT_ONCE = 200


def mean_interval(values: ArrayLike) -> Interval | None:
    """Return the 95 % interval of the mean; None for fewer than two values.

    Bootstrap with the expanded percentiles of Hesterberg (The American Statistician 69(4), 2015,
    section 5.3), which correct the narrowness of the plain percentiles on small samples. A
    bootstrap never leaves the range of its values, so fewer than `FEW` get Student's interval.

    Args:
        values: shape (n,), one per mixture.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return None
    if sample.size < FEW:
        half = stats.t.ppf((1 + LEVEL) / 2, sample.size - 1) * stats.sem(sample)
        return float(sample.mean() - half), float(sample.mean() + half)
    return _bootstrap(sample, np.mean)


def median_interval(values: ArrayLike) -> Interval | None:
    """Return the 95 % interval of the median, by the same bootstrap; None for fewer than two.

    Args:
        values: shape (n,), one per mixture.
    """
    sample = np.asarray(values, dtype=np.float64)
    return None if sample.size < 2 else _bootstrap(sample, np.median)


def _bootstrap(sample: NDArray[np.float64], statistic: Callable[..., object]) -> Interval:
    generator = np.random.default_rng(SEED)
    drawn: list[NDArray[np.float64]] = []
    for _ in range(DRAWS // _DRAWS_AT_ONCE):
        indices = generator.integers(sample.size, size=(_DRAWS_AT_ONCE, sample.size))
        drawn.append(np.asarray(statistic(sample[indices], axis=1)))  # (draws, n) -> (draws,)
    # Hesterberg's expanded tail: below (1 - LEVEL) / 2 on each side for small samples.
    n = sample.size
    tail = float(stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf((1 + LEVEL) / 2, n - 1)))
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return float(low), float(high)


def p_below(values: ArrayLike, limit: float) -> float | None:
    """Return the one-sided p of Student's test that the mean is not below a limit.

    None for fewer than two values; 0 or 1 where all values are equal.

    Args:
        values: shape (n,), one per mixture.
        limit: small p mean that the mean lies below it.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return None
    error = float(stats.sem(sample))
    if error == 0.0:
        return 0.0 if sample[0] < limit else 1.0
    return float(stats.t.cdf((sample.mean() - limit) / error, sample.size - 1))


def detectable_difference(differences: ArrayLike) -> float | None:
    """Return the mean difference that a two-sided test at 5 % finds with a probability of 80 %.

    From the spread of the differences and their number; None for fewer than two.

    Args:
        differences: shape (n,), one per mixture.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size < 2:
        return None
    quantiles = stats.t.ppf([(1 + LEVEL) / 2, POWER], sample.size - 1)
    return float(quantiles.sum() * stats.sem(sample))


def wilcoxon_p(differences: ArrayLike) -> float | None:
    """Return the two-sided p of the signed-rank test that differences are symmetric about 0.

    Wilcoxon, Biometrics Bulletin 1(6), 1945. Zeros are excluded; p is 1 if all differences are
    zero, and None without differences.

    Args:
        differences: shape (n,), one per mixture.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size == 0:
        return None
    if not sample.any():
        return 1.0
    return float(stats.wilcoxon(sample[sample != 0.0]).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for multiple tests (Holm, Scandinavian Journal of Statistics 6(2), 1979).

    None stays None and does not count as a test.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[index] = largest
    return adjusted
